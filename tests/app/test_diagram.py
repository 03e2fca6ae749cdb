"""The architecture as a picture: what it shows, in every format."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from edgeferry.app.architecture import architecture
from edgeferry.app.cli import run
from edgeferry.app.diagram import check_diagram
from edgeferry.errors import MissingDependencyError
from edgeferry.exporters.network import Network, Node

pytest.importorskip("igraph")
pytest.importorskip("jinja2")
SVG = "{http://www.w3.org/2000/svg}"


def by_class(picture: ElementTree.Element, *names: str) -> list[ElementTree.Element]:
    found = picture.iter(f"{SVG}g")
    return [each for each in found if set(names) <= set(each.get("class", "").split())]


def titles(picture: ElementTree.Element, *names: str) -> list[str]:
    return [each.findtext(f"{SVG}title") or "" for each in by_class(picture, *names)]


@pytest.mark.parametrize("suffix", ["tflite", "onnx", "xml"])
def test_layers_blocks_and_skips_are_drawn(exported, suffix, tmp_path):
    target = tmp_path / "net.svg"
    artifact = str(exported.folder / f"digits.int8.{suffix}")
    assert run(["inspect", artifact, "--diagram", str(target)]) == 0
    picture = ElementTree.parse(target).getroot()
    assert len(by_class(picture, "layer", "main", "Conv")) == 5
    assert len(by_class(picture, "layer", "main", "MatMul")) == 1
    assert len(by_class(picture, "layer", "projection")) == 2
    assert len(by_class(picture, "skip")) == 2
    assert len(by_class(picture, "residual-block")) == 2
    assert not by_class(picture, "layer", "unknown"), "the engine told of every layer"
    assert all(", int8, " in title for title in titles(picture, "layer", "Conv"))
    assert len(by_class(picture, "Softmax", "float")) == 1
    summary = picture.findtext(f"{SVG}desc") or ""
    assert summary == (
        "6 weighted layers on the main path (5 convolutions, 1 dense layer), "
        "2 projection shortcuts, 2 skip connections"
    )


def test_errors_are_drawn_as_bars(exported, tmp_path):
    results, target = tmp_path / "debug.json", tmp_path / "net.svg"
    int8 = str(exported.folder / "digits.int8.onnx")
    reference = str(exported.folder / "digits.fp32.onnx")
    images = ["--images", str(exported.calibration), "--count", "4"]
    command = ["debug", int8, "--reference", reference, *images, "--json", str(results)]
    assert run(command) == 0
    assert run(["inspect", int8, "--diagram", str(target), "--amounts", str(results)]) == 0
    picture = ElementTree.parse(target).getroot()
    layers = json.loads(results.read_text())["layers"]
    told = {title.partition(":")[0]: title for title in titles(picture, "layer")}
    assert set(told) == {layer["layer"] for layer in layers}
    worst = max(layers, key=lambda layer: layer["added"])
    bars = {
        (box.findtext(f"{SVG}title") or "").partition(":")[0]: float(rect.get("width", 0))
        for box in by_class(picture, "layer")
        for rect in box.iter(f"{SVG}rect")
        if rect.get("class") == "amount"
    }
    assert max(bars, key=lambda name: bars[name]) == worst["layer"]
    assert f"error that the layer adds: {worst['added']:.3g}" in told[worst["layer"]]


def test_results_of_another_artifact_are_refused(exported, tmp_path, capsys):
    results = tmp_path / "x.json"
    results.write_text('{"tool": {"command": "benchmark"}, "results": []}')
    target = tmp_path / "net.svg"
    command = ["inspect", str(exported.folder / "digits.int8.onnx"), "--diagram", str(target)]
    assert run([*command, "--amounts", str(results)]) == 2
    assert "tells nothing of the layers of digits.int8.onnx" in capsys.readouterr().err
    assert not target.exists()


def test_other_pictures_and_folders_are_refused(exported, tmp_path, capsys):
    artifact = str(exported.folder / "digits.int8.onnx")
    for name in ("net.png", "missing/net.svg"):
        assert run(["inspect", artifact, "--diagram", str(tmp_path / name)]) == 2
        assert name in capsys.readouterr().err


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("edgeferry.app.diagram.is_installed", lambda name: name != "igraph")
    with pytest.raises(MissingDependencyError, match=r"edgeferry\[report\]"):
        check_diagram(tmp_path / "net.svg", "onnx")


def network(*nodes: tuple[str, str, tuple[str, ...]]) -> Network:
    return Network([Node(name, kind, inputs, name, path=name) for name, kind, inputs in nodes])


def test_shortcut_is_the_way_with_fewer_layers():
    drawn = architecture(
        network(
            ("stem", "Conv", ("image",)),
            ("short", "Conv", ("stem",)),
            ("one", "Conv", ("stem",)),
            ("two", "Conv", ("one",)),
            ("sum", "Add", ("short", "two")),
            ("three", "Conv", ("sum",)),
            ("again", "Add", ("sum", "three")),
        )
    )
    roles = {box.name: box.role for box in drawn.boxes}
    assert [name for name, role in roles.items() if role == "projection"] == ["short"]
    names = [[drawn.boxes[each].name for each in skip.path] for skip in drawn.skips]
    assert names == [["stem", "short", "sum"], ["sum", "again"]]


def test_ways_of_one_length_are_branches_and_no_shortcut():
    drawn = architecture(
        network(
            ("left", "Conv", ("image",)),
            ("right", "Conv", ("image",)),
            ("sum", "Add", ("left", "right")),
        )
    )
    assert drawn.skips == ()
    assert drawn.count("projection") == 0


def test_gates_and_activations_are_no_skips():
    """A swish multiplies a tensor by its own sigmoid: one way, not two."""
    drawn = architecture(
        network(
            ("conv", "Conv", ("image",)),
            ("sigmoid", "Sigmoid", ("conv",)),
            ("swish", "Mul", ("conv", "sigmoid")),
            ("pool", "Mean", ("swish",)),
            ("squeeze", "Conv", ("pool",)),
            ("gate", "Mul", ("swish", "squeeze")),
        )
    )
    assert [box.name for box in drawn.boxes] == ["image", "conv", "pool", "squeeze", "gate"]
    assert drawn.skips == ()

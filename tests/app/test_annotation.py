"""``predict --annotate`` and ``--compare``: what is drawn, and where it is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from edgeferry.app.annotation import annotated
from edgeferry.app.cli import run
from edgeferry.app.drawing import ACCENT, contact_sheet, font, shortened
from edgeferry.runtimes.results import Prediction

CHANGED = (213, 94, 0)


def predictions(*scores: float, first: int = 0) -> list[Prediction]:
    return [Prediction(f"class {first + at}", first + at, each) for at, each in enumerate(scores)]


def columns_of(image: Image.Image, color: tuple[int, int, int]) -> int:
    """How many columns of pixels hold a color."""
    return int((np.asarray(image) == color).all(axis=-1).any(axis=0).sum())


def test_bars_are_as_long_as_the_scores():
    picture = Image.new("RGB", (64, 48), "gray")
    half, quarter = (annotated(picture, {"net": predictions(each)}) for each in (0.5, 0.25))
    assert columns_of(half, ACCENT) == pytest.approx(2 * columns_of(quarter, ACCENT), abs=2)
    whole = annotated(picture, {"net": predictions(1.0)})
    assert columns_of(whole, ACCENT) == pytest.approx(2 * columns_of(half, ACCENT), abs=2)


def test_answer_that_is_not_the_first_artifacts_stands_out():
    picture = Image.new("RGB", (64, 48), "gray")
    same = annotated(picture, {"a": predictions(0.9), "b": predictions(0.8)})
    other = annotated(picture, {"a": predictions(0.9), "b": predictions(0.8, first=3)})
    assert columns_of(same, CHANGED) == 0
    assert columns_of(other, CHANGED) > 100


@pytest.mark.parametrize("size", [(8, 8), (3000, 200), (20, 900)])
def test_pictures_of_any_shape_are_drawn_whole(size):
    picture = Image.new("RGB", size, (200, 0, 100))
    drawn = annotated(picture, {"net": predictions(0.9, 0.1)})
    pixels = (np.asarray(drawn) == (200, 0, 100)).all(axis=-1)
    shown = int(pixels.any(axis=0).sum()), int(pixels.any(axis=1).sum())
    assert shown[0] / shown[1] == pytest.approx(size[0] / size[1], rel=0.1)


def test_long_labels_are_cut():
    text = shortened("a very long label " * 20, 16, 200)
    assert text.endswith("…")
    assert font(16).getlength(text) <= 200


def test_sheet_holds_every_picture():
    colors = [(40 * at, 0, 0) for at in range(1, 6)]
    sheet = contact_sheet([Image.new("RGB", (30, 20), color) for color in colors])
    found = {tuple(each) for each in np.asarray(sheet).reshape(-1, 3).tolist()}
    assert set(colors) <= found


def test_command_writes_a_sheet_or_a_file_for_each(exported, tmp_path):
    pictures = [str(each) for each in sorted(exported.pictures.glob("*/*.png"))[:2]]
    twin = tmp_path / "elsewhere" / pictures[0].rpartition("/")[2]
    twin.parent.mkdir()
    twin.write_bytes(exported.pictures.joinpath(pictures[1]).read_bytes())
    pictures.append(str(twin))
    artifact = str(exported.folder / "digits.int8.tflite")
    other = ["--compare", str(exported.folder / "digits.fp32.onnx")]
    folder, sheet, results = tmp_path / "drawn", tmp_path / "sheet.jpg", tmp_path / "p.json"
    assert run(["predict", artifact, *pictures, "--annotate", str(folder)]) == 0
    assert len(list(folder.iterdir())) == 3
    command = ["predict", artifact, *pictures, *other, "--annotate", str(sheet)]
    assert run([*command, "--json", str(results)]) == 0
    with Image.open(sheet) as opened:
        assert opened.format == "JPEG"
    found = json.loads(results.read_text())["results"]
    assert [each["artifact"] for each in found] == ["digits.int8.tflite", "digits.fp32.onnx"]
    answers = [[each["answers"][0]["label"] for each in one["predictions"]] for one in found]
    assert answers[0] == answers[1]


def test_sheet_into_a_missing_folder_is_refused_before_work(exported, tmp_path, capsys):
    artifact = str(exported.folder / "digits.int8.tflite")
    picture = str(next(exported.pictures.glob("*/*.png")))
    target = str(tmp_path / "missing" / "sheet.png")
    assert run(["predict", artifact, picture, "--annotate", target]) == 2
    assert "there is no folder" in capsys.readouterr().err

"""The Android example compiles, and on a JVM reads and prepares what edgeferry does.

Android, AndroidX, LiteRT and MediaPipe are stand-ins of a few lines (``android_stubs``); org.json
is Android's own.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import edgeferry
from edgeferry.contract import Contract, InputSpec, OutputSpec, ResizeRule, SourceInfo
from edgeferry.images import to_input
from edgeferry.views import view_of

ANDROID = Path(__file__).parents[2] / "examples" / "android"
STUBS = Path(__file__).parent / "android_stubs"
JSON_JAR = Path("/usr/share/java/com.android.json.jar")
LABELS = ("great white shark", "Zürich", "")
SCORES = (0.25, 0.125, 0.625)
RULES = {
    "usual": ResizeRule(),
    "squash": ResizeRule("squash", interpolation="bicubic"),
    "pad": ResizeRule("pad", interpolation="lanczos"),
    "box": ResizeRule(crop_ratio=0.7, interpolation="box"),
    "nearest": ResizeRule(crop_ratio=1, interpolation="nearest"),
    "hamming": ResizeRule(interpolation="hamming"),
}
SIZES = [(500, 375), (37, 90), (12, 9), (400, 7)]

for _program in ("kotlinc", "javac", "java"):
    if shutil.which(_program) is None:
        pytest.skip(f"{_program} is not installed", allow_module_level=True)
if not JSON_JAR.exists():
    pytest.skip("libandroid-json-java is not installed", allow_module_level=True)


@dataclass(frozen=True)
class Phone:
    """The example, compiled; it runs in a folder of its own each time.

    Attributes:
        classes: What Java needs to find it.
        folder: Where it finds ``model.tflite``, and leaves what it did.
    """

    classes: str
    folder: Path

    def classify(
        self, model: bytes, picture: Image.Image, scores: NDArray[np.float32]
    ) -> tuple[dict, NDArray[np.uint8]]:
        """What the example told, and what the network was given."""
        rgba = np.asarray(picture.convert("RGBA"))
        argb = np.roll(rgba, 1, axis=2).tobytes()
        (self.folder / "model.tflite").write_bytes(model)
        (self.folder / "picture").write_bytes(np.array(picture.size, ">i4").tobytes() + argb)
        (self.folder / "probabilities").write_bytes(scores.astype(">f4").tobytes())
        run("java", "-cp", self.classes, "com.example.edgeferry.MainKt", self.folder)
        told = json.loads((self.folder / "told").read_text(encoding="utf-8"))
        return told, np.fromfile(self.folder / "input", np.uint8)


def run(*command: object) -> str:
    """Run a program; give what it complained of."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The class path of the example, and what the compiler said."""
    folder = tmp_path_factory.mktemp("android")
    stubs, classes = folder / "stubs", folder / "classes"
    run("javac", "-d", stubs, *STUBS.glob("*.java"))
    readme = (ANDROID / "README.md").read_text(encoding="utf-8")
    for number, snippet in enumerate(re.findall(r"```kotlin\n(.*?)```", readme, re.DOTALL)):
        (folder / f"Readme{number}.kt").write_text(snippet, encoding="utf-8")
    sources = [*(ANDROID / "app").rglob("*.kt"), *folder.glob("Readme*.kt"), STUBS / "Main.kt"]
    said = run("kotlinc", "-cp", f"{stubs}:{JSON_JAR}", "-d", classes, *sources)
    library = Path(shutil.which("kotlinc") or "").resolve().parents[1] / "lib/kotlin-stdlib.jar"
    return f"{classes}:{stubs}:{JSON_JAR}:{library}", said


@pytest.fixture
def phone(compiled: tuple[str, str], tmp_path: Path) -> Phone:
    """The example, ready to run."""
    return Phone(compiled[0], tmp_path)


def contract_with(**changes: object) -> Contract:
    """That of a classifier of three classes, changed."""
    source = SourceInfo("net", "0" * 64, "tf")
    spec = InputSpec(40, 56)
    usual = Contract("classification", spec, 3, LABELS, "softmax", "fp32", "fp32", source)
    return replace(usual, **changes)


def model_with(contract: Contract) -> bytes:
    """A ``.tflite`` that holds a contract, and no network."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    from edgeferry.exporters.tflite_metadata import pack, with_contract

    empty = schema.ModelT()
    empty.version, empty.buffers = 3, [schema.BufferT()]
    return with_contract(pack(empty, 1000), contract)


def picture_of(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A picture with edges and slopes."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    noise = np.random.default_rng(0).integers(0, 256, (7, 9, bands), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def test_it_compiles_without_warnings(compiled):
    assert "warning: " not in compiled[1].replace("VM warning: ", "")


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_the_network_is_given_what_edgeferry_gives(phone, rule, size):
    spec = InputSpec(40, 56, resize=rule)
    told, given = phone.classify(
        model_with(contract_with(input=spec)), picture_of(size), np.array(SCORES)
    )
    expected = to_input(picture_of(size), spec)
    apart = given.reshape(expected.shape) - expected.astype(int)
    assert np.abs(apart).max() <= 1
    assert abs(apart.mean()) < 0.05
    view = view_of(*size, spec)
    if rule.method != "pad":  # there the view says where the borders end
        seen = [view.left, view.top, view.right, view.bottom]
        assert told["seen"] == pytest.approx(seen)


def test_grayscale(phone):
    spec = InputSpec(24, 24, channels=1)
    picture = picture_of((64, 48))
    _, given = phone.classify(model_with(contract_with(input=spec)), picture, np.array(SCORES))
    assert np.abs(given.reshape(24, 24, 1).astype(int) - to_input(picture, spec)).max() <= 1


def test_what_is_transparent_shows_white(phone):
    spec = InputSpec(24, 24)
    picture = picture_of((64, 48), "RGBA")
    _, given = phone.classify(model_with(contract_with(input=spec)), picture, np.array(SCORES))
    assert np.abs(given.reshape(24, 24, 3).astype(int) - to_input(picture, spec)).max() <= 2


@pytest.mark.parametrize("labels", [LABELS, None], ids=["labels", "numbers"])
def test_labels(phone, labels):
    told, _ = phone.classify(
        model_with(contract_with(labels=labels)), picture_of((8, 8)), np.array(SCORES)
    )
    names = labels or ("0", "1", "2")
    assert told["labels"] == (labels and list(labels))
    assert told["answers"] == [[i, names[i], SCORES[i]] for i in (2, 0, 1)]


@pytest.mark.parametrize(
    ("size", "expected"), [((4000, 3000), 8), ((1200, 900), 2), ((300, 4000), 1)], ids=str
)
def test_decoders_leave_what_edgeferrys_leave(phone, size, expected):
    spec = InputSpec(224, 224)
    told, _ = phone.classify(
        model_with(contract_with(input=spec)), Image.new("RGB", size), np.array(SCORES)
    )
    assert told["sample_size"] == expected


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_exported_artifact(phone, exported, precision):
    path = exported.folder / f"digits.{precision}.tflite"
    picture = next((exported.pictures / "7").glob("*.png"))
    with edgeferry.load(path) as predictor:
        expected = predictor.predict(picture, top_k=3)
        scores = np.ravel(predictor.predict_proba(picture))
    told, given = phone.classify(path.read_bytes(), Image.open(picture), scores)
    assert told["labels"] == list(edgeferry.read_contract(path).labels)
    assert [label for _, label, _ in told["answers"]] == [answer.label for answer in expected]
    assert given.tobytes() == np.asarray(Image.open(picture)).tobytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": "embedding", "outputs": (OutputSpec("embedding", (3,)),)}, "task is embedding"),
        ({"input": InputSpec(8, 8, batch=4)}, "takes 4 pictures"),
    ],
    ids=["another-task", "many-at-a-time"],
)
def test_what_it_cannot_run_is_said(phone, changes, reason):
    model = model_with(contract_with(**changes))
    with pytest.raises(AssertionError, match=reason):
        phone.classify(model, picture_of((8, 8)), np.array(SCORES))

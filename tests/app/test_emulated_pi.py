"""An int8 ResNet50, bundled for a Raspberry Pi 4, running on its instruction set."""

import json

import pytest

import edgeferry
from edgeferry.app.bundle import bundle
from edgeferry.app.bundle_contents import BundleOptions
from edgeferry.app.cli import run
from edgeferry.app.digits import LABELS
from edgeferry.app.training import Training, train
from edgeferry.devices.device import Command
from edgeferry.progress import silent

pytest_plugins = ["device_ends.emulation"]
pytestmark = pytest.mark.slow

ENGINES = {
    "litert": "int8.tflite",
    "onnxruntime": "int8-arm.onnx",
    "openvino": "int8.xml",
    "tflite-runtime": "int8.tflite",
}
UNPACK = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall('.')"


@pytest.fixture(scope="module")
def resnet50(digits, tmp_path_factory):
    """The demo's network after six epochs, sure enough of its answers, as int8 artifacts."""
    folder = tmp_path_factory.mktemp("resnet50")
    model, labels = folder / "resnet50_digits.keras", folder / "labels.txt"
    train(digits / "calibration", model, Training(epochs=6), silent)
    labels.write_text("".join(f"{label}\n" for label in LABELS))
    asked = ["--preprocessing", "tf", "--resize", "squash", "--labels", str(labels)]
    asked += ["--calibration", str(digits / "calibration"), "--calibration-count", "50"]
    asked += ["--precisions", "int8", "--targets", "x86,arm"]
    assert run(["export", str(model), "-o", str(folder / "out"), *asked]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def pictures(digits):
    """Twenty of the held-out pictures: the first two of each class, by name."""
    found = [sorted((digits / "heldout" / str(digit)).glob("*.png"))[:2] for digit in range(10)]
    return [file for files in found for file in files]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bundle_answers_there_as_its_artifact_does_here(
    resnet50, pictures, pi4, tmp_path, engine
):
    artifact = next(resnet50.glob(f"*.{ENGINES[engine]}"))
    options = BundleOptions("raspberry-pi-4", runtime=engine, threads=1, offline=True)
    bundle(artifact, options, tmp_path / "bundle.tar.gz")
    pi4.push(tmp_path / "bundle.tar.gz", "bundle.tar.gz")
    there = Command([pi4.python, "-c", UNPACK, "bundle.tar.gz"])
    assert pi4.run(there).code == 0
    run_py = f"{artifact.stem}/run.py"
    done = pi4.run(Command([pi4.python, run_py, "--setup"], time_limit=600))
    assert done.code == 0, done.stderr
    for number, file in enumerate(pictures):
        pi4.push(file, f"{number}.png")
    names = [f"{number}.png" for number in range(len(pictures))]
    done = pi4.run(Command([pi4.python, run_py, "--json", "--top-k", "1", *names], time_limit=600))
    assert done.code == 0, done.stderr
    told = [json.loads(line)["predictions"][0]["label"] for line in done.stdout.splitlines()]
    with edgeferry.load(artifact, threads=1) as predictor:
        here = [answers[0].label for answers in predictor.predict(pictures, top_k=1)]
    assert told == here
    assert len(set(here)) >= 8


def test_benchmark_shows_no_time_of_an_emulated_device(resnet50, emulation, capfd):
    file = next(resnet50.glob("*.int8.tflite"))
    asked = ["--device", "emulated://raspberry-pi-4", "--threads", "1", "--json", "-"]
    assert run(["benchmark", str(file), *asked]) == 0
    document = json.loads(capfd.readouterr().out)
    (result,) = document["results"]
    assert (result["runtime"], result["executed"], result["emulated"]) == ("litert", "int8", True)
    times = ("p50_ms", "p99_ms", "load_ms", "first_ms", "throughput", "timings_ns", "mean_ms")
    assert [result[key] for key in times] == [None] * len(times)
    (verdict,) = document["verdicts"]
    assert "emulated" in verdict["sentence"]
    (device,) = document["devices"]
    assert device["profile"] == "raspberry-pi-4"
    assert device["facts"][0]["before"]["architecture"] == "aarch64"

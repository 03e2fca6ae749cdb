"""The demo's pictures, its trained network kept for the next run, and its one table."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from edgeferry.app.demo import merged, prepare
from edgeferry.app.digits import HELD_OUT, PICTURES, write_digits
from edgeferry.app.results import Result
from edgeferry.app.training import Training, is_trained, train
from edgeferry.errors import MissingDependencyError
from edgeferry.progress import silent


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("demo") / "digits"
    write_digits(folder)
    return folder


def test_digits_are_split_once_and_for_all(digits, tmp_path):
    calibration = {file.name for file in digits.glob("calibration/*/*.png")}
    held_out = {file.name for file in digits.glob("heldout/*/*.png")}
    assert (len(calibration), len(held_out)) == (PICTURES - HELD_OUT, HELD_OUT)
    assert not calibration & held_out
    write_digits(tmp_path / "again")
    again = {file.name for file in (tmp_path / "again").glob("heldout/*/*.png")}
    assert again == held_out


def test_held_out_digits_are_of_every_class_alike(digits):
    counts = [len(list((digits / "heldout" / str(digit)).iterdir())) for digit in range(10)]
    assert sum(counts) == HELD_OUT
    assert max(counts) - min(counts) <= 2


def test_pictures_show_what_scikit_learn_holds(digits):
    from sklearn.datasets import load_digits

    source = load_digits()
    file = next(digits.glob("heldout/7/*.png"))
    picture = Image.open(file)
    assert (picture.size, picture.mode) == ((32, 32), "RGB")
    small = np.asarray(picture.convert("L").resize((8, 8), Image.Resampling.BOX), float)
    original = source.images[int(file.stem)]
    assert source.target[int(file.stem)] == 7
    assert np.corrcoef(small.ravel(), original.ravel())[0, 1] > 0.97


def test_incomplete_digits_are_written_anew(digits, tmp_path):
    write_digits(tmp_path / "digits")
    next((tmp_path / "digits").glob("heldout/*/*.png")).unlink()
    write_digits(tmp_path / "digits")
    assert len(list((tmp_path / "digits").glob("*/*/*.png"))) == PICTURES


def test_network_trained_the_same_way_is_kept(tmp_path, monkeypatch):
    trained = []

    def child(work, arguments, progress, what):
        _, model, training = arguments
        trained.append(training.seed)
        model.write_bytes(b"network")
        model.with_suffix(".json").write_text(json.dumps(asdict(training)))

    monkeypatch.setattr("edgeferry.app.child.run_in_child", child)
    for seed in (1, 1, 2):
        prepare(tmp_path, Training(seed=seed), silent)
    assert trained == [1, 2]


def test_training_writes_a_network_that_keras_reads_and_knows_it_again(tmp_path):
    keras = pytest.importorskip("keras")
    for digit in range(2):
        folder = tmp_path / "pictures" / str(digit)
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32), (digit * 255,) * 3).save(folder / "0.png")
    model, settings = tmp_path / "network.keras", Training(epochs=1, batch=2)
    steps = []
    train(tmp_path / "pictures", model, settings, lambda *step: steps.append(step))
    network = keras.models.load_model(model)
    assert network.input_shape == (None, 32, 32, 3)
    assert network.output_shape == (None, 10)
    assert len([layer for layer in network.layers if "conv" in layer.name and layer.weights]) > 53
    assert steps[-1][1:] == (1, 1)
    assert is_trained(model, settings)
    assert not is_trained(model, replace(settings, epochs=2))
    assert model.stat().st_size < 110 * 2**20, "without the optimizer's state"


def test_missing_scikit_learn_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("edgeferry.registry.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"edgeferry\[demo\]"):
        prepare(tmp_path / "demo", Training(), silent)
    assert not (tmp_path / "demo").exists()


def test_accuracy_and_latency_are_merged_by_artifact():
    accuracy = [Result("net.keras", top1=99.0), Result("a.onnx", top1=98.0, extra={"labeled": 3})]
    latency = [Result("a.onnx", p50_ms=2.0, extra={"rounds": 4})]
    first, second = merged(accuracy, latency)
    assert first == accuracy[0]
    assert (second.top1, second.p50_ms) == (98.0, 2.0)
    assert second.extra == {"labeled": 3, "rounds": 4}

"""Trained models are opened as Keras would, and nothing else is."""

import numpy as np
import pytest

from edgeferry import trained_model
from edgeferry.errors import SourceError
from edgeferry.trained_model import keras_input_shape, load_trained_model

keras = pytest.importorskip("keras")
PICTURES = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)


def small_model(seed: int = 0, **kwargs):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, **kwargs)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x), name="small")


@pytest.mark.parametrize(("suffix", "kind"), [(".keras", "keras"), (".h5", "h5")])
def test_a_keras_file_answers_as_keras_does(tmp_path, suffix, kind):
    model = small_model()
    model.save(tmp_path / f"pets{suffix}")
    loaded = load_trained_model(tmp_path / f"pets{suffix}")
    assert (loaded.name, loaded.kind, loaded.input_shape) == ("pets", kind, (None, 8, 8, 3))
    np.testing.assert_allclose(answer(loaded), model(PICTURES), atol=1e-6)


def answer(trained):
    (given,) = trained.predict(PICTURES).values()
    return given


def test_a_saved_model_folder_answers_as_keras_does(tmp_path):
    model = small_model()
    model.export(tmp_path / "served", verbose=False)
    loaded = load_trained_model(str(tmp_path / "served"))
    assert (loaded.name, loaded.kind, loaded.keras_model) == ("served", "saved_model", None)
    assert loaded.input_shape == (None, 8, 8, 3)
    np.testing.assert_allclose(answer(loaded), model(PICTURES), atol=1e-6)


@pytest.mark.parametrize("save", ["save", "export"])
def test_the_digest_is_that_of_the_network_not_of_the_file(tmp_path, save):
    digests = []
    for folder, model in (("a", small_model()), ("b", small_model(seed=1))):
        name = "m.keras" if save == "save" else "m"
        copies = [tmp_path / folder / "1" / name, tmp_path / folder / "2" / name]
        for path in copies:
            path.parent.mkdir(parents=True)
            model.save(path) if save == "save" else model.export(path, verbose=False)
        first, second = (load_trained_model(path).digest() for path in copies)
        assert first == second
        digests.append(first)
    assert digests[0] != digests[1]


def test_mixed_precision_runs_in_float32(tmp_path):
    model = small_model(dtype="mixed_float16")
    model.save(tmp_path / "mixed.keras")
    loaded = load_trained_model(tmp_path / "mixed.keras")
    exact = small_model()
    exact.set_weights(model.get_weights())
    np.testing.assert_allclose(answer(loaded), exact(PICTURES), atol=1e-6)


def test_resnet50_by_name_unless_a_path_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trained_model, "_download_application", lambda name: small_model())
    loaded = load_trained_model("resnet50")
    assert (loaded.name, loaded.kind) == ("resnet50", "application")
    (tmp_path / "resnet50").mkdir()
    with pytest.raises(SourceError, match=r"saved_model\.pb"):
        load_trained_model("resnet50")


def test_a_missing_model_tells_what_is_known(tmp_path):
    with pytest.raises(SourceError, match=r"no model .*gone\.keras\nKnown: .*resnet50"):
        load_trained_model(tmp_path / "gone.keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_a_truncated_file_is_damaged(tmp_path, suffix, keep):
    path = tmp_path / f"cut{suffix}"
    small_model().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if keep != 0.5 else len(whole) // 2])
    with pytest.raises(SourceError, match=f"cut{suffix} is damaged") as caught:
        load_trained_model(path)
    assert len(str(caught.value).splitlines()) <= 2


def test_a_damaged_saved_model(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(SourceError, match="damaged SavedModel"):
        load_trained_model(tmp_path)


def test_an_unknown_suffix(tmp_path):
    (tmp_path / "m.pkl").touch()
    with pytest.raises(SourceError, match=r"m\.pkl"):
        load_trained_model(tmp_path / "m.pkl")


def test_code_in_a_file_is_never_run(tmp_path):
    layers = [keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x * 2)]
    keras.Sequential(layers).save(tmp_path / "code.keras")
    with pytest.raises(SourceError, match="safe mode"):
        load_trained_model(tmp_path / "code.keras")


def test_two_inputs_are_refused():
    one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    with pytest.raises(SourceError, match="2 inputs"):
        keras_input_shape(keras.Model([one, two], one + two), "pair")


def test_what_takes_no_picture_is_refused():
    inputs = keras.Input((8,))
    with pytest.raises(SourceError, match="shape"):
        keras_input_shape(keras.Model(inputs, keras.layers.Dense(2)(inputs)), "flat")


def test_several_outputs_keep_their_names(tmp_path):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="heat")(image)
    y = keras.layers.Flatten(name="flat")(x)
    model = keras.Model(image, [x, y])
    model.save(tmp_path / "two.keras")
    given = load_trained_model(tmp_path / "two.keras").predict(PICTURES)
    for name, expected in zip(("heat", "flat"), model(PICTURES), strict=True):
        np.testing.assert_allclose(given[name], expected, atol=1e-6)
    keras.Model(image, {"b": x, "a": y}).save(tmp_path / "dict.keras")
    assert list(load_trained_model(tmp_path / "dict.keras").predict(PICTURES)) == ["a", "b"]

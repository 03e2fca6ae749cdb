"""Whatever kind of file a network comes in, its artifacts answer as Keras does."""

import numpy as np
import pytest

import edgeferry
from edgeferry import trained_model
from edgeferry.app.export import ExportOptions
from edgeferry.errors import SourceError, UsageError
from edgeferry.exporters.preparation import PreparationOptions, prepare_source
from edgeferry.exporters.recipes import FP32, INT8
from edgeferry.trained_model import load_trained_model

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers = keras.layers


def save(model, kind, folder):
    path = folder / {"keras": "pets.keras", "h5": "pets.h5"}.get(kind, "pets")
    if kind in ("keras", "h5"):
        model.save(path)
    elif kind == "export":
        model.export(path, verbose=False)
    else:
        tf.saved_model.save(model, str(path))
    return path


@pytest.mark.parametrize("kind", ["keras", "h5", "export", "tf.saved_model"])
def test_each_kind_of_file(workbench, classifier, draw, reference, tmp_path, kind):
    model = classifier()
    prepared = workbench.prepare(save(model, kind, tmp_path))
    assert prepared.contract.source.name == "pets"
    workbench.require_agreement(prepared, draw(), reference(model, draw()))


def test_a_network_by_name(workbench, classifier, draw, reference, tmp_path, monkeypatch):
    model = classifier()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trained_model, "_download_application", lambda name: model)
    prepared = workbench.prepare("resnet50")
    assert prepared.contract.source.name == "resnet50"
    workbench.require_agreement(prepared, draw(), reference(model, draw()))


class Doubled(layers.Layer):
    """A layer that no other process knows."""

    def call(self, x):
        return x * 2


def test_a_model_in_memory_with_code_of_its_own(classifier, draw, reference, tmp_path):
    grouped = layers.Conv2D(6, 3, groups=3)
    front = [layers.RandomFlip(), Doubled(), layers.Lambda(lambda x: x - 0.1), grouped]
    model = classifier(front)
    expected = reference(model, draw())
    assert np.ptp(expected, axis=0).max() > 0.05
    options = ExportOptions(preprocessing="tf", precisions=("fp32",), jobs=2)
    report = edgeferry.export(model, tmp_path / "out", options)
    assert {a.path.name for a in report.artifacts} == {
        "network.fp32.tflite",
        "network.fp32.onnx",
        "network.fp32.xml",
    }
    for artifact in report.artifacts:
        with edgeferry.load(artifact.path, threads=1) as predictor:
            answers = predictor.predict_proba(draw())
        np.testing.assert_allclose(answers, expected, atol=1e-4, err_msg=artifact.format)
    np.testing.assert_array_equal(reference(model, draw()), expected)  # it is left as it was


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", ["keras", "export"])
def test_mixed_precision_becomes_float32(
    workbench, classifier, draw, reference, tmp_path, policy, kind
):
    exact = classifier()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = classifier()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(exact.get_weights())
    prepared = workbench.prepare(save(mixed, kind, tmp_path))
    workbench.require_agreement(prepared, draw(), reference(exact, draw()))


def test_grouped_convolutions(workbench, classifier, draw, reference):
    model = classifier([layers.Conv2D(12, 3), layers.Conv2D(12, 3, groups=4)])
    workbench.require_agreement(workbench.prepare(model), draw(), reference(model, draw()))


def test_grouped_convolutions_in_a_saved_model(workbench, classifier, tmp_path):
    path = save(classifier([layers.Conv2D(6, 3, groups=3)]), "export", tmp_path)
    with pytest.raises(SourceError, match=r"pets holds a function .*grouped[\s\S]*\.keras"):
        workbench.prepare(path)


def test_a_saved_model_in_training_mode_is_refused(workbench, classifier, tmp_path):
    path = save(classifier([layers.RandomFlip()]), "export", tmp_path)
    with pytest.raises(SourceError, match=r"training mode[\s\S]*\.keras"):
        workbench.prepare(path)


def test_a_saved_model_keeps_its_batch(workbench, classifier, draw, reference, tmp_path):
    model, path = classifier(), str(tmp_path / "pairs")
    taken = tf.TensorSpec((2, 32, 32, 3), tf.float32, name="picture")
    serve = tf.function(lambda picture: {"scores": model(picture)}, input_signature=[taken])
    module = tf.Module()
    module.model, module.serve = model, serve
    tf.saved_model.save(module, path, signatures=serve)
    for batch in (1, None):
        with pytest.raises(UsageError, match=r"2 picture.*\n.*--batch 2"):
            workbench.prepare(path, batch=batch)
    prepared = workbench.prepare(path, batch=2)
    workbench.require_agreement(prepared, draw(), reference(model, draw()))


def test_a_vector_without_activation_needs_the_user_s_word(workbench, draw):
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(image)))
    with pytest.raises(UsageError, match=r"--head logits.*--task embedding"):
        workbench.prepare(model)
    assert workbench.prepare(model, task="embedding").contract.task == "embedding"


class Served(tf.Module):
    """A network behind a signature of its own, which takes integers and gives two answers."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.uint8, name="photo")])
    def scores(self, photo):
        return {"scores": self.model(tf.cast(photo, tf.float32) / 127.5 - 1)}

    @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32, name="photo")])
    def other(self, photo):
        return {"scores": self.model(-photo)}


@pytest.mark.parametrize("recipe", [FP32, INT8])
def test_a_signature_that_takes_integers(workbench, classifier, draw, reference, tmp_path, recipe):
    model = classifier()
    served = Served(model)
    signatures = {"scores": served.scores, "other": served.other}
    tf.saved_model.save(served, str(tmp_path / "pets"), signatures=signatures)
    trained = load_trained_model(tmp_path / "pets", "scores")
    assert trained.takes_integers
    options = PreparationOptions("none", signature="scores")
    prepared = prepare_source(trained, options, workbench.new_folder())
    assert prepared.contract.source.signature == "scores"
    pictures = draw() if recipe is INT8 else None
    answers = workbench.answers(workbench.export(prepared, recipe, pictures), draw())
    expected = reference(model, draw())
    for format, found in answers.items():
        close = 1e-4 if recipe is FP32 else 0.1
        np.testing.assert_allclose(found, expected, atol=close, err_msg=format)


def test_integers_further_inside_stay(workbench, draw, reference):
    """There a cast to integers and back cuts off what is behind the point."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, kernel_initializer=keras.initializers.RandomNormal(0, 1))(image)
    x = keras.ops.cast(keras.ops.cast(x, "int32"), "float32")
    x = layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x, name="network")
    workbench.require_agreement(workbench.prepare(model), draw(), reference(model, draw()))


def test_signatures_are_told(classifier, tmp_path):
    served = Served(classifier())
    signatures = {"scores": served.scores, "other": served.other}
    tf.saved_model.save(served, str(tmp_path / "pets"), signatures=signatures)
    with pytest.raises(SourceError, match="no signature serving_default"):
        load_trained_model(tmp_path / "pets")
    with pytest.raises(SourceError, match="no signature gone"):
        load_trained_model(tmp_path / "pets", "gone")
    trained = load_trained_model(tmp_path / "pets", "scores")
    with pytest.raises(UsageError, match="takes integers") as refusal:
        prepare_source(trained, PreparationOptions("tf"), tmp_path)
    assert "--preprocessing none" in refusal.value.remedy
    with pytest.raises(UsageError, match="is no SavedModel"):
        load_trained_model("resnet50", "scores")


def test_the_only_signature_needs_no_name(classifier, tmp_path):
    served = Served(classifier())
    tf.saved_model.save(served, str(tmp_path / "pets"), signatures={"other": served.other})
    assert load_trained_model(tmp_path / "pets").output_names == ("scores",)

"""The last activation: read from the network, or told, and never twice."""

import numpy as np
import pytest

from edgeferry.errors import LabelError, SourceError, UsageError

keras = pytest.importorskip("keras")
layers, ops = keras.layers, keras.ops


def dense(classes, activation=None):
    return lambda x: layers.Dense(classes, activation=activation)(x)


def softmax_apart(x):
    return layers.Softmax()(layers.Dense(37)(x))


def fully_convolutional(x):
    x = layers.Conv2D(5, 1)(layers.Reshape((1, 1, 16))(x))
    return layers.Softmax()(x)


def hidden_layer_with_batch_norm(x):
    x = layers.BatchNormalization()(layers.Dense(16, activation="relu")(x))
    return layers.Dense(3, activation="softmax")(layers.Dropout(0.5)(x))


def softmax_written_out(x):
    powers = ops.exp(layers.Dense(4)(x))
    return powers / ops.sum(powers, axis=-1, keepdims=True)


HEADS = {
    "softmax in the layer": (dense(3, "softmax"), "softmax"),
    "softmax apart": (softmax_apart, "softmax"),
    "softmax behind a reshape": (fully_convolutional, "softmax"),
    "softmax behind a hidden layer": (hidden_layer_with_batch_norm, "softmax"),
    "softmax written out": (softmax_written_out, "softmax"),
    "sigmoid": (dense(6, "sigmoid"), "sigmoid"),
    "one sigmoid": (dense(1, "sigmoid"), "sigmoid"),
}


@pytest.mark.parametrize("name", HEADS)
def test_read_from_the_network(workbench, classifier, draw, reference, name):
    head, kind = HEADS[name]
    model = classifier(head=head)
    expected = reference(model, draw()).reshape(8, -1)
    prepared = workbench.prepare(model)
    assert (prepared.contract.head, prepared.contract.classes) == (kind, expected.shape[1])
    workbench.require_agreement(prepared, draw(), expected)


@pytest.mark.parametrize("told", ["logits", "softmax"])
def test_softmax_is_put_on_logits(workbench, classifier, draw, reference, told):
    model = classifier(head=dense(4))
    powers = np.exp(reference(model, draw()).astype(np.float64))
    prepared = workbench.prepare(model, head=told)
    assert prepared.contract.head == "softmax"
    workbench.require_agreement(prepared, draw(), powers / powers.sum(axis=1, keepdims=True))


def test_sigmoid_is_put_on_scores(workbench, classifier, draw, reference):
    model = classifier(head=dense(4))
    prepared = workbench.prepare(model, head="sigmoid")
    assert prepared.contract.head == "sigmoid"
    workbench.require_agreement(prepared, draw(), 1 / (1 + np.exp(-reference(model, draw()))))


@pytest.mark.parametrize("activation", [None, "relu"])
def test_what_cannot_be_read_must_be_told(workbench, classifier, activation):
    with pytest.raises(UsageError, match=r"neither softmax nor sigmoid[\s\S]*--head logits"):
        workbench.prepare(classifier(head=dense(4, activation)))


@pytest.mark.parametrize(("own", "told"), [("softmax", "logits"), ("sigmoid", "softmax")])
def test_what_contradicts_the_network_is_refused(workbench, classifier, own, told):
    with pytest.raises(UsageError, match=f"{own}, which contradicts --head {told}"):
        workbench.prepare(classifier(head=dense(4, own)), head=told)


def test_an_unknown_head(workbench, classifier):
    with pytest.raises(UsageError, match="'argmax'; known: logits, softmax, sigmoid"):
        workbench.prepare(classifier(), head="argmax")


def test_several_answers_in_one_output_are_refused(workbench, classifier):
    def three_of_two(x):
        x = layers.Softmax()(layers.Reshape((3, 2))(layers.Dense(6)(x)))
        return layers.Flatten()(x)

    with pytest.raises(SourceError, match="over 2 of the 6 outputs"):
        workbench.prepare(classifier(head=three_of_two))


def test_labels_go_with_the_classes(workbench, classifier, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("ant\nbee\ncat\ndog\neel\n")
    prepared = workbench.prepare(classifier(), labels=labels)
    assert prepared.contract.labels == ("ant", "bee", "cat", "dog", "eel")
    with pytest.raises(LabelError, match="5"):
        workbench.prepare(classifier(head=dense(4, "softmax")), labels=labels)


def test_answers_that_add_up_to_1_are_left_alone(workbench, classifier, draw, reference):
    def shares(x):
        scores = layers.Dense(4, activation="relu")(x) + 0.01
        return scores / ops.sum(scores, axis=-1, keepdims=True)

    model = classifier(head=shares)
    prepared = workbench.prepare(model)
    assert prepared.contract.head == "softmax"
    workbench.require_agreement(prepared, draw(), reference(model, draw()))

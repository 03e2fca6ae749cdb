"""One ResNet50, whether it comes from Keras, as an ONNX file or from PyTorch."""

import os
from pathlib import Path

import numpy as np
import pytest

from edgeferry.exporters.recipes import FP32
from edgeferry.runtimes.predictor import load

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")
nn = torch.nn


class Convolution(nn.Sequential):
    """A convolution with the batch norm that Keras has behind it."""

    def __init__(self, given, wanted, size, stride=1):
        convolution = nn.Conv2d(given, wanted, size, stride, padding=size // 2)
        super().__init__(convolution, nn.BatchNorm2d(wanted, eps=1.001e-5))


class Block(nn.Module):
    def __init__(self, given, inner, stride, project):
        super().__init__()
        self.one = Convolution(given, inner, 1, stride)
        self.two = Convolution(inner, inner, 3)
        self.three = Convolution(inner, 4 * inner, 1)
        self.zero = Convolution(given, 4 * inner, 1, stride) if project else nn.Identity()

    def forward(self, x):
        inner = torch.relu(self.two(torch.relu(self.one(x))))
        return torch.relu(self.three(inner) + self.zero(x))


class ResNet50(nn.Module):
    """As in Keras Applications: https://arxiv.org/abs/1512.03385, biases in the convolutions."""

    def __init__(self, classes):
        super().__init__()
        self.stem, self.pool = Convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)
        blocks, given = {}, 64
        for stage, (inner, count) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], start=2):
            for block in range(count):
                stride = 2 if stage > 2 and block == 0 else 1
                blocks[f"conv{stage}_block{block + 1}"] = Block(given, inner, stride, block == 0)
                given = 4 * inner
        self.blocks = nn.Sequential()
        for name, block in blocks.items():
            self.blocks.add_module(name, block)
        self.head = nn.Linear(given, classes)

    def forward(self, x):
        x = self.blocks(self.pool(torch.relu(self.stem(x))))
        return self.head(x.mean(dim=(2, 3))).softmax(dim=1)

    def take(self, model):
        """The weights of the Keras model."""
        _take(self.stem, model, "conv1")
        for name, block in self.blocks.named_children():
            for number, part in enumerate((block.zero, block.one, block.two, block.three)):
                if isinstance(part, Convolution):
                    _take(part, model, f"{name}_{number}")
        kernel, bias = model.layers[-1].get_weights()
        _fill(self.head.weight, kernel.T)
        _fill(self.head.bias, bias)


def _take(part, model, name):
    convolution, norm = part
    kernel, bias = model.get_layer(f"{name}_conv").get_weights()
    gamma, beta, mean, variance = model.get_layer(f"{name}_bn").get_weights()
    _fill(convolution.weight, kernel.transpose(3, 2, 0, 1))
    _fill(convolution.bias, bias)
    for ours, theirs in zip(
        (norm.weight, norm.bias, norm.running_mean, norm.running_var),
        (gamma, beta, mean, variance),
        strict=True,
    ):
        _fill(ours, theirs)


def _fill(tensor, value):
    assert tuple(tensor.shape) == value.shape
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(value)))


@pytest.mark.slow
@pytest.mark.skipif("EDGEFERRY_FIXTURES" not in os.environ, reason="needs the ImageNet fixture")
def test_the_artifacts_agree_on_every_picture(workbench, tmp_path):
    fixtures = Path(os.environ["EDGEFERRY_FIXTURES"])
    trained = fixtures / "resnet50_imagenet1k.keras"
    model = keras.models.load_model(trained, compile=False)
    module = ResNet50(1000)
    module.take(model)
    module.eval()
    any_number = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(module, (torch.zeros(2, 3, 224, 224),), dynamic_shapes=any_number)
    torch.export.save(program, tmp_path / "resnet50.pt2")
    torch.onnx.export(program, dynamo=True, verbose=False).save(tmp_path / "resnet50.onnx")
    pictures = sorted(fixtures.glob("photos/*/*.jpg"))[::4]
    answers = {}
    for source in (trained, tmp_path / "resnet50.onnx", tmp_path / "resnet50.pt2"):
        prepared = workbench.prepare(source, "caffe")
        # What comes of the Keras file in other formats is held to it elsewhere.
        formats = ("tflite",) if source == trained else ("tflite", "onnx", "openvino")
        for format, file in workbench.export(prepared, FP32, formats=formats).items():
            with load(file, threads=2) as predictor:
                found = [predictor.predict_proba(each) for each in pictures]
            answers[source.suffix, format] = np.stack(found)
    expected = answers[".keras", "tflite"]
    assert len(expected) == len(pictures) >= 50
    for which, found in answers.items():
        np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=str(which))

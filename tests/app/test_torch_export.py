"""PyTorch networks, from a file and from memory, to artifacts that answer as PyTorch does."""

import numpy as np
import pytest
from PIL import Image

import edgeferry
from edgeferry.app.cli import run
from edgeferry.app.export import ExportOptions
from edgeferry.errors import SourceError, UsageError
from edgeferry.preprocessing import preprocess

torch = pytest.importorskip("torch")
pytest.importorskip("tensorflow")
nn = torch.nn


class Pets(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.body = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.skip = nn.Conv2d(8, 8, 1, stride=2)
        self.head = nn.Linear(8, 4)
        nn.init.normal_(self.head.weight, std=12)

    def forward(self, x):
        return self.head(self.features(x)).softmax(dim=1)

    def features(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        return torch.relu(self.body(x) + self.skip(x)).mean(dim=(2, 3))

    def settle(self, images):
        """Let every class win on some pictures: what they have in common scores nothing."""
        with torch.no_grad():
            common = self.features(as_tensor(images)).mean(dim=0)
            self.head.bias.copy_(-self.head.weight @ common)


def as_tensor(images):
    return torch.from_numpy(preprocess(images, "torch").transpose(0, 3, 1, 2).copy())


@pytest.fixture
def pets(images):
    torch.manual_seed(0)
    module = Pets().eval()
    module.settle(images)
    return module


@pytest.fixture
def images():
    random = np.random.default_rng(1)
    blocks = random.integers(0, 256, (40, 3, 3, 3), np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture
def pictures(tmp_path, images):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02}.png")
    return folder


def answers(module, images):
    with torch.no_grad():
        return module(as_tensor(images)).numpy()


def test_a_module_in_memory(pets, images, pictures, tmp_path):
    expected = answers(pets, images)
    assert np.ptp(expected, axis=0).max() > 0.3
    pets.train()
    options = ExportOptions(
        calibration=pictures, preprocessing="torch", precisions=("fp32", "int8"), size=(24, 24)
    )
    report = edgeferry.export(pets, tmp_path / "out", options)
    assert pets.training and pets.norm.training
    assert len(report.artifacts) == 6
    for artifact in report.artifacts:
        assert artifact.path.name.startswith("Pets.")
        with edgeferry.load(artifact.path, threads=1) as predictor:
            assert "torch" in predictor.contract.versions
            given = predictor.predict_proba(images)
        if artifact.precision == "fp32":
            np.testing.assert_allclose(given, expected, atol=1e-5)
        else:
            assert np.mean(given.argmax(1) == expected.argmax(1)) >= 0.9


def test_a_program_by_the_command(pets, images, pictures, tmp_path, capfd):
    example = torch.zeros(1, 3, 24, 24)
    torch.export.save(torch.export.export(pets.eval(), (example,)), tmp_path / "pets.pt2")
    command = ["export", str(tmp_path / "pets.pt2"), "-o", str(tmp_path / "out")]
    assert run([*command, "--preprocessing", "torch", "--precisions", "fp32"]) == 0
    capfd.readouterr()
    told = ["--images", str(pictures), "--reference", str(tmp_path / "pets.pt2")]
    assert run(["evaluate", str(tmp_path / "out"), *told]) == 0
    for suffix in ("tflite", "onnx", "xml"):
        with edgeferry.load(tmp_path / "out" / f"pets.fp32.{suffix}", threads=1) as predictor:
            given = predictor.predict_proba(images)
        np.testing.assert_allclose(given, answers(pets, images), atol=1e-5)


def test_a_grayscale_module(images, tmp_path):
    torch.manual_seed(0)
    module, gray = Pets(channels=1).eval(), images[..., :1]
    options = ExportOptions(
        preprocessing="zero_one", precisions=("fp32",), formats=("onnx",), size=(24, 24)
    )
    (artifact,) = edgeferry.export(module, tmp_path / "out", options).artifacts
    scaled = torch.from_numpy(gray.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    with edgeferry.load(artifact.path) as predictor, torch.no_grad():
        np.testing.assert_allclose(predictor.predict_proba(gray), module(scaled), atol=1e-5)


def test_a_module_without_a_size_is_refused(pets, tmp_path):
    options = ExportOptions(preprocessing="torch", precisions=("fp32",))
    with pytest.raises(UsageError, match="Pets does not tell the size of its pictures"):
        edgeferry.export(pets, tmp_path / "out", options)


def test_a_module_that_cannot_be_traced_is_refused(tmp_path):
    class Wayward(Pets):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    options = ExportOptions(preprocessing="torch", precisions=("fp32",), size=(24, 24))
    with pytest.raises(SourceError, match="PyTorch cannot export Wayward"):
        edgeferry.export(Wayward(), tmp_path / "out", options)
    assert not (tmp_path / "out").exists()

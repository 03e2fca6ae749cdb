"""Exported PyTorch programs answer as PyTorch does, and nothing that they hold is run."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgeferry import torch_source
from edgeferry.errors import MissingDependencyError, SourceError
from edgeferry.trained_model import load_trained_model

torch = pytest.importorskip("torch")
nn = torch.nn
PICTURES = np.random.default_rng(0).normal(size=(4, 3, 24, 32)).astype(np.float32)


class Residual(nn.Module):
    def __init__(self, *inner):
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x):
        return torch.relu(self.inner(x) + x)


class Joined(nn.Module):
    """Branches, a upsampling between, and outputs of two kinds."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.up = nn.Conv2d(9, 5, 1)

    def forward(self, x):
        small = nn.functional.leaky_relu(self.down(x), 0.1)
        big = nn.functional.interpolate(small, scale_factor=2, mode="bilinear")
        return self.up(torch.cat([big, x], dim=1)), small.mean(dim=(2, 3))


NETWORKS = {
    "residual": lambda: [
        nn.Conv2d(3, 8, 7, 2, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        Residual(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ],
    "inverted residual": lambda: [
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.Hardswish(),
        Residual(
            nn.Conv2d(8, 24, 1),
            nn.SiLU(),
            nn.Conv2d(24, 24, 5, 1, 2, groups=24),
            nn.ReLU6(),
            nn.Conv2d(24, 8, 1),
        ),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8, 5),
        nn.Softmax(-1),
    ],
    "alexnet": lambda: [
        nn.Conv2d(3, 6, 5, 2, 2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d((6, 4)),
        nn.Flatten(),
        nn.Linear(144, 5),
    ],
    "grouped, dilated, transposed": lambda: [
        nn.Conv2d(3, 6, 3, padding=2, dilation=2, groups=3),
        nn.GELU(),
        nn.ConvTranspose2d(6, 4, 2, stride=2),
        nn.ELU(),
        nn.PReLU(4),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    ],
    "two outputs": lambda: [Joined()],
}


def network(name, seed=0):
    torch.manual_seed(seed)
    module = nn.Sequential(*NETWORKS[name]()).train()
    with torch.no_grad():
        module(torch.from_numpy(PICTURES))  # batch norm sees what it normalizes
    return module.eval()


def save(module, path, batch=None):
    example = torch.from_numpy(PICTURES[: batch or 2])
    dynamic = None if batch else ({0: torch.export.Dim.AUTO},)
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=dynamic), path)
    return path


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_answers_as_the_module_does(tmp_path, name, batch):
    module = network(name)
    loaded = load_trained_model(save(module, tmp_path / "pets.pt2", batch))
    assert (loaded.name, loaded.kind, loaded.input_shape) == ("pets", "torch", (batch, 24, 32, 3))
    pictures = PICTURES[: batch or 3]
    with torch.no_grad():
        expected = module(torch.from_numpy(pictures))
    given = list(loaded.predict(pictures.transpose(0, 2, 3, 1)).values())
    expected = expected if isinstance(expected, tuple) else [expected]
    for ours, theirs in zip(given, expected, strict=True):
        theirs = theirs.numpy()
        theirs = theirs.transpose(0, 2, 3, 1) if theirs.ndim == 4 else theirs
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_digest_is_that_of_the_network(tmp_path):
    first, again, other = (
        load_trained_model(save(network("residual", seed), tmp_path / f"{name}.pt2")).digest()
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again != other


class Touch:
    """A pickle of it writes a file as soon as it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def altered(path, change):
    """The archive with members changed: names and contents, as bytes or parsed JSON."""
    result = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            content, short = old.read(name), name.partition("/")[2]
            if short.endswith(".json"):
                data = json.loads(content)
                change(short, data)
                content = json.dumps(data).encode()
            else:
                content = change(short, content) or content
            new.writestr(name, content)
    path.write_bytes(result.getvalue())
    return path


def test_sample_inputs_are_not_unpickled(tmp_path):
    trap = pickle.dumps(Touch(tmp_path / "hurt"))
    path = save(network("residual"), tmp_path / "pets.pt2")
    altered(path, lambda name, held: trap if name == "data/sample_inputs/model.pt" else None)
    assert load_trained_model(path).predict(PICTURES.transpose(0, 2, 3, 1))
    assert not (tmp_path / "hurt").exists()


def first_node(program):
    return program["graph_module"]["graph"]["nodes"][0]


def call(target):
    def change(name, data):
        if name == "models/model.json":
            first_node(data)["target"] = target

    return change


def pickled_weight(name, data):
    if name == "data/weights/model_weights_config.json":
        next(iter(data["config"].values()))["use_pickle"] = True


def expression(text):
    def change(name, data):
        if name == "models/model.json":
            values = data["graph_module"]["graph"]["tensor_values"]
            sizes = next(iter(values.values()))["sizes"]
            sizes[0] = {"as_expr": {"expr_str": text, "hint": None}}

    return change


def enumeration(name, data):
    if name == "models/model.json":
        signature = data["graph_module"]["module_call_graph"][0]["signature"]
        signature["in_spec"] = '[1, {"type": "builtins.dict", "context": '
        signature["in_spec"] += '"[{\\"__enum__\\": \\"os:system\\"}]", "children_spec": []}]'


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (call("torch.load"), "a call of torch.load"),
        (call("torch.ops.load_library"), "a call of torch.ops.load_library"),
        (call("torch.ops.aten.__class__"), "a call of torch.ops.aten.__class__"),
        (call("_operator.methodcaller"), "a call of _operator.methodcaller"),
        (call("#trap:name"), "a call of #trap:name"),
        (pickled_weight, "as a pickle"),
        (expression("__import__('os').system('true')"), "the expression"),
        (expression("().__class__"), "the expression"),
        (expression("Symbol('s0').func(1)"), "the expression"),
        (enumeration, "a structure"),
    ],
)
def test_what_could_run_is_refused(tmp_path, change, told):
    path = altered(save(network("residual"), tmp_path / "pets.pt2"), change)
    with pytest.raises(SourceError) as refusal:
        load_trained_model(path)
    assert told in refusal.value.problem
    assert "no code from files is run" in refusal.value.problem
    assert "torch.nn.Module" in refusal.value.remedy


@pytest.mark.parametrize("missing", ["torch", "onnxscript"])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, missing):
    path = save(network("residual"), tmp_path / "pets.pt2")
    monkeypatch.setattr(torch_source, "is_installed", lambda module: module != missing)
    with pytest.raises(MissingDependencyError, match=missing) as refusal:
        load_trained_model(path)
    assert "edgeferry[torch]" in refusal.value.remedy


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_damaged_program_is_named(tmp_path, share):
    path = save(network("residual"), tmp_path / "pets.pt2")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(SourceError, match=r"pets\.pt2 is damaged, or no exported program"):
        load_trained_model(path)


def test_what_torch_save_writes_is_no_program(tmp_path):
    torch.save(network("residual").state_dict(), tmp_path / "weights.pt2")
    with pytest.raises(SourceError, match="holds no exported program") as refusal:
        load_trained_model(tmp_path / "weights.pt2")
    assert "torch.export.save" in refusal.value.remedy

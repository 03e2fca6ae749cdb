"""PyTorch networks: exported programs and modules, taken over as ONNX graphs."""

from __future__ import annotations

import ast
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.errors import SourceError, UsageError
from edgeferry.registry import is_installed, missing_dependency
from edgeferry.torch_archive import write_checked

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto

_SCOPES = "pkg.torch.onnx.name_scopes"


def require_torch() -> None:
    """Raise unless PyTorch and what it writes ONNX with are installed.

    Raises:
        MissingDependencyError: If one is not; the message names the extra.
    """
    for module in ("torch", "onnxscript"):
        if not is_installed(module):
            raise missing_dependency("taking over PyTorch networks", (module,), "torch")


def is_module(source: Any) -> bool:
    """Whether it is a ``torch.nn.Module``; PyTorch is not loaded for that."""
    return any(each.__module__ == "torch.nn.modules.module" for each in type(source).__mro__)


def program_as_onnx(path: Path) -> ModelProto:
    """An exported program (``.pt2``) as an ONNX model.

    Its nodes are named by the modules they come from.

    Raises:
        SourceError: If it is damaged, holds code, or cannot be written as ONNX.
        MissingDependencyError: If PyTorch is not installed.
    """
    require_torch()
    import torch

    with tempfile.TemporaryDirectory(prefix="edgeferry-") as folder:
        copy = Path(folder, "model.pt2")
        write_checked(path, copy)
        with _quiet():
            try:
                program = torch.export.load(copy)
            except Exception as error:
                raise SourceError(f"{path} is damaged: {_first_line(error)}") from error
            try:
                written = torch.onnx.export(program, dynamo=True, verbose=False)
            except Exception as error:
                raise SourceError(
                    f"PyTorch cannot write {path} as ONNX: {_first_line(error)}"
                ) from error
    assert written is not None
    model: ModelProto = written.model_proto
    _name_by_modules(model)
    return model


def save_module(module: torch.nn.Module, path: Path, size: tuple[int, int] | None) -> None:
    """Write a module as an exported program, in inference mode and for any number of pictures.

    Args:
        module: It takes float32 ``[N, channels, height, width]``; stays as it is.
        path: The ``.pt2`` file.
        size: Height and width of its pictures.

    Raises:
        UsageError: If the size is not given.
        SourceError: If PyTorch cannot export it.
        MissingDependencyError: If what writes ONNX is not installed.
    """
    require_torch()
    import torch

    name = type(module).__name__
    if size is None:
        raise UsageError(
            f"{name} does not tell the size of its pictures", "Give it: ExportOptions(size=...)"
        )
    picture = torch.zeros(2, _channels(module), *size, device=_device(module))
    training = [each for each in module.modules() if each.training]
    module.eval()
    try:
        with _quiet(), torch.no_grad():
            any_number = ({0: torch.export.Dim.AUTO},)
            program = torch.export.export(module, (picture,), dynamic_shapes=any_number)
            torch.export.save(program, path)
    except Exception as error:
        raise SourceError(f"PyTorch cannot export {name}: {_first_line(error)}") from error
    finally:
        for each in training:
            each.training = True


def _channels(module: torch.nn.Module) -> int:
    """Colors that the first convolution takes; 3 where it does not tell."""
    import torch

    first = next((each for each in module.modules() if isinstance(each, torch.nn.Conv2d)), None)
    return 1 if first is not None and first.in_channels == 1 else 3


def _device(module: torch.nn.Module) -> Any:
    return next((each.device for each in module.parameters()), "cpu")


def _name_by_modules(model: ModelProto) -> None:
    for node in model.graph.node:
        told = {each.key: each.value for each in node.metadata_props}
        scopes = [each for each in ast.literal_eval(told.get(_SCOPES, "[]")) if each]
        if scopes:
            node.name = scopes[-2] if len(scopes) > 1 else scopes[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's remarks on its own ways."""
    loggers = [logging.getLogger(name) for name in ("torch", "onnxscript")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0][:200]

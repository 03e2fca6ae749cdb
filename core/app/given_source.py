"""A source model in whatever form it is given, for other processes to read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeferry.torch_source import is_module, save_module
from edgeferry.trained_model import TORCH_SUFFIX

if TYPE_CHECKING:
    import keras
    import torch


def readable(
    source: str | Path | keras.Model | torch.nn.Module, work: Path, size: tuple[int, int] | None
) -> str:
    """The source as a path or name; a model in memory is saved.

    Args:
        source: A path, a name, or a model in memory.
        work: Folder to save it in.
        size: Height and width, for a module of PyTorch.
    """
    if isinstance(source, str | Path):
        return str(source)
    folder = work / "source"
    folder.mkdir()
    if is_module(source):
        path = folder / f"{type(source).__name__}{TORCH_SUFFIX}"
        save_module(source, path, size)
    else:
        from edgeferry.exporters.tracing import save_traced

        path = folder / str(getattr(source, "name", type(source).__name__))
        save_traced(source, path)
    return str(path)

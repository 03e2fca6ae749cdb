"""Reading ``.npy`` and ``.npz`` picture by picture: no pickle, no whole array in memory."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edgeferry.errors import CalibrationError

_USUAL_NAMES = ("images", "pictures", "x", "x_train", "data", "arr_0")
_LABEL_NAMES = ("labels", "label", "y", "y_train", "classes", "targets")
_FOREIGN_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # an encrypted or strangely packed archive
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class ArrayFile:
    """An array of pictures on disk.

    Attributes:
        path: The ``.npy`` or ``.npz`` file.
        member: Name inside the ``.npz``; None for ``.npy``.
        shape: ``(N, H, W)`` or ``(N, H, W, C)``.
    """

    path: Path
    member: str | None
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Each picture in turn, as ``pictures`` gives it."""
        return self.pictures(range(len(self)))

    def pictures(self, indices: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
        """Some pictures, each a fresh uint8 ``[H, W]`` or ``[H, W, C]``, read as it is asked for.

        Args:
            indices: Which, in ascending order: an archive is unpacked only forward.

        Raises:
            CalibrationError: If the file is damaged there.
        """
        with _opened(self.path, self.member) as file:
            _read_header(file, self.path)
            start = file.tell()
            for index in indices:
                picture = np.empty(self.shape[1:], np.uint8)
                file.seek(start + index * picture.nbytes)
                if file.readinto(picture.data) != picture.nbytes:
                    raise CalibrationError(f"{self.path} is cut off")
                yield picture


def open_array(path: Path) -> ArrayFile:
    """Open an array of pictures; of an archive the only one, or the one named ``images`` or ``x``.

    Raises:
        CalibrationError: If it is no uint8 array ``[N, H, W]`` or ``[N, H, W, 1, 3 or 4]``,
            or cut off.
    """
    member = _member(path) if path.suffix.lower() == ".npz" else None
    with _opened(path, member) as file:
        shape = _read_header(file, path)
        start = file.tell()
    pictures = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))
    if not pictures or 0 in shape:
        raise CalibrationError(
            f"{path} holds an array {list(shape)}, not pictures [N, H, W] or [N, H, W, 1, 3 or 4]"
        )
    if _size(path, member) < start + prod(shape):
        raise CalibrationError(f"{path} is cut off: {list(shape)} do not fit into its size")
    return ArrayFile(path, member, shape)


def _member(path: Path) -> str:
    with _errors_mapped(path), zipfile.ZipFile(path) as archive:
        files = archive.namelist()
    names = [name.removesuffix(".npy") for name in files if name.endswith(".npy")]
    usual = [name for known in _USUAL_NAMES for name in names if name.lower() == known]
    others = [name for name in names if name.lower() not in _LABEL_NAMES]
    if usual or len(others) == 1:
        return (usual or others)[0]
    held = f"several arrays: {', '.join(names)}" if names else "no arrays"
    raise CalibrationError(f"{path} holds {held}", "Name the pictures' array 'images'")


def _size(path: Path, member: str | None) -> int:
    if member is None:
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return archive.getinfo(f"{member}.npy").file_size


@contextmanager
def _opened(path: Path, member: str | None) -> Iterator[BufferedIOBase]:
    with _errors_mapped(path):
        if member is None:
            with path.open("rb") as file:
                yield file
        else:
            with zipfile.ZipFile(path) as archive, archive.open(f"{member}.npy") as inner:
                yield cast(BufferedIOBase, inner)


@contextmanager
def _errors_mapped(path: Path) -> Iterator[None]:
    try:
        yield
    except _FOREIGN_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CalibrationError(f"cannot read the array {path}: {reason}") from error


def _read_header(file: BufferedIOBase, path: Path) -> tuple[int, ...]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    shape, fortran, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(
        file
    )
    if dtype != np.uint8 or fortran:
        raise CalibrationError(
            f"{path} holds {'Fortran-ordered ' if fortran else ''}{dtype} values, not uint8",
            "Save the pictures as they are, 0 to 255: array.astype('uint8') in C order",
        )
    return tuple(shape)

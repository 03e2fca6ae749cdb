"""Reading ``.npy`` and ``.npz`` picture by picture: no pickle, no whole array in memory."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from edgeferry.errors import CalibrationError

_USUAL_NAMES = ("images", "pictures", "x", "x_train", "data", "arr_0")


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
        """Each picture in turn, uint8 ``[H, W]`` or ``[H, W, C]``, read from disk as it comes."""
        size = int(np.prod(self.shape[1:]))
        with _opened(self.path, self.member) as file:
            _read_header(file, self.path)
            for _ in range(len(self)):
                data = file.read(size)
                if len(data) != size:
                    raise CalibrationError(f"{self.path} is cut off")
                yield np.frombuffer(data, np.uint8).reshape(self.shape[1:])


def open_array(path: Path) -> ArrayFile:
    """Open an array of pictures.

    Raises:
        CalibrationError: If it is no uint8 array ``[N, H, W]`` or ``[N, H, W, 1, 3 or 4]``.
    """
    try:
        member = _member(path) if path.suffix.lower() == ".npz" else None
        with _opened(path, member) as file:
            shape = _read_header(file, path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CalibrationError(f"cannot read {path}: {error}") from error
    pictures = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))
    if not pictures or 0 in shape:
        raise CalibrationError(
            f"{path} holds an array {list(shape)}, not pictures [N, H, W] or [N, H, W, C]"
        )
    return ArrayFile(path, member, shape)


def _member(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    usual = [name for name in _USUAL_NAMES if name in names]
    if len(names) == 1 or usual:
        return (usual or names)[0]
    raise CalibrationError(
        f"{path} holds several arrays: {', '.join(names)}", "Name the pictures' array 'images'"
    )


@contextmanager
def _opened(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    if member is None:
        with path.open("rb") as file:
            yield file
    else:
        with zipfile.ZipFile(path) as archive, archive.open(f"{member}.npy") as file:
            yield file


def _read_header(file: IO[bytes], path: Path) -> tuple[int, ...]:
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

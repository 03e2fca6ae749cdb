"""Where calibration pictures come from: a folder or list of files, or an array."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.arrays import ArrayFile, open_array
from edgeferry.calibration.sampling import sample_indices, sample_order
from edgeferry.errors import CalibrationError, ImageError
from edgeferry.pictures import PictureFile, find_pictures

_ARRAY_SUFFIXES = (".npy", ".npz")


@dataclass(frozen=True)
class Candidate:
    """A picture that calibration may use.

    Attributes:
        picture: A file not yet read, or uint8 ``[H, W]`` or ``[H, W, C]``.
        class_name: The class that its folder or list names; None where there is none.
    """

    picture: Path | NDArray[np.uint8]
    class_name: str | None = None


class PictureSource(Protocol):
    """Any number of pictures, of which a sample is taken."""

    def __len__(self) -> int:
        """Number of pictures."""

    def sample(self, count: int, seed: int) -> Iterator[Candidate]:
        """Pictures in the order to take them: ``count``, then what may replace unreadable ones."""


@dataclass(frozen=True)
class FileSource:
    """Picture files, perhaps with classes, in an order that does not depend on the machine."""

    pictures: list[PictureFile]

    def __len__(self) -> int:
        return len(self.pictures)

    def sample(self, count: int, seed: int) -> Iterator[Candidate]:
        """All files, a class in turn; the sample is the first that can be read."""
        for file in sample_order(self.pictures, seed):
            yield Candidate(file.path, file.class_name)


@dataclass(frozen=True)
class ArraySource:
    """An array of pictures on disk."""

    array: ArrayFile

    def __len__(self) -> int:
        return len(self.array)

    def sample(self, count: int, seed: int) -> Iterator[Candidate]:
        """``count`` pictures in the array's order."""
        for picture in self.array.pictures(sample_indices(len(self), count, seed)):
            yield Candidate(picture)


def open_source(path: Path) -> PictureSource:
    """Open calibration pictures.

    Args:
        path: A folder of pictures, flat or one sub-folder for each class, a CSV of
            ``file,label``, or a ``.npy`` or ``.npz`` array, uint8 ``[N, H, W(, C)]``.

    Raises:
        CalibrationError: If it is missing, unreadable, or holds no pictures.
    """
    if path.suffix.lower() in _ARRAY_SUFFIXES and not path.is_dir():
        return ArraySource(open_array(path))
    try:
        return FileSource(find_pictures(path))
    except ImageError as error:
        raise CalibrationError(error.problem, error.remedy) from error

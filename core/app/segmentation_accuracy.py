"""How well masks fit: intersection over union, summed up picture by picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeferry.errors import ImageError
from edgeferry.pictures import find_pictures
from edgeferry.runtimes.results import UNSEEN, Mask

IGNORED = 255
"""Class of the pixels of a true mask that count for nothing, by custom."""


class TrueMasks:
    """Masks in files: the class index of every pixel, grayscale or palette.

    Args:
        folder: Files named as the pictures, whatever their suffixes; below it as they are.

    Raises:
        ImageError: If it holds no picture.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {
            each.path.relative_to(folder).with_suffix(""): each.path
            for each in find_pictures(folder)
        }

    def of(self, picture: Path, root: Path) -> NDArray[np.int32]:
        """The mask of a picture: int32 ``[height, width]``.

        Args:
            picture: The picture's file.
            root: The folder of all pictures.

        Raises:
            ImageError: If there is none, or it has several channels.
        """
        file = self._files.get(picture.relative_to(root).with_suffix(""))
        if file is None:
            raise ImageError(f"there is no true mask for {picture.name}")
        with Image.open(file) as mask:
            values = np.asarray(mask)
        if values.ndim != 2:
            raise ImageError(
                f"the mask {file} has {values.shape[2]} channels",
                "One is expected: the class index of each pixel, grayscale or palette",
            )
        return values.astype(np.int32)


@dataclass
class Overlap:
    """Counts pixels by true and found class; memory does not grow with their number.

    Attributes:
        classes: Number of them; with one, there is the class (1) and what is not it (0).
        counts: int64 ``[true, found]``.
    """

    classes: int
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.classes = max(2, self.classes)
        self.counts = np.zeros((self.classes, self.classes), np.int64)

    def add(self, true: NDArray[np.int32], mask: Mask) -> None:
        """Count one picture.

        Args:
            true: int32 ``[height, width]`` of the picture; what is ``IGNORED`` does not count.
            mask: What was found; what the network did not see does not count.

        Raises:
            ImageError: If the mask is of another size, or names classes that there are not.
        """
        found = mask.on_picture()
        if true.shape != found.shape:
            raise ImageError(
                f"a true mask is {true.shape[1]}x{true.shape[0]}, its picture "
                f"{found.shape[1]}x{found.shape[0]}"
            )
        counted = (true != IGNORED) & (found != UNSEEN)
        if counted.any() and true[counted].max() >= self.classes:
            raise ImageError(f"a true mask names class {true[counted].max()} of {self.classes}")
        pairs = true[counted] * self.classes + found[counted]
        counts = np.bincount(pairs, minlength=self.classes**2)
        self.counts += counts.reshape(self.counts.shape)

    def by_class(self) -> list[float | None]:
        """Percent of intersection over union; None where a class is neither there nor found."""
        shared = np.diag(self.counts)
        union = self.counts.sum(axis=0) + self.counts.sum(axis=1) - shared
        return [
            float(100 * one / all_of_them) if all_of_them else None
            for one, all_of_them in zip(shared, union, strict=True)
        ]

    def mean(self) -> float | None:
        """Their mean over the classes that are there or found."""
        known = [each for each in self.by_class() if each is not None]
        return float(np.mean(known)) if known else None

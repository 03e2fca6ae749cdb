"""The calibration sample, decoded once to a file that every exporter streams."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.arrays import ArrayFile, open_array
from edgeferry.calibration.sampling import sample_indices, sample_order
from edgeferry.contract import InputSpec
from edgeferry.errors import CalibrationError, ImageError
from edgeferry.images import to_input
from edgeferry.pictures import find_pictures
from edgeferry.progress import Progress, silent

_ARRAY_SUFFIXES = (".npy", ".npz")


@dataclass(frozen=True)
class CalibrationSet:
    """The pictures to calibrate on, decoded.

    Attributes:
        path: ``.npy`` file, uint8 ``[N, height, width, channels]``.
        images: N.
        skipped: What could not be read, with the reason.
        sha256: Digest of the pictures in order, hexadecimal.
        class_names: The class that each picture's folder names; None where there is none.
    """

    path: Path
    images: int
    skipped: tuple[str, ...]
    sha256: str
    class_names: tuple[str | None, ...]


class StoredPictures:
    """Streams the pictures of a ``CalibrationSet`` from disk, as often as asked.

    Args:
        path: The ``.npy`` file.
    """

    def __init__(self, path: Path) -> None:
        self._array = open_array(path)

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Each picture, uint8 ``[1, height, width, channels]``."""
        for picture in self._array:
            yield picture[None]


@dataclass(frozen=True)
class _Candidate:
    name: str
    class_name: str | None
    picture: Path | NDArray[np.uint8]


def write_calibration(
    source: Path,
    spec: InputSpec,
    count: int,
    seed: int,
    destination: Path,
    progress: Progress = silent,
) -> CalibrationSet:
    """Sample and decode calibration pictures; memory does not grow with their number.

    Args:
        source: A folder of pictures, flat or one sub-folder for each class, a CSV of
            ``file,label``, or a ``.npy`` or ``.npz`` array, uint8 ``[N, H, W(, C)]``.
        spec: The network's input; arrays of just its size are taken as they are.
        count: Largest number of pictures.
        seed: For the sample.
        destination: The ``.npy`` file to write.
        progress: Told after each picture.

    Raises:
        CalibrationError: If no picture can be read.
    """
    candidates, total = _candidates(source, count, seed)
    digest, names, skipped = hashlib.sha256(), [], []
    with destination.open("wb") as file:
        _write_header(file, 0, spec)
        for candidate in candidates:
            try:
                pixels = _prepared(candidate.picture, spec)
            except ImageError as error:
                skipped.append(f"{candidate.name}: {error.problem}")
                continue
            file.write(pixels.data)
            digest.update(pixels.data)
            names.append(candidate.class_name)
            progress("decoding calibration pictures", len(names), total)
            if len(names) == count:
                break
        file.seek(0)
        _write_header(file, len(names), spec)
    if not names:
        raise CalibrationError(
            f"none of the {len(skipped)} pictures in {source} can be read", skipped[0]
        )
    return CalibrationSet(
        destination, len(names), tuple(skipped), digest.hexdigest(), tuple(names)
    )


def _candidates(source: Path, count: int, seed: int) -> tuple[Iterable[_Candidate], int]:
    """Pictures in the order to take them, and how many are wanted."""
    if source.suffix.lower() in _ARRAY_SUFFIXES and source.is_file():
        array = open_array(source)
        return _array_candidates(array, count, seed), min(count, len(array))
    try:
        pictures = find_pictures(source)
    except ImageError as error:
        raise CalibrationError(f"no calibration pictures: {error.problem}", error.remedy) from error
    chosen = sample_order(pictures, seed)
    named = (_Candidate(picture.path.name, picture.class_name, picture.path) for picture in chosen)
    return named, min(count, len(pictures))


def _array_candidates(array: ArrayFile, count: int, seed: int) -> Iterator[_Candidate]:
    chosen = set(sample_indices(len(array), count, seed))
    for index, picture in enumerate(array):
        if index in chosen:
            yield _Candidate(f"picture {index}", None, picture)


def _prepared(picture: Path | NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    if isinstance(picture, np.ndarray) and picture.shape == spec.shape[1:]:
        return picture
    return to_input(picture, spec)


def _write_header(file: object, count: int, spec: InputSpec) -> None:
    """A ``.npy`` header; the format pads it, so that the count can be filled in later."""
    np.lib.format.write_array_header_1_0(
        file,
        {"descr": "|u1", "fortran_order": False, "shape": (count, *spec.shape[1:])},
    )

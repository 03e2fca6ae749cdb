"""The calibration sample, decoded once to a file that every exporter streams."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.arrays import open_array
from edgeferry.calibration.sources import Candidate, open_source
from edgeferry.contract import InputSpec
from edgeferry.errors import CalibrationError, ImageError
from edgeferry.files import atomic_path
from edgeferry.images import to_input
from edgeferry.progress import Progress, logger, silent

_log = logger(__name__)


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


def write_calibration(
    source: Path,
    spec: InputSpec,
    count: int,
    seed: int,
    destination: Path,
    progress: Progress = silent,
) -> CalibrationSet:
    """Sample and decode calibration pictures; memory does not grow with their number.

    A picture that cannot be read is skipped, and replaced where there are more of them.

    Args:
        source: What ``open_source`` takes.
        spec: The network's input; arrays of just its size are taken as they are.
        count: Largest number of pictures, at least 1.
        seed: For the sample.
        destination: The ``.npy`` file to write; nothing stays there after an error.
        progress: Told after each picture.

    Raises:
        CalibrationError: If there are no pictures, or none that can be read.
        OutputError: If the destination cannot be written.
    """
    pictures = open_source(source)
    writer = _Writer(spec, min(count, len(pictures)), progress)
    with atomic_path(destination) as temporary:
        with temporary.open("wb") as file:
            writer.write(file, pictures.sample(count, seed))
        if not writer.class_names:
            raise CalibrationError(
                f"none of the {len(pictures)} pictures in {source} can be read", writer.skipped[0]
            )
    chosen, skipped = len(writer.class_names), len(writer.skipped)
    _log.info(
        "%d of %d pictures of %s, %d skipped, seed %d", chosen, len(pictures), source, skipped, seed
    )
    return CalibrationSet(
        destination,
        chosen,
        tuple(writer.skipped),
        writer.digest.hexdigest(),
        tuple(writer.class_names),
    )


class _Writer:
    """Writes pictures as one array until there are enough, and keeps account of them."""

    def __init__(self, spec: InputSpec, wanted: int, progress: Progress) -> None:
        self.digest = hashlib.sha256()
        self.class_names: list[str | None] = []
        self.skipped: list[str] = []
        self._spec = spec
        self._wanted = wanted
        self._progress = progress

    def write(self, file: BinaryIO, candidates: Iterable[Candidate]) -> None:
        self._write_header(file)
        for candidate in candidates:
            try:
                pixels = _prepared(candidate.picture, self._spec)
            except ImageError as error:
                self.skipped.append(error.problem)
                continue
            file.write(pixels.data)
            self.digest.update(pixels.data)
            self.class_names.append(candidate.class_name)
            done = len(self.class_names)
            self._progress("decoding pictures", done, self._wanted)
            if done == self._wanted:
                break
        file.seek(0)
        self._write_header(file)

    def _write_header(self, file: BinaryIO) -> None:
        """A ``.npy`` header; the format pads it, so that the count can be filled in later."""
        shape = (len(self.class_names), *self._spec.shape[1:])
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": shape}
        )


def _prepared(picture: Path | NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """A picture for the network; an array that has its size already is neither scaled nor cut."""
    if isinstance(picture, np.ndarray):
        shaped = picture if picture.ndim == 3 else picture[..., None]
        if shaped.shape == spec.shape[1:]:
            return shaped
    return to_input(picture, spec)

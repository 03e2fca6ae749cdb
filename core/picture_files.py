"""Which picture files are opened: of the formats that pictures come in, and no traps.

Pillow knows some forty formats. Those not named here run other programs (EPS), or are decoded by
code that hardly any picture needs.
"""

from __future__ import annotations

import os
import re
import warnings
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from edgeferry.errors import ImageError
from edgeferry.threads import lock_for_forks

_USUAL = ("JPEG", "PNG", "BMP", "GIF", "PPM")
"""What Pillow can open without importing all its plugins."""
FORMATS = (*_USUAL, "TIFF", "WEBP", "AVIF", "JPEG2000", "TGA", "QOI", "HEIF", "JXL")
"""Pillow's names of the formats that are read; the last two where a plugin brings them."""

_MOST_JPEG2000 = 40_000_000
"""Pixels of a JPEG 2000 file, whose decoder takes up to 24 bytes for each."""
_MOST_SCANNED, _SCAN = 2_000_000_000, 10_000
"""Pixels that all scans of a JPEG may go over, about two seconds; what a scan costs beside them."""
_MARKER = re.compile(rb"\xff+[^\x00\x01\xd0-\xd8\xff]")
_START_OF_SCAN, _END = 0xDA, 0xD9
_CHUNK = 1 << 16
"""Bytes read at a time. Of larger ones, glibc keeps what pictures took, for each thread."""
_LONGEST = 1 << 29
"""Bytes of a pipe, or of a file that may have too many scans; no picture takes as many."""
_AT_ONCE = 1 << 20
"""Bytes of a file that is read in one go."""
_WARNING_FILTERS = lock_for_forks()


def readable_formats() -> list[str]:
    """Those of ``FORMATS`` that this Pillow can open."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def opened_file(path: str | Path) -> IO[bytes]:
    """Open a picture's file; what is not large is read in one go.

    Decoders read by blocks, of which many threads then keep the more. A pipe is read whole.

    Raises:
        ImageError: If more comes out of a pipe than a picture may take.
    """
    file = open(path, "rb")  # noqa: SIM115 (who reads it closes it)
    if not file.seekable():
        with file:
            return _read_whole(file)
    size = os.fstat(file.fileno()).st_size
    if not 0 < size <= _AT_ONCE:
        return file
    with file:
        return BytesIO(file.read(size))


def _read_whole(pipe: IO[bytes]) -> BytesIO:
    content = BytesIO()
    while chunk := pipe.read(_CHUNK):
        content.write(chunk)
        if content.tell() > _LONGEST:
            raise ImageError(f"more than {_LONGEST} bytes come out of it", "Give a file")
    content.seek(0)
    return content


def open_picture(file: IO[bytes]) -> Image.Image:
    """Read the header alone; a bomb is refused here, before anything is decoded.

    Args:
        file: Can be sought in.

    Raises:
        UnidentifiedImageError: If it is of no format that is read.
        DecompressionBombWarning: If it has more pixels than Pillow takes for safe; or
            DecompressionBombError.
        ImageError: If it is a JPEG file of so many scans that they would take minutes, or a
            JPEG 2000 file that would take gigabytes.
    """
    # The filters are global: without the lock, threads would restore each other's.
    with _WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image: Image.Image = Image.open(file, formats=_USUAL)
        except UnidentifiedImageError:
            image = Image.open(file, formats=readable_formats())
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        _check_scans(file, pixels)
    elif image.format == "JPEG2000" and pixels > _MOST_JPEG2000:
        raise ImageError(f"it is a JPEG 2000 file of {pixels} pixels", "Scale it down first")
    return image


def _check_scans(file: IO[bytes], pixels: int) -> None:
    """Refuse a JPEG file whose decoder would go over its pixels again and again.

    The signature of a scan is rare elsewhere, so that counting it clears nearly every file.
    """
    most = _MOST_SCANNED // (pixels + _SCAN)
    place = file.tell()
    file.seek(0)
    if _quick_count(file) > most:
        file.seek(0)
        data = file.read(_LONGEST)
        if len(data) == _LONGEST or _scans(data, most) > most:
            raise ImageError(
                f"it is a JPEG file of over {most} scans: a decompression bomb?", "Save it anew"
            )
    file.seek(place)


def _quick_count(file: IO[bytes]) -> int:
    count, last = 0, b""
    while chunk := file.read(_CHUNK):
        count += (last + chunk).count(b"\xff\xda")
        last = chunk[-1:]
    return count


def _scans(data: bytes, most: int) -> int:
    """How many scans the decoder finds before the picture's end; it need not know above ``most``.

    Decoded data holds no markers, headers (which may hold a thumbnail) tell their length.
    """
    at = count = 0
    while count <= most and (marker := _MARKER.search(data, at)):
        kind, end = data[marker.end() - 1], marker.end()
        if kind == _END:
            break
        count += kind == _START_OF_SCAN
        at = end + int.from_bytes(data[end : end + 2], "big")
    return count

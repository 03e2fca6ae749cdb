"""The host's part of the preprocessing, in one place: any picture to the network's uint8 input.

Decode, turn upright, bring to RGB or grayscale, resize and crop by the contract's rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from edgeferry.contract import InputSpec
from edgeferry.errors import ImageError, UsageError
from edgeferry.picture_files import open_picture, opened_file, readable_formats
from edgeferry.resizing import needed_size, resized
from edgeferry.views import Size, View, view_of

if TYPE_CHECKING:
    from typing import TypeAlias

ImageLike: TypeAlias = "str | Path | bytes | Image.Image | NDArray[np.uint8]"
"""A file, the bytes of one, a PIL image, or an array ``[H, W]`` or ``[H, W, 1 | 3 | 4]``."""
Color = Literal["rgb", "bgr"]
UNNAMED = "the picture"
"""What errors call a picture that is no file."""

_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_LYING = (5, 6, 7, 8)
"""EXIF orientations that change width and height."""
_LEFT_TO_RESIZE = 1.4
"""Sizes needed that a JPEG decoder has to leave: docs/decisions/0011-scaled-decoding.md."""
_BAND = 1 << 20
"""Pixels that are converted at a time."""


def to_input(picture: ImageLike, spec: InputSpec, color: Color = "rgb") -> NDArray[np.uint8]:
    """Bring a picture to the network's input.

    Turned upright by its EXIF orientation; what is transparent shows white, as in a viewer;
    16 bits become 8 (65535 is white); floats are taken for 0 to 255, or for 0 to 1 where none
    is above 1. Color profiles are not applied. JPEG files that are far larger than needed are
    scaled down by their decoder first, which takes a tenth of the time and memory.

    Args:
        picture: What to bring there. Arrays are uint8 and go the same way as files, also
            where they already have the network's size.
        spec: Size, channels and resize rule.
        color: Channel order of an array: ``bgr`` for OpenCV's.

    Returns:
        Contiguous uint8 ``[height, width, channels]``.

    Raises:
        ImageError: If it cannot be read as a picture, or is larger than Pillow takes for safe.
    """
    return to_input_and_view(picture, spec, color)[0]


def to_input_and_view(
    picture: ImageLike, spec: InputSpec, color: Color = "rgb"
) -> tuple[NDArray[np.uint8], View]:
    """Bring a picture to the network's input, and tell what part of it that is.

    Arguments and errors are those of ``to_input``.
    """
    image, size, full = _open_picture(picture, spec, color)
    if 0 in image.size:
        raise ImageError(f"{_name(picture)} is empty: {image.width} x {image.height} pixels")
    try:
        pixels = np.array(resized(_with_channels(image, spec.channels), size, spec))
    except (OSError, ValueError, MemoryError) as error:
        raise ImageError(f"cannot convert {_name(picture)}: {_reason(error)}") from error
    return pixels.reshape(spec.height, spec.width, spec.channels), view_of(*full, spec)


def read_picture(picture: str | Path | bytes) -> Image.Image:
    """Decode a picture at its full size and turn it upright, in whatever mode it has.

    Raises:
        ImageError: If it cannot be read as a picture, or is larger than Pillow takes for safe.
    """
    return _open_picture(picture, None, "rgb")[0]


_Opened = tuple[Image.Image, Size, tuple[int, int]]
"""A picture, upright; its size where the decoder scaled it, with fractions; its size as stored."""


def _open_picture(picture: ImageLike, spec: InputSpec | None, color: Color) -> _Opened:
    """Decode a picture and turn it upright, in whatever mode it has."""
    if isinstance(picture, np.ndarray):
        image = _from_array(picture, color)
        return image, image.size, image.size
    if not isinstance(picture, str | Path | bytes | Image.Image):
        raise ImageError(
            f"cannot take a {type(picture).__name__} for a picture",
            "Give a path, the bytes of an image file, a PIL image, or a uint8 array",
        )
    try:
        return _opened(picture, spec)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{_name(picture)} is too large to be decoded safely "
            f"(over {Image.MAX_IMAGE_PIXELS} pixels): a decompression bomb?",
            "Scale it down first",
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{_name(picture)} is no picture of a format that is read",
            f"These are: {', '.join(readable_formats())}",
        ) from error
    except ImageError as error:
        raise ImageError(f"cannot read {_name(picture)}: {error.problem}", error.remedy) from error
    except Exception as error:  # a damaged file leads Pillow's decoders to raise anything
        raise ImageError(f"cannot read {_name(picture)}: {_reason(error)}") from error


def _opened(picture: str | Path | bytes | Image.Image, spec: InputSpec | None) -> _Opened:
    if isinstance(picture, Image.Image):
        return _upright(picture, picture.size, picture.size)
    with BytesIO(picture) if isinstance(picture, bytes) else opened_file(picture) as file:
        image = open_picture(file)
        full = image.size
        size = _decode_smaller(image, spec) if spec else full
        return _upright(image, size, full)


def _decode_smaller(image: Image.Image, spec: InputSpec) -> Size:
    """Have a JPEG decoder scale to 1/2, 1/4 or 1/8, as far as there is enough left to resize.

    Returns:
        The size that it will have, where the last pixels may be there in part only.
    """
    if image.format not in ("JPEG", "MPO") or spec.resize.interpolation == "nearest":
        return image.size
    size = (spec.width, spec.height)
    if _orientation(image) in _LYING:
        size = (spec.height, spec.width)
    width, height = needed_size(image.size, size, spec.resize)
    least = (ceil(width * _LEFT_TO_RESIZE), ceil(height * _LEFT_TO_RESIZE))
    drafted = image.draft(None, least)
    return drafted[1][2:] if drafted else image.size


def _upright(image: Image.Image, size: Size, full: tuple[int, int]) -> _Opened:
    image.load()
    orientation = _orientation(image)
    if orientation not in _UPRIGHT:
        return image, size, full
    turned = image.transpose(_UPRIGHT[orientation])
    return (turned, size[::-1], full[::-1]) if orientation in _LYING else (turned, size, full)


def _orientation(image: Image.Image) -> int:
    """By EXIF; 1 is upright."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block raises anything, and does not spoil the picture
        return 1


def _from_array(pixels: NDArray[np.uint8], color: Color) -> Image.Image:
    if pixels.dtype != np.uint8:
        raise ImageError(
            f"a picture array must be uint8, not {pixels.dtype}",
            "Scale it to 0 to 255 and convert it: array.astype('uint8')",
        )
    if color not in ("rgb", "bgr"):
        raise UsageError(f"color must be rgb or bgr, not {color!r}")
    shape = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
    if len(shape) != 3 or shape[2] not in _MODES or pixels.size == 0:
        raise ImageError(
            f"a picture array must be [H, W] or [H, W, 1, 3 or 4], not {list(pixels.shape)}"
        )
    mode = _MODES[shape[2]]
    order = mode.replace("RGB", "BGR") if color == "bgr" else mode
    pixels = np.ascontiguousarray(pixels)
    return Image.frombuffer(mode, (shape[1], shape[0]), pixels, "raw", order, 0, 1)


def _with_channels(image: Image.Image, channels: int) -> Image.Image:
    """RGB or grayscale, 8 bits, without transparency."""
    mode = _MODES[channels]
    if image.mode == mode and not image.has_transparency_data:
        return image
    white = _white(image)
    bands = ((box, _converted(image.crop(box), mode, white)) for box in _bands(image))
    whole = Image.new(mode, image.size)
    for box, band in bands:
        whole.paste(band, box)
    return whole


def _bands(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of some rows each: a large picture shall not lie in memory several times."""
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _converted(image: Image.Image, mode: str, white: float) -> Image.Image:
    image = _with_eight_bits(image, white)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _white(image: Image.Image) -> float:
    """The value that is white, of more than 8 bits."""
    if image.mode in _SIXTEEN_BIT:
        return 65535
    if image.mode != "F":
        return 255
    brightest = max(_numbers(image.crop(box)).max() for box in _bands(image))
    return 1 if brightest <= 1 else 255


def _with_eight_bits(image: Image.Image, white: float) -> Image.Image:
    if image.mode not in (*_SIXTEEN_BIT, "F"):
        return image
    values = _numbers(image) * np.float32(255 / white)
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _numbers(image: Image.Image) -> NDArray[np.float32]:
    """Values of one channel, float32 ``[height, width]``; what is no number is 0."""
    return np.nan_to_num(np.asarray(image, np.float32))


def _name(picture: ImageLike) -> str:
    return str(picture) if isinstance(picture, str | Path) else UNNAMED


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

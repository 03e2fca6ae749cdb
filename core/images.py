"""The host's part of the preprocessing, in one place: any picture to the network's uint8 input.

Decode, turn upright, bring to RGB or grayscale, resize and crop by the contract's rule.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from edgeferry.contract import InputSpec
from edgeferry.errors import ImageError

if TYPE_CHECKING:
    from typing import TypeAlias

ImageLike: TypeAlias = "str | Path | bytes | Image.Image | NDArray[np.uint8]"
"""A file, the bytes of one, a PIL image, or an array ``[H, W]`` or ``[H, W, 1 | 3 | 4]``."""
Color = Literal["rgb", "bgr"]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def to_input(picture: ImageLike, spec: InputSpec, color: Color = "rgb") -> NDArray[np.uint8]:
    """Bring a picture to the network's input.

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
    image = open_picture(picture, color)
    try:
        image = _with_channels(image, spec.channels)
        pixels = np.asarray(_resized(image, spec))
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"{_name(picture)} cannot be decoded: {error}") from error
    return np.ascontiguousarray(pixels.reshape(spec.height, spec.width, spec.channels))


def open_picture(picture: ImageLike, color: Color = "rgb") -> Image.Image:
    """Decode a picture and turn it upright, in whatever mode it has.

    Raises:
        ImageError: If it cannot be read as a picture, or is larger than Pillow takes for safe.
    """
    if isinstance(picture, np.ndarray):
        return _from_array(picture, color)
    if isinstance(picture, Image.Image):
        return ImageOps.exif_transpose(picture)
    if not isinstance(picture, str | Path | bytes):
        raise ImageError(
            f"cannot take a {type(picture).__name__} for a picture",
            "Give a path, the bytes of an image file, a PIL image, or a uint8 array",
        )
    source = BytesIO(picture) if isinstance(picture, bytes) else picture
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source) as image:
                image.load()
                return ImageOps.exif_transpose(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{_name(picture)} is too large to be decoded safely "
            f"(over {Image.MAX_IMAGE_PIXELS} pixels): a decompression bomb?",
            "Scale it down first",
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{_name(picture)} is no picture that Pillow can read") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"cannot read {_name(picture)}: {reason}") from error


def _from_array(pixels: NDArray[np.uint8], color: Color) -> Image.Image:
    if pixels.dtype != np.uint8:
        raise ImageError(f"a picture array must be uint8, not {pixels.dtype}")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.size == 0 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise ImageError(f"a picture array must be [H, W] or [H, W, 1, 3 or 4], not {pixels.shape}")
    if color == "bgr" and pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return Image.fromarray(np.ascontiguousarray(pixels))


def _with_channels(image: Image.Image, channels: int) -> Image.Image:
    """RGB or grayscale; what is transparent shows white, as viewers show it."""
    mode = "RGB" if channels == 3 else "L"
    if image.mode in _SIXTEEN_BIT:
        image = _from_sixteen_bit(image)
    elif image.mode == "F":
        image = Image.fromarray(np.clip(np.rint(np.asarray(image)), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _from_sixteen_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray(np.clip(np.rint(values / 257), 0, 255).astype(np.uint8))


def _resized(image: Image.Image, spec: InputSpec) -> Image.Image:
    rule, size = spec.resize, (spec.width, spec.height)
    resample = _FILTERS[rule.interpolation]
    if rule.method == "squash":
        return image.resize(size, resample)
    if rule.method == "pad":
        return _padded(image, size, resample)
    return _cropped(image, size, rule.crop_ratio, resample)


def _cropped(
    image: Image.Image, size: tuple[int, int], crop_ratio: float, resample: Image.Resampling
) -> Image.Image:
    """Scale until the size divided by the crop ratio is covered, and crop the center."""
    covered = [round(side / crop_ratio) for side in size]
    scale = max(side / own for side, own in zip(covered, image.size, strict=True))
    scaled = [
        max(round(own * scale), side) for own, side in zip(image.size, size, strict=True)
    ]
    left, top = ((a - b) // 2 for a, b in zip(scaled, size, strict=True))
    image = image.resize((scaled[0], scaled[1]), resample)
    return image.crop((left, top, left + size[0], top + size[1]))


def _padded(
    image: Image.Image, size: tuple[int, int], resample: Image.Resampling
) -> Image.Image:
    scale = min(side / own for side, own in zip(size, image.size, strict=True))
    width, height = (max(1, round(own * scale)) for own in image.size)
    canvas = Image.new(image.mode, size)
    corner = ((size[0] - width) // 2, (size[1] - height) // 2)
    canvas.paste(image.resize((width, height), resample), corner)
    return canvas


def _name(picture: ImageLike) -> str:
    return str(picture) if isinstance(picture, str | Path) else "the picture"

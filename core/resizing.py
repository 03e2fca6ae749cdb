"""The contract's resize rule, as Pillow does it."""

from PIL import Image

from edgeferry.contract import InputSpec, ResizeRule
from edgeferry.views import Size, center_part, fitting_size

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def needed_size(own: Size, size: tuple[int, int], rule: ResizeRule) -> Size:
    """The size that a whole picture is scaled to, before anything is cropped.

    Args:
        own: The picture's size.
        size: The size wanted, width first.
        rule: How it is brought there.
    """
    if rule.method == "squash":
        return size
    ratios = [side / old for side, old in zip(size, own, strict=True)]
    scale = min(ratios) if rule.method == "pad" else max(ratios) / rule.crop_ratio
    return own[0] * scale, own[1] * scale


def resized(image: Image.Image, own: Size, spec: InputSpec) -> Image.Image:
    """Scale a picture, and crop or pad it.

    Args:
        image: The picture.
        own: Its size; where the decoder scaled it, with fractions of the last pixels.
        spec: The size wanted, and the rule.

    Returns:
        A picture of that size, in the same mode.
    """
    rule, size = spec.resize, (spec.width, spec.height)
    resample = _FILTERS[rule.interpolation]
    if rule.method == "squash":
        return image.resize(size, resample, (0, 0, *own))
    if rule.method == "pad":
        return _padded(image, own, size, resample)
    return _cropped(image, own, size, rule.crop_ratio, resample)


def _cropped(
    image: Image.Image,
    own: Size,
    size: tuple[int, int],
    crop_ratio: float,
    resample: Image.Resampling,
) -> Image.Image:
    """Scale until the size divided by the crop ratio is covered, and crop the center.

    Only the part that survives the crop is scaled: faster, the same picture, and a strip of a
    picture does not become a giant on the way.
    """
    low, high = center_part(own, size, crop_ratio)
    return image.resize(size, resample, (low[0], low[1], high[0], high[1]))


def _padded(
    image: Image.Image, own: Size, size: tuple[int, int], resample: Image.Resampling
) -> Image.Image:
    width, height = fitting_size(own, size)
    canvas = Image.new(image.mode, size)
    corner = ((size[0] - width) // 2, (size[1] - height) // 2)
    canvas.paste(image.resize((width, height), resample, (0, 0, *own)), corner)
    return canvas

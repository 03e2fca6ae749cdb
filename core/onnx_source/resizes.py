"""Scaling of tensors that are pictures."""

from __future__ import annotations

from typing import Any

from edgeferry.onnx_source.values import Call, Tensor


def resize(call: Call) -> list[Tensor]:
    """``Resize`` and ``Upsample``, nearest and linear, as far as TensorFlow has the same."""
    import tensorflow as tf

    x = call.tensor()
    if x.rank != 4 or None in x.shape[1:]:
        raise call.refuse("it is not of pictures of a known size")
    own = [int(size or 0) for size in x.shape[2:]]
    sizes = _sizes(call, own)
    told = {key: _text(value) for key, value in call.attributes.items()}
    older = call.kind == "Upsample" or call.opset < 11
    where = told.get("coordinate_transformation_mode", "asymmetric" if older else "half_pixel")
    mode = told.get("mode", "nearest")
    held = x.last()
    if mode == "nearest":
        if any(size % before for size, before in zip(sizes, own, strict=True)):
            raise call.refuse("it is by the nearest pixel, and by no whole number")
        result = tf.compat.v1.image.resize_nearest_neighbor(held, sizes)
    elif mode in ("linear", "bilinear") and where in _LINEAR:
        result = tf.compat.v1.image.resize_bilinear(held, sizes, **_LINEAR[where])
    else:
        raise call.refuse(f"it is {mode} with {where}")
    return [Tensor(result, channels_last=True)]


_LINEAR: dict[str, dict[str, bool]] = {
    "half_pixel": {"half_pixel_centers": True},
    "pytorch_half_pixel": {"half_pixel_centers": True},
    "asymmetric": {},
    "align_corners": {"align_corners": True},
}


def _sizes(call: Call, own: list[int]) -> list[int]:
    """Height and width of the result."""
    # Resize has a region of interest before the scales from opset 11 on.
    place = 2 if call.kind == "Resize" and call.opset >= 11 else 1
    scales = call.given(place, "scales")
    if scales:
        return [int(size * scale) for size, scale in zip(own, scales[-2:], strict=True)]
    wanted = call.constant(3)
    if wanted is None:
        raise call.refuse("its size is not known")
    return [int(size) for size in wanted[-2:]]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value

"""Networks of Keras Applications that go by name: how each is built, and what it was trained on."""

import difflib
from dataclasses import dataclass
from typing import Any

from edgeferry.contract import Preprocessing


@dataclass(frozen=True)
class Application:
    """A network of Keras Applications.

    Attributes:
        builder: Its function in ``keras.applications``.
        module: The module there that holds its ``preprocess_input``.
        preprocessing: What that function does; ``none`` where the network holds it itself.
        size: Height and width of the pictures its ImageNet weights were trained for, pixels.
    """

    builder: str
    module: str
    preprocessing: Preprocessing
    size: int = 224


def _efficientnets() -> dict[str, Application]:
    first = (224, 240, 260, 300, 380, 456, 528, 600)
    second = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "s": 384, "m": 480, "l": 480}
    return {
        f"efficientnet_b{number}": Application(f"EfficientNetB{number}", "efficientnet", "none", n)
        for number, n in enumerate(first)
    } | {
        f"efficientnet_v2_{kind}": Application(
            f"EfficientNetV2{kind.upper()}", "efficientnet_v2", "none", n
        )
        for kind, n in second.items()
    }


APPLICATIONS: dict[str, Application] = {
    "resnet50": Application("ResNet50", "resnet", "caffe"),
    "resnet101": Application("ResNet101", "resnet", "caffe"),
    "resnet152": Application("ResNet152", "resnet", "caffe"),
    "resnet50_v2": Application("ResNet50V2", "resnet_v2", "tf"),
    "resnet101_v2": Application("ResNet101V2", "resnet_v2", "tf"),
    "resnet152_v2": Application("ResNet152V2", "resnet_v2", "tf"),
    "vgg16": Application("VGG16", "vgg16", "caffe"),
    "vgg19": Application("VGG19", "vgg19", "caffe"),
    "inception_v3": Application("InceptionV3", "inception_v3", "tf", 299),
    "inception_resnet_v2": Application("InceptionResNetV2", "inception_resnet_v2", "tf", 299),
    "xception": Application("Xception", "xception", "tf", 299),
    "mobilenet": Application("MobileNet", "mobilenet", "tf"),
    "mobilenet_v2": Application("MobileNetV2", "mobilenet_v2", "tf"),
    "mobilenet_v3_small": Application("MobileNetV3Small", "mobilenet_v3", "none"),
    "mobilenet_v3_large": Application("MobileNetV3Large", "mobilenet_v3", "none"),
    "densenet121": Application("DenseNet121", "densenet", "torch"),
    "densenet169": Application("DenseNet169", "densenet", "torch"),
    "densenet201": Application("DenseNet201", "densenet", "torch"),
    **_efficientnets(),
    "nasnet_mobile": Application("NASNetMobile", "nasnet", "tf"),
    "nasnet_large": Application("NASNetLarge", "nasnet", "tf", 331),
    "convnext_tiny": Application("ConvNeXtTiny", "convnext", "none"),
    "convnext_small": Application("ConvNeXtSmall", "convnext", "none"),
    "convnext_base": Application("ConvNeXtBase", "convnext", "none"),
    "convnext_large": Application("ConvNeXtLarge", "convnext", "none"),
    "convnext_xlarge": Application("ConvNeXtXLarge", "convnext", "none"),
}
"""By the name that a user types."""


def build_application(name: str, weights: str | None = "imagenet") -> Any:
    """Build a network of Keras Applications at the size its weights were trained for.

    Args:
        name: A key of ``APPLICATIONS``.
        weights: ``imagenet``, which Keras downloads, or None for random ones.

    Returns:
        The ``keras.Model``.
    """
    import keras

    application = APPLICATIONS[name]
    # MobileNetV3 would otherwise leave height and width open.
    shape = (application.size, application.size, 3)
    return getattr(keras.applications, application.builder)(weights=weights, input_shape=shape)


def nearest_applications(name: str) -> list[str]:
    """Known names that are spelled like another, the nearest first; at most three."""
    return difflib.get_close_matches(name.casefold().replace("-", "_"), APPLICATIONS, n=3)

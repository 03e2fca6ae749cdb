"""Which recipes an export runs through."""

import pytest

from edgeferry.errors import UsageError
from edgeferry.exporters.recipes import recipes_for


def tags(*arguments):
    return [(recipe.file_tag, recipe.activations) for recipe in recipes_for(*arguments)]


def test_precisions_come_in_the_order_asked_for():
    found = recipes_for("openvino", ("int8", "fp32", "fp16"), ("x86",))
    assert [recipe.precision for recipe in found] == ["int8", "fp32", "fp16"]
    assert [recipe.name for recipe in found] == ["int8-static", "fp32", "fp16"]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (("x86",), [("int8", "uint8")]),
        (("arm",), [("int8-arm", "int8")]),
        (("x86", "arm"), [("int8", "uint8"), ("int8-arm", "int8")]),
    ],
)
def test_targets_choose_integer_types_in_onnx(targets, expected):
    assert tags("onnx", ("int8",), targets) == expected


@pytest.mark.parametrize("format", ["tflite", "openvino"])
def test_targets_do_not_matter_to_the_others(format):
    assert tags(format, ("int8",), ("x86", "arm")) == [("int8", "int8")]


def test_every_file_name_stands_for_one_recipe():
    found = recipes_for("onnx", ("fp32", "fp16", "int8"), ("x86", "arm"))
    assert len({recipe.file_tag for recipe in found}) == len(found) == 4
    assert len({recipe.name for recipe in found}) == 4


def test_an_unknown_target_names_the_known():
    with pytest.raises(UsageError, match=r"'riscv'.*x86, arm"):
        recipes_for("onnx", ("fp32",), ("x86", "riscv"))

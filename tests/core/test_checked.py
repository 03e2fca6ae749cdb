"""Values of any origin are what they should be, or a ValueError."""

import json

import pytest

from edgeferry.checked import finite, line, read_json, record, several, whole_number
from edgeferry.contract import SourceInfo


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "text",
    [
        "null",
        '{"a": [1, 2.5, "b", true, null]}',
        nested(100),
        str(10**308),
        f'"{10**400}"',
        '"\\ud83d\\ude00"',
    ],
)
def test_json_is_read_as_it_is(text):
    assert read_json(text) == read_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[-Infinity]",
        "1e999",
        '"\\ud800"',
        nested(101),
        nested(100_000),
        '{"a":' * 100_000,
        "9" * 5000,
        f"[{10**400}]",
        f"[-2{'0' * 308}]",
        b"\xff\xfe",
        "[1]".encode("utf-16"),
        b'"\xed\xa0\x80"',
    ],
)
def test_what_only_python_takes_for_json_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


@pytest.mark.parametrize("value", [True, None, "1", float("nan"), float("inf"), 10**400, [1]])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match="no number"):
        finite(value)


@pytest.mark.parametrize("value", [True, None, "1", 1.0, -1, 1 << 63, 10**400])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ValueError, match="no whole number"):
        whole_number(value)


def test_a_line_cannot_steer_a_terminal():
    assert line("caf\u00e9 \x1b[2J\x9b1m\r\n\0\x7f") == "caf\u00e9 \ufffd[2J\ufffd1m" + "\ufffd" * 4


@pytest.mark.parametrize("value", ["ab", {"a": 1}, None, [], [1, "a"]])
def test_a_list_is_a_list_whose_values_pass(value):
    with pytest.raises(ValueError, match=r"."):
        several(value, whole_number, least=1)


@pytest.mark.parametrize(
    "change", [{"name": 3}, {"preprocessing": "none such"}, {"preprocessing": []}]
)
def test_a_record_has_what_its_class_says(change):
    whole = {"name": "net", "sha256": "0" * 64, "preprocessing": "tf"}
    assert record(SourceInfo, whole) == SourceInfo("net", "0" * 64, "tf")
    with pytest.raises(ValueError, match=r"."):
        record(SourceInfo, {**whole, **change})
    with pytest.raises(ValueError, match="no object"):
        record(SourceInfo, [whole])

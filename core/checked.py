"""Values that others wrote, in files or on a device, and that may be anything."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Value = TypeVar("Value")

_DEEPEST = 100
"""Lists and objects in each other that a document may have."""
_LONG_NUMBER = re.compile(r"\d{309}")
"""Only one as long as that may be more than a float can hold."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def read_json(text: str | bytes) -> Any:
    """What JSON holds, and nothing that only Python takes for JSON.

    Raises:
        ValueError: If it is none, or holds what cannot be written again or computed with: NaN,
            numbers that no float can hold, halves of surrogate pairs, values that lie in each
            other too deep.
    """
    if isinstance(text, bytes):
        text = text.decode()  # json.loads would let halves of pairs pass
    whole = _finite_whole if _LONG_NUMBER.search(text) else None
    try:
        data = json.loads(text, parse_constant=_refuse, parse_float=_finite_text, parse_int=whole)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    _check_depth(data)
    if _SURROGATE.search(text):
        json.dumps(data, ensure_ascii=False).encode()
    return data


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _finite_text(number: str) -> float:
    return finite(float(number))


def _finite_whole(number: str) -> int:
    whole = int(number)
    finite(whole)
    return whole


def _check_depth(data: Any) -> None:
    level = [data] if isinstance(data, dict | list) else []
    for _ in range(_DEEPEST):
        held = (each.values() if isinstance(each, dict) else each for each in level)
        level = [inner for each in held for inner in each if isinstance(inner, dict | list)]
        if not level:
            return
    raise ValueError(_too_deep())


def _too_deep() -> str:
    return f"its values lie more than {_DEEPEST} deep in each other"


def finite(value: Any) -> float:
    """A finite number.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise ValueError(f"{value!r:.40} is no number")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def finite_or_none(value: Any) -> float | None:
    """A finite number, or None.

    Raises:
        ValueError: If it is neither.
    """
    return None if value is None else finite(value)


def whole_number(value: Any, least: int = 0) -> int:
    """A whole number that is not too small, nor larger than 64 bits hold.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 63:
        raise ValueError(f"{value!r:.40} is no whole number of {least} or more")
    return value


def text(value: Any) -> str:
    """A text.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no text")
    return value


def text_or_none(value: Any) -> str | None:
    """A text, or None.

    Raises:
        ValueError: If it is neither.
    """
    return None if value is None else text(value)


def line(value: Any) -> str:
    """A text whose control characters, which could steer a terminal, are replaced.

    Raises:
        ValueError: If it is none.
    """
    return _CONTROLS.sub("\ufffd", text(value))


def several(value: Any, check: Callable[[Any], Value], least: int = 0) -> tuple[Value, ...]:
    """A list whose values pass a check.

    Raises:
        ValueError: If it is no list, is too short, or one of them does not pass.
    """
    if not isinstance(value, list | tuple) or len(value) < least:
        raise ValueError(f"{value!r:.40} is no list of {least} or more")
    return tuple(check(each) for each in value)


def record(kind: type[Value], data: Any) -> Value:
    """A dataclass of texts, numbers and choices, from what ``asdict`` gave.

    Raises:
        ValueError: If a value is of another kind; or KeyError, TypeError.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{data!r:.40} is no object")
    hints = get_type_hints(kind)
    return kind(**{name: _checked(value, hints[name]) for name, value in data.items()})


def _checked(value: Any, hint: Any) -> Any:
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"{value!r:.40} is none of {', '.join(get_args(hint))}")
        return value
    return _CHECKS[hint](value)


_CHECKS: dict[Any, Callable[[Any], Any]] = {str: line, int: whole_number, float: finite}

"""Values of every shape, and documents in which some have taken the place of what belongs there."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

from fuzz.damage import damaged

_TEXTS = (
    "",
    " ",
    "a",
    "caffe",
    "int8",
    "../../etc/passwd",
    "/dev/zero",
    "~",
    "\x1b[2J\x1b]0;title\x07",
    "\u202egnp.exe",
    "[bold]red[/bold]",
    "[/]",
    "{x}",
    "%s%n",
    "<script>alert(1)</script>",
    "a\nb\r\nc\0d",
    "\ud800",
    "𝔘𝔫𝔦",
    "1e999",
    "-1",
    "9" * 400,
    "x" * 20_000,
    "NaN",
    "null",
)
_NUMBERS: tuple[Any, ...] = (
    0,
    1,
    -1,
    2,
    3,
    255,
    1 << 31,
    1 << 63,
    (1 << 64) - 1,
    -(1 << 63),
    10**30,
    10**400,
    0.5,
    -0.0,
    1e-320,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
)


def value(random: Random, depth: int = 3) -> Any:
    """Something that JSON can hold, or nearly."""
    kind = random.randrange(8 if depth else 5)
    if kind == 0:
        return random.choice((None, True, False))
    if kind in (1, 2):
        return random.choice(_NUMBERS)
    if kind in (3, 4):
        return random.choice(_TEXTS)
    size = random.choice((0, 1, 2, 5))
    if kind == 5:
        return {random.choice(_TEXTS): value(random, depth - 1) for _ in range(size)}
    return [value(random, depth - 1) for _ in range(size)]


def changed(document: Any, random: Random) -> Any:
    """A document in which one to three things are not as they should be."""
    document = deepcopy(document)
    for _ in range(random.choice((1, 1, 2, 3))):
        place = _some_place(document, random)
        if place is None:
            return value(random)
        container, key = place
        random.choice(_CHANGES)(container, key, random)
    return document


def _some_place(document: Any, random: Random) -> tuple[Any, Any] | None:
    """A container within a document and a key in it, at any depth."""
    place = None
    while isinstance(document, dict | list) and document:
        keys = list(document) if isinstance(document, dict) else range(len(document))
        place = document, random.choice(list(keys))
        document = place[0][place[1]]
        if random.random() < 0.3:
            break
    return place


def _replace(container: Any, key: Any, random: Random) -> None:
    container[key] = value(random)


def _nudge(container: Any, key: Any, random: Random) -> None:
    """A value of the same kind."""
    was = container[key]
    if isinstance(was, str):
        container[key] = random.choice((*_TEXTS, was + random.choice(_TEXTS), was.upper()))
    elif isinstance(was, int | float):
        container[key] = random.choice((*_NUMBERS, -was, was * 1000))
    elif isinstance(was, list):
        container[key] = random.choice((was * 2, was[:-1], was[::-1], [was], (was * 300)[:600]))
    else:
        container[key] = random.choice(({}, [], [was], {"a": was}))


def _remove(container: Any, key: Any, _: Random) -> None:
    del container[key]


def _add(container: Any, _: Any, random: Random) -> None:
    if isinstance(container, dict):
        container[random.choice(_TEXTS)] = value(random)
    else:
        container.insert(random.randrange(len(container) + 1), value(random))


_CHANGES: tuple[Callable[[Any, Any, Random], None], ...] = (
    _replace,
    _replace,
    _nudge,
    _nudge,
    _nudge,
    _remove,
    _add,
)


def broken_json(text: bytes, random: Random) -> bytes:
    """JSON made of a document: with other values, damaged, nested, or in another encoding."""
    way = random.random()
    if way < 0.7:
        try:
            document = json.loads(text)
        except ValueError:
            return damaged(text, [text], random)
        return json_bytes(changed(document, random))
    if way < 0.85:
        return damaged(text, [text], random)
    return _odd_text(text, random)


def json_bytes(document: Any) -> bytes:
    """What no writer would write as well: NaN, numbers without end, halves of pairs."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _odd_text(text: bytes, random: Random) -> bytes:
    deep = random.choice((10, 1000, 100_000))
    odd = (
        b"",
        b"null",
        b"[" * deep,
        b'{"a":' * deep,
        b"[" * deep + b"]" * deep,
        b'{"schema":' + b"[" * deep + b"]" * deep + b"}",
        b"\xef\xbb\xbf" + text,
        text.decode("utf-8", "replace").encode("utf-16"),
        text.decode("utf-8", "replace").encode("utf-32-be"),
        b"9" * 100_000,
        b'{"schema": 1e999}',
        b'{"schema": ' + b"1" * 5000 + b"}",
        b'"' + b"a" * 1_000_000,
        text[:-1] + b', "schema": 1}',
        text.replace(b":", b"::"),
        bytes(range(256)),
    )
    return random.choice(odd)

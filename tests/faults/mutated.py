"""Whole files -> files that somebody or something has changed."""

import copy
import json
import math
import random
from collections.abc import Iterator
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 255, 10**6, 2**31, 2**63, 10**30, -0.5, 0.5, 1e308, math.nan,
    math.inf, "", "0", "a", "..", "../../outside", "/etc/passwd", "a/b", "a\0b", "\ud800",
    "é" * 300, "None", [], [[]], [0], [-1, math.nan, "a"], {}, {"a": 1}, [[[[0]]]],
)  # fmt: skip
"""Values that a program was not thought for."""


def bytes_of(content: bytes, chance: random.Random) -> bytes:
    """The content with one to four places changed: a bit, a byte, a part lost, doubled or moved."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(changed) + 1)
        length = min(chance.choice((1, 2, 16, 512, 4096)), len(changed) - at)
        match chance.randrange(7):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(changed):
                changed[at] = chance.choice((0, 255, 10, 34, 45, 47, 57))
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                changed[at : at + length] = bytes(length)
            case 5:
                changed[at:at] = chance.randbytes(chance.choice((1, 8, 100)))
            case 6:
                del changed[at:]
    return bytes(changed)


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) of nested dicts and lists."""
    waiting = [content]
    while waiting:
        container = waiting.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            yield container, key
            if isinstance(container[key], dict | list) and container[key]:
                waiting.append(container[key])


def values_of(content: Any, chance: random.Random) -> Any:
    """A copy of nested dicts and lists in which up to three values are odd, lost or doubled."""
    content = json.loads(json.dumps(content))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        found = list(places(content))
        if not found:
            return chance.choice(ODD)
        container, key = chance.choice(found)
        match chance.randrange(4):
            case 0:
                del container[key]
            case 1 if isinstance(container, list):
                container.insert(key, json.loads(json.dumps(container[key])))
            case 1:
                container[f"{key}s"] = container.pop(key)
            case _:
                container[key] = copy.deepcopy(chance.choice(ODD))
    return chance.choice(ODD) if chance.random() < 0.02 else content

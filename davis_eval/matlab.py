"""MATLAB's file, level 5 -> one numeric array of it.

scipy reads them, too, but a damaged file can take the whole process down with it there: a
segmentation fault, with scipy 1.17 for one of two hundred. Source: "MAT-File Format", MathWorks.
"""

import struct
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

HEADER = 128
MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"
}  # fmt: skip
"""Types of data elements that are numbers -> numpy's."""

MOST = 2**28
"""Bytes that a compressed array may unpack to."""

Element = tuple[int, bytes]
"""Type and content."""


def read_array(path: Path, name: str) -> np.ndarray:
    """The real numbers of the variable ``name``, as float64 of its own shape.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged, of another level, or has no such variable of numbers.
    """
    content = path.read_bytes()
    if content[126:128] not in (b"IM", b"MI"):
        raise ValueError("it is no MATLAB file of level 5")
    order = "<" if content[126:128] == b"IM" else ">"
    for kind, part in elements(content[HEADER:], order):
        packed = kind == COMPRESSED
        for inner, variable in elements(unpacked(part), order) if packed else [(kind, part)]:
            parts = list(elements(variable, order)) if inner == MATRIX else []
            if len(parts) == 4 and parts[2][1] == name.encode():
                return numbers(parts[1], parts[3], order)
    raise ValueError(f"it holds no array {name} of real numbers")


def numbers(dimensions: Element, values: Element, order: str) -> np.ndarray:
    """An array's values in its shape; raises ValueError if one does not fit the other."""
    kind, content = values
    shape = np.frombuffer(dimensions[1], f"{order}i4").tolist()
    found = np.frombuffer(content, order + NUMBERS[kind]) if kind in NUMBERS else np.empty(0)
    if min(shape, default=-1) < 0 or found.size != prod(shape):
        raise ValueError(f"it has {found.size} numbers for an array of {shape}")
    return found.reshape(shape, order="F").astype(np.float64)


def unpacked(content: bytes) -> bytes:
    """Decompress; raises ValueError for damage and for more than :data:`MOST` bytes."""
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(content, MOST)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not reader.eof:
        raise ValueError("it is cut off")
    return found


def elements(content: bytes, order: str) -> Iterator[Element]:
    """The data elements one after the other; small ones hold their content in the tag.

    Raises:
        ValueError: One is cut off.
    """
    at = 0
    while at < len(content):
        if at + 8 > len(content):
            raise ValueError("it is cut off")
        kind, size = struct.unpack_from(f"{order}II", content, at)
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            at += 8
        else:
            start = at + 8
            at = start + size + (-size % 8 if kind != COMPRESSED else 0)
        if start + size > len(content) or (start == at - 4 and size > 4):
            raise ValueError("it is cut off")
        yield kind, content[start : start + size]

"""An indexed PNG of the plainest kind -> its indices, in a third of Pillow's time.

Such are DAVIS's masks and those that Pillow writes: 8 bits, not interlaced, no row filtered.
Source: "Portable Network Graphics (PNG) Specification (Third Edition)", W3C, 2025.
"""

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PLAIN = (8, 3, 0, 0, 0)
"""Bits, colours by index, and the only compression, filters and order of rows there are here."""

MOST_PIXELS = 2**26


def plain_indices(content: bytes) -> np.ndarray | None:
    """The indices (H, W), uint8, of a PNG file; None for one that takes a whole decoder.

    That is any other kind of image, and whatever is damaged: sums are checked.
    """
    if not content.startswith(SIGNATURE):
        return None
    header, at = b"", len(SIGNATURE)
    packed: list[bytes] = []
    while at + 12 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        chunk, end = content[at + 4 : at + 8 + size], at + 12 + size
        if content[end - 4 : end] != zlib.crc32(chunk).to_bytes(4, "big"):
            return None
        if kind == b"IEND":
            return unpacked(header, b"".join(packed))
        if kind == b"IHDR" and not header:
            header = chunk[4:]
        elif kind == b"IDAT":
            packed.append(chunk[4:])
        elif kind == b"acTL" or (kind[:1].isupper() and kind != b"PLTE"):
            return None  # several images, or a part of this one that is not known here
        at = end
    return None


def unpacked(header: bytes, packed: bytes) -> np.ndarray | None:
    """The indices that the content of these chunks stands for, or None."""
    if len(header) != 13:
        return None
    width, height, *kind = struct.unpack(">II5B", header)
    if tuple(kind) != PLAIN or not 0 < width * height <= MOST_PIXELS:
        return None
    reader = zlib.decompressobj(-zlib.MAX_WBITS)  # without its own sum: the chunks' are checked
    try:
        content = reader.decompress(packed[2:], height * (width + 1) + 1)
    except zlib.error:
        return None
    if len(content) != height * (width + 1):
        return None
    rows = np.frombuffer(content, np.uint8).reshape(height, width + 1)
    return None if rows[:, 0].any() else rows[:, 1:].copy()

"""Tar shards -> images, any of them by number.

The shards are read where they lie: an index of offsets is made at the start, and each image is one
read. An order of images can thus be drawn as from a folder, and resumed at any image.
"""

import io
import os
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path

import numpy as np
from PIL import Image

from selfpatch.data.images import EXTENSIONS, ImageFiles, Spare, read_image
from selfpatch.errors import InputError

END = 1024
"""Bytes of zeros that end an archive."""

MOST_PADDING = 2**20
"""More zeros than these after the last image are no padding to whole records."""

MOST_SHARDS = 100_000
"""LAION-400M has 41,408."""

Entries = tuple[list[bytes], list[int], list[int]]
"""Names, offsets and sizes of a shard's images."""


class ImageShards:
    """The images of WebDataset shards, by number; labels and other files in them are left alone.

    Args:
        pattern: A folder of ``.tar`` files, one such file, or several by braces as in
            ``train-{0000..0146}.tar``.

    Raises:
        InputError: A shard is missing, compressed or damaged, or there is no image.
    """

    def __init__(self, pattern: str) -> None:
        self.shards = list_shards(pattern)
        with ThreadPoolExecutor(16) as pool:
            entries = list(pool.map(index_shard, self.shards))
        names, offsets, sizes = (
            list(chain.from_iterable(parts)) for parts in zip(*entries, strict=True)
        )
        if not names:
            raise InputError(f"{pattern} holds no image ({', '.join(EXTENSIONS)})")
        # Arrays, which the data loader's workers share.
        self.names, self.offsets, self.sizes = (np.array(x) for x in (names, offsets, sizes))
        self.shard = np.repeat(np.arange(len(entries)), [len(e[0]) for e in entries])

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Shard and name within it."""
        return f"{self.shards[self.shard[index]]}/{os.fsdecode(self.names[index])}"

    def read(self, index: int, spare: Spare | None = None) -> Image.Image:
        """One image as :func:`read_image` gives it; raises InputError if it is damaged."""
        with open(self.shards[self.shard[index]], "rb") as file:
            file.seek(self.offsets[index])
            content = io.BytesIO(file.read(self.sizes[index]))
        return read_image(content, self.name(index), spare)


def list_shards(pattern: str) -> list[str]:
    """The shards' paths; all of them exist."""
    if Path(pattern).is_dir():
        return [str(path) for path in sorted(Path(pattern).glob("*.tar"))]
    from braceexpand import braceexpand

    # The ranges of a pattern are drawn up before the first path is: a billion is refused unseen.
    for first, last in re.findall(r"{(-?\d+)\.\.(-?\d+)", pattern):
        if len(first + last) > 20 or abs(int(last) - int(first)) >= MOST_SHARDS:
            raise InputError(f"{pattern} stands for more than {MOST_SHARDS:,} shards; join some")
    try:
        paths = list(islice(braceexpand(pattern), MOST_SHARDS + 1))
    except ValueError:
        raise InputError(f"{pattern} has a brace without its other one; close it") from None
    if len(paths) > MOST_SHARDS:
        raise InputError(f"{pattern} stands for more than {MOST_SHARDS:,} shards; join some")
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise InputError(f"{missing[0]} does not exist; {len(missing)} of {len(paths)} shards miss")
    return paths


def index_shard(path: str) -> Entries:
    """Where a shard's images lie.

    Raises:
        InputError: It is no tar file, or not all of one: Python's reader takes a damaged header, or
            the end of a file that was cut, for the end of the archive.
    """
    names, offsets, sizes = [], [], []
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if member.isfile() and member.name.lower().endswith(EXTENSIONS):
                    names.append(os.fsencode(member.name))
                    offsets.append(member.offset_data)
                    sizes.append(member.size)
            end = shard.offset
    except tarfile.TarError as error:
        raise InputError(
            f"{path} is no whole, uncompressed tar file ({error}); unpack or fetch it again"
        ) from None
    with open(path, "rb") as file:
        file.seek(end)
        rest = file.read(MOST_PADDING + 1)
    if len(rest) < END or any(rest[:END]):
        raise InputError(
            f"{path} is damaged or cut at byte {end:,}, after {len(names):,} images; fetch it again"
        )
    if any(rest) or len(rest) > MOST_PADDING:
        raise InputError(
            f"{path} goes on after its end at byte {end:,}, as joined tar files do; keep them apart"
        )
    return names, offsets, sizes


def open_images(path: str) -> ImageFiles | ImageShards:
    """A folder of images, or shards: a folder with tar files in it, a tar file, or a pattern.

    Raises:
        InputError: The folder does not exist, holds neither or both, or a shard is damaged.
    """
    if path.endswith(".tar"):
        return ImageShards(path)
    inside = sorted(Path(path).glob("*"))
    shards = [entry for entry in inside if entry.suffix == ".tar"]
    if not shards:
        return ImageFiles(path)
    other = [e for e in inside if e.is_dir() or e.name.lower().endswith(EXTENSIONS)]
    if other:
        raise InputError(
            f"{path} holds both tar files ({shards[0].name}) and images or folders"
            f" ({other[0].name}); give a folder with one of them, or a pattern of the tar files"
        )
    return ImageShards(path)

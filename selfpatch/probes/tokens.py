"""Images -> the features of their patches on disk, computed once for all probes of a backbone."""

import copy
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from selfpatch.atomic import atomic_write
from selfpatch.data.segmented import Part
from selfpatch.errors import InputError
from selfpatch.probes.features import Images, PatchFeatures


class KeptFeatures(PatchFeatures):
    """Features of patches that are computed once and kept in a folder.

    There is one folder in it for each backbone, size, layer, precision and set of images, whose
    paths, sizes in bytes and times of change tell whether they are the same. A run that was killed
    is gone on with; several processes of one machine may fill a folder together.

    Args:
        features: What computes them.
        fingerprint: The backbone's.
        folder: Where to keep them; in half precision, if ``features`` are.
    """

    def __init__(self, features: PatchFeatures, fingerprint: str, folder: Path) -> None:
        super().__init__(
            features.trunk, features.device, features.size, features.layer, features.half
        )
        self.fingerprint, self.folder = fingerprint, folder
        self.dtype = np.dtype(np.float16 if self.half else np.float32)
        self.opened: dict[Images, Kept] = {}

    def items(self, images: Images) -> Dataset[Tensor]:
        """The kept features themselves; those of images that are missing have to be made first."""
        return self.kept(images)

    def read(self, items: Tensor) -> Tensor:
        """Kept features (B, N, D), as floats on the device."""
        return items.to(self.device).float()

    def batches(
        self, images: Images, numbers: Sequence[int], batch: int, workers: int, name: str
    ) -> Iterator[tuple[int, Tensor]]:
        """The features (N, D) of each of these images, with its number."""
        kept = self.kept(images)
        # Whole batches, so that rounding is that of a run that was never stopped.
        parts = [numbers[first : first + batch] for first in range(0, len(numbers), batch)]
        missing = [number for part in parts if not all(map(kept.has, part)) for number in part]
        computed = PatchFeatures(self.trunk, self.device, self.size, self.layer, self.half)
        for number, found in computed.batches(images, missing, batch, workers, name):
            kept.put(number, found)
        if missing:
            kept.tokens.flush()
            kept.done.flush()
        for number in numbers:
            yield number, self.read(kept[number])

    def kept(self, images: Images) -> "Kept":
        """What is kept of these images.

        Raises:
            InputError: It does not fit onto the disk.
        """
        if images not in self.opened and isinstance(images, Part):
            self.opened[images] = self.kept(images.whole).part(images.numbers)
        if images not in self.opened:
            about = {
                "backbone": self.fingerprint,
                "size": self.size,
                "layer": self.layer,
                "precision": self.dtype.name,
                "images": [stamp(file) for file in images.files],
            }
            shape = (len(images.files), self.grid**2, self.width)
            self.opened[images] = Kept(self.folder, about, shape, self.dtype)
        return self.opened[images]


class Kept(Dataset[Tensor]):
    """Features on disk, those of each image once they were computed.

    Args:
        folder: Where to keep them, in a folder of their own.
        about: What they depend on.
        shape: Images, patches, width.
        dtype: Their type.
    """

    def __init__(
        self, folder: Path, about: dict[str, object], shape: tuple[int, int, int], dtype: np.dtype
    ) -> None:
        own = folder / hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
        self.folder = own
        own.mkdir(parents=True, exist_ok=True)
        with open(own / "lock", "w") as lock:  # another process may be about to make the files
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (own / "about.json").exists():
                reserve(own / "tokens.npy", shape, dtype)
                reserve(own / "done.npy", shape[:1], np.dtype(bool))
                with atomic_write(own / "about.json", "w") as file:
                    json.dump(about, file, indent=1)
        self.numbers: Sequence[int] = range(shape[0])
        try:
            self.tokens: np.memmap = np.load(own / "tokens.npy", mmap_mode="r+")
            self.done: np.memmap = np.load(own / "done.npy", mmap_mode="r+")
        except (OSError, ValueError) as error:
            raise InputError(f"{own} is damaged ({error}); delete it") from None

    def part(self, numbers: Sequence[int]) -> "Kept":
        """Those of some of the images, which are counted anew."""
        other = copy.copy(self)
        other.numbers = numbers
        return other

    def __len__(self) -> int:
        return len(self.numbers)

    def has(self, number: int) -> bool:
        """Whether the features of an image are there."""
        return bool(self.done[self.numbers[number]])

    def put(self, number: int, found: Tensor) -> None:
        """Keep the features of an image."""
        self.tokens[self.numbers[number]] = found.cpu().numpy()
        self.done[self.numbers[number]] = True  # after them, for whoever comes after a kill

    def __getitem__(self, number: int) -> Tensor:
        """(N, D), in the kept precision.

        Raises:
            InputError: They were never computed, or in another folder.
        """
        if not self.has(number):
            raise InputError(
                f"{self.folder} lacks the features of image {number}; give all processes one --keep"
                " folder, on a disk of one machine"
            )
        return torch.from_numpy(np.array(self.tokens[self.numbers[number]]))


def stamp(path: Path) -> str:
    """What tells whether a file is still the same."""
    about = path.stat()
    return f"{path.resolve()} {about.st_size} {about.st_mtime_ns}"


def reserve(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Make a file of zeros for an array, and the room for it on the disk.

    Raises:
        InputError: There is too little; a mapped file that has none would end the program.
    """
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    size = int(np.prod(shape)) * dtype.itemsize
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        try:
            os.posix_fallocate(file.fileno(), 0, file.tell() + size)
        except OSError as error:
            path.unlink()
            raise InputError(
                f"{path} needs {size / 2**30:.1f} GiB, which the disk does not have"
                f" ({error.strerror}); make room, or give another --keep DIR or --half"
            ) from None

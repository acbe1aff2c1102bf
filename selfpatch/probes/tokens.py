"""Images -> the tokens of their patches on disk, computed once for all probes of a backbone."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from selfpatch.atomic import atomic_write
from selfpatch.data.segmented import SegmentedImages
from selfpatch.errors import InputError
from selfpatch.probes.segment import PatchFeatures


class KeptFeatures(PatchFeatures):
    """Features of patches that are computed once and kept in a folder.

    There is one folder in it for each backbone, size, precision and set of images, whose paths,
    sizes in bytes and times of change tell whether they are the same. A run that was killed is gone
    on with; two at once on one folder are not meant to be.

    Args:
        features: What computes them.
        fingerprint: The backbone's.
        folder: Where to keep them.
        half: Keep them in half precision, in half the space.
    """

    def __init__(
        self, features: PatchFeatures, fingerprint: str, folder: Path, half: bool = False
    ) -> None:
        super().__init__(features.trunk, features.device, features.size)
        self.fingerprint, self.folder = fingerprint, folder
        self.dtype = np.dtype(np.float16 if half else np.float32)
        self.files: dict[SegmentedImages, tuple[np.memmap, np.memmap]] = {}

    def batches(
        self, scenes: SegmentedImages, numbers: list[int], batch: int, workers: int, name: str
    ) -> Iterator[tuple[int, Tensor]]:
        """The features (N, D) of each of these images, with its number."""
        if scenes not in self.files:
            self.files[scenes] = self.opened(scenes)
        tokens, done = self.files[scenes]
        missing = [number for number in numbers if not done[number]]
        for number, found in super().batches(scenes, missing, batch, workers, name):
            tokens[number] = found.cpu().numpy()
            done[number] = True  # after its tokens, for whoever comes after a kill
        if missing:
            tokens.flush()
            done.flush()
        for number in numbers:
            yield number, torch.from_numpy(tokens[number].astype(np.float32)).to(self.device)

    def opened(self, scenes: SegmentedImages) -> tuple[np.memmap, np.memmap]:
        """The files of these images: their tokens (images, N, D), and which of them are there.

        Raises:
            InputError: They do not fit onto the disk.
        """
        about = {
            "backbone": self.fingerprint,
            "size": self.size,
            "precision": self.dtype.name,
            "images": [stamp(pair.image) for pair in scenes.pairs],
        }
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
        own = self.folder / key
        shape = (len(scenes), self.grid**2, self.trunk.embed_dim)
        if not (own / "about.json").exists():
            own.mkdir(parents=True, exist_ok=True)
            reserve(own / "tokens.npy", shape, self.dtype)
            reserve(own / "done.npy", shape[:1], np.dtype(bool))
            with atomic_write(own / "about.json", "w") as file:
                json.dump(about, file, indent=1)
        tokens, done = (np.load(own / f"{name}.npy", mmap_mode="r+") for name in ("tokens", "done"))
        return tokens, done


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

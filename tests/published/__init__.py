"""Checkpoints that the methods' own code wrote, kept small, and the tokens of its own forward pass.

``NAME.tar.xz`` holds the file or folder as that code wrote it, weights that :func:`fill` drew: they
repeat, so that 100 MB pack to a few kB. ``NAME.json`` says which code it was, ``NAME.safetensors``
holds the tokens that it computes. ``python -m tests.published.write`` makes all three anew.
"""

import io
import json
import lzma
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

FIXTURES = Path(__file__).parent / "fixtures"
PERIOD = 250


@dataclass(frozen=True)
class Written:
    """What is known of one file that a method's own code wrote.

    Attributes:
        name: Of the layout, such as ``dino-full``.
        repository: Whose code it is: ``owner/name`` on GitHub, or a package with its version.
        commit: Of the repository; empty for a package.
        code: The function or script that wrote the file, and the class of the network in it.
        file: What is imported, relative to the archive's root: a file, or ``.`` for the folder.
        method: What the import should call it.
        parameters: Of the trunk, as that code counts them.
        options: What the import has to be told, such as ``{"method": "dino"}``, if anything.
        note: Whatever a reader should know, such as how the second size was computed.
    """

    name: str
    repository: str
    commit: str
    code: str
    file: str
    method: str
    parameters: int
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""


def pattern(start: int, count: int) -> Tensor:
    """``count`` normally distributed numbers that repeat after 250, from the given one on."""
    order = [pow(6, power, 251) for power in range(PERIOD)]  # 6 generates all numbers below 251
    once = torch.special.ndtri((torch.tensor(order, dtype=torch.float64) - 0.5) / PERIOD).float()
    return once.roll(-start).repeat(-(-count // PERIOD))[:count]


def images(height: int, width: int) -> Tensor:
    """Normalised images (1, 3, height, width) that the tokens are of."""
    return pattern(7, 3 * height * width).view(1, 3, height, width).clone()


@torch.no_grad()
def fill(module: nn.Module) -> None:
    """Draw whatever is trained in a network, so that no bias, norm or scale is a neutral element.

    What is fixed stays: sine-cosine positions, indices, periods.
    """
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    running = {name: b for name, b in module.named_buffers() if "running_" in name}
    for name, value in {**trained, **running}.items():
        drawn = pattern(zlib.crc32(name.encode()) % PERIOD, value.numel()).view(value.shape)
        last = name.rsplit(".", 1)[-1]
        if last == "running_var":
            drawn = 1 + 0.3 * drawn.abs()
        elif value.ndim == 1 and last in ("weight", "gamma", "lambda1"):
            drawn = 1 + 0.2 * drawn  # a norm's or a layer scale
        elif value.ndim == 1:
            drawn = 0.2 * drawn
        elif value.ndim >= 2 and last in ("weight", "in_proj_weight", "weight_v"):
            drawn = drawn / value[0].numel() ** 0.5
        else:  # positions, tokens, tables of relative positions
            drawn = 0.5 * drawn
        value.copy_(drawn)


def keep(written: Written, folder: Path, tokens: Callable[[Tensor], Tensor], *sizes: Any) -> None:
    """Pack a folder's files, and the tokens (B, N, D) of images of the given (height, width)."""
    FIXTURES.mkdir(exist_ok=True)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            entry = archive.gettarinfo(path, str(path.relative_to(folder)))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            if path.is_file():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
    stem = FIXTURES / written.name
    stem.with_suffix(".tar.xz").write_bytes(lzma.compress(packed.getvalue(), preset=6))
    stem.with_suffix(".json").write_text(json.dumps(asdict(written), indent=2) + "\n")
    with torch.no_grad():
        found = {f"{h}x{w}": tokens(images(h, w)).float().contiguous() for h, w in sizes}
    stem.with_suffix(".safetensors").write_bytes(save(found))


def names() -> list[str]:
    """Every layout that is kept."""
    return sorted(path.stem for path in FIXTURES.glob("*.json"))


def unpacked(name: str, folder: Path) -> tuple[Written, Path]:
    """What is known of a layout, and where its file or folder lies once it is unpacked."""
    written = Written(**json.loads((FIXTURES / f"{name}.json").read_text()))
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return written, folder / written.file


def tokens_of(name: str) -> dict[tuple[int, int], Tensor]:
    """(height, width) -> the tokens (1, N, D) that the method's own code computes."""
    found = load_file(FIXTURES / f"{name}.safetensors")
    return {(int(k.split("x")[0]), int(k.split("x")[1])): v for k, v in found.items()}

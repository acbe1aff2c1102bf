"""Label propagation per frame, in turns with its dense definition, and the network before it.

Rows: the network in bf16 beside fp32; propagation beside ``label_frame_densely``; the mask of the
frame beside a plain argmax; and all three, in fp32, beside the same with the textbook's parts.

Example:
    python -m tools.benchmarks.tracking --patch-size 16 8
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from davis_eval.propagation import hard_mask, label_frame, label_frame_densely, tile_threads
from davis_eval.settings import Propagation
from selfpatch.models.trunks import build_trunk
from tools.benchmarks.turns import (
    Work,
    add_arguments,
    flops,
    in_turns,
    matmul_rate,
    peak_mib,
    report,
)

HEIGHT, WIDTH = 480, 832
SETTINGS = Propagation()
COLUMNS = (
    "patch", "part", "ms", "textbook ms", "ratio", "GFLOP", "share of peak", "largest difference",
    "peak MiB", "textbook peak MiB",
)  # fmt: skip


class Video:
    """One frame of a video to label, and all that is needed for it.

    Args:
        patch_size: Pixels per patch.
        device: Device to compute on.
    """

    def __init__(self, patch_size: int, device: str) -> None:
        torch.manual_seed(0)
        grid = (HEIGHT // patch_size, WIDTH // patch_size)
        base = torch.randn(*grid, 384)
        alike = [F.normalize(base + torch.randn(*grid, 384), dim=-1).to(device) for _ in range(9)]
        self.target, self.sources = alike[0], alike[1:]
        self.labels = torch.rand(len(self.sources), *grid, 2).to(device)
        self.image = torch.randn(1, 3, HEIGHT, WIDTH).to(device)
        self.vit = build_trunk("vit_small", patch_size=patch_size).eval().to(device)
        self.patch_size = patch_size
        self.threads = tile_threads(self.target.device)

    def network(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Tokens of the frame."""
        with torch.autocast(self.image.device.type, dtype, enabled=dtype != torch.float32):
            return self.vit(self.image).float()

    def propagation(self) -> Tensor:
        """Labels of the frame, our way."""
        return label_frame(self.target, self.sources, self.labels, SETTINGS, self.threads)

    def dense_propagation(self) -> Tensor:
        """Labels of the frame, by their definition."""
        return label_frame_densely(self.target, self.sources, self.labels, SETTINGS)

    def mask(self) -> Tensor:
        """Mask of the frame, our way."""
        return hard_mask(self.labels[0].permute(2, 0, 1), self.patch_size)

    def plain_mask(self) -> Tensor:
        """Mask of the frame: enlarged, each label stretched to 0 ... 1, the largest one."""
        labels = self.labels[0].permute(2, 0, 1)[None]
        fine = F.interpolate(labels, scale_factor=self.patch_size, mode="bilinear")[0]
        low, high = fine.amin((1, 2), keepdim=True), fine.amax((1, 2), keepdim=True)
        return ((fine - low) / (high - low)).argmax(0).to(torch.uint8)

    def frame(self) -> None:
        """All that a frame takes, our way."""
        self.network(), self.propagation(), self.mask()

    def plain_frame(self) -> None:
        """All that a frame takes, with the textbook's parts."""
        self.network(), self.dense_propagation(), self.plain_mask()


class InTurn(ThreadPoolExecutor):
    """No thread of its own: what counts operations sees those of its own thread only."""

    def map(self, function: Any, *iterables: Any, **_: Any) -> Iterator[Any]:  # type: ignore[override]
        """Call it right away."""
        return map(function, *iterables)


@torch.inference_mode()
def measure(
    patch_size: int, device: str, pairs: int, rates: Sequence[float]
) -> Iterator[Sequence[Any]]:
    """The rows of one patch size; ``rates`` are a matrix product's in fp32 and bf16, in FLOP/s."""
    video = Video(patch_size, device)
    parts: dict[str, tuple[Work, Work, float]] = {
        "network, bf16 beside fp32": (
            lambda: video.network(torch.bfloat16),
            video.network,
            difference(video.network(torch.bfloat16), video.network()),
        ),
        "propagation": (
            video.propagation,
            video.dense_propagation,
            difference(video.propagation(), video.dense_propagation()),
        ),
        "mask": (video.mask, video.plain_mask, difference(video.mask(), video.plain_mask())),
        "frame": (video.frame, video.plain_frame, 0.0),
    }
    for name, (ours, textbook, apart) in parts.items():
        turns = in_turns(ours, textbook, pairs, device)
        seconds, plain_seconds = turns.seconds
        threads, video.threads = video.threads, InTurn()
        count = flops(ours)
        video.threads = threads
        peaks: list[Any] = ["", ""]
        if name == "frame":
            peaks = [peak_mib(run, patch_size, device, way) for way in ("frame", "plain_frame")]
        yield [
            patch_size, name, 1e3 * seconds, 1e3 * plain_seconds, turns.ratio, count / 1e9,
            count / seconds / rates["bf16" in name], apart, *peaks,
        ]  # fmt: skip


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference of two results."""
    return float((one.float() - other.float()).abs().max())


@torch.inference_mode()
def run(patch_size: int, device: str, way: str) -> None:
    """Label one frame in a process of its own."""
    getattr(Video(patch_size, device), way)()


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patch-size", type=int, nargs="+", default=[16])
    add_arguments(parser, pairs=5)
    args = parser.parse_args()
    rates = [matmul_rate(args.device, dtype) for dtype in (torch.float32, torch.bfloat16)]
    print(f"ViT-S, {WIDTH}x{HEIGHT}; matrix products in GFLOP/s: ", end="")
    print(f"{rates[0] / 1e9:.0f} in fp32, {rates[1] / 1e9:.0f} in bf16\n")
    rows = [
        row
        for patch_size in args.patch_size
        for row in measure(patch_size, args.device, args.pairs, rates)
    ]
    report(COLUMNS, rows, args)


if __name__ == "__main__":
    main()

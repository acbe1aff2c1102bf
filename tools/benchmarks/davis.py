"""Time label propagation and feature extraction per frame, beside the dense definition.

Example:
    python -m tools.benchmarks.davis --patch-size 16 8
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from davis_eval.propagation import (
    Propagation,
    hard_mask,
    label_frame,
    label_frame_densely,
    tile_threads,
)
from selfpatch.models.trunks import build_trunk

HEIGHT, WIDTH = 480, 832


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Median time of a call, after one that does not count."""
    run()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


@torch.inference_mode()
def measure(patch_size: int, repeats: int, dense: bool) -> str:
    """One line of the table; the peak is that of a process before it runs the dense definition."""
    torch.manual_seed(0)
    settings = Propagation()
    grid = (HEIGHT // patch_size, WIDTH // patch_size)
    num_context = settings.context_frames + 1
    base = torch.randn(*grid, 384)
    sources = [F.normalize(base + torch.randn(*grid, 384), dim=-1) for _ in range(num_context)]
    target = F.normalize(base + torch.randn(*grid, 384), dim=-1)
    labels = torch.rand(num_context, *grid, 2)
    pool = tile_threads(target.device)

    vit = build_trunk("vit_small", patch_size=patch_size).eval()
    image = torch.randn(1, 3, HEIGHT, WIDTH)
    times = [seconds(lambda: vit(image), repeats)]
    with torch.autocast("cpu", torch.bfloat16):
        times.append(seconds(lambda: vit(image), repeats))
    times.append(seconds(lambda: label_frame(target, sources, labels, settings, pool), repeats))
    times.append(seconds(lambda: hard_mask(labels[0].permute(2, 0, 1), patch_size), repeats))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = f"{patch_size:5d}" + "".join(f"{value:11.3f}" for value in times)
    if dense:
        ours = label_frame(target, sources, labels, settings, pool)
        theirs = label_frame_densely(target, sources, labels, settings)
        reference = seconds(lambda: label_frame_densely(target, sources, labels, settings), 1)
        difference = float((ours - theirs).abs().max())
        line += f"{reference:11.3f}{reference / times[2]:8.1f}{difference:12.1e}"
    return f"{line}{peak:13.0f}"


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patch-size", type=int, nargs="+", default=[16])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-dense", action="store_true", help="skip what takes memory")
    args = parser.parse_args()
    print(f"ViT-S, {WIDTH}x{HEIGHT}, {torch.get_num_threads()} threads; seconds per frame")
    names = ["fp32 net", "bf16 net", "propagate", "mask"]
    names += [] if args.no_dense else ["dense", "ratio", "difference"]
    widths = [11, 11, 11, 11, 11, 8, 12][: len(names)]
    columns = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    print(f"patch{columns}{'peak MiB':>13}")
    # A process for each line, so that each has its own peak.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for patch_size in args.patch_size:
            print(pool.apply(measure, (patch_size, args.repeats, not args.no_dense)), flush=True)


if __name__ == "__main__":
    main()

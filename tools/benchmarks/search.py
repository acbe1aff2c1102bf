"""A bank of labelled patches of any size: how long its search takes, and how much memory.

The bank is drawn: unit vectors around some centres, one or two classes each. The textbook compares
all queries with all of the bank, sorts nothing and keeps nothing: a bare matrix product by parts.

Example:
    python -m tools.benchmarks.search --rows 1000000 10000000 --half
"""

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from selfpatch.probes.bank import search_seconds
from selfpatch.probes.in_context import NEIGHBOURS, PART, Bank, Shares, read_out
from tools.benchmarks.turns import add_arguments, in_turns, peak_mib, report

CLASSES, CENTRES, DRAWN = 150, 500, 2**17
COLUMNS = ("rows", "precision", "bank GiB", "s an image", "said before", "product alone, s",
           "ratio", "peak GiB of the process")  # fmt: skip


def drawn(rows: int, width: int, dtype: torch.dtype, device: str) -> Bank:
    """A bank of ``rows`` patches; every second one shows two classes."""
    generator = torch.Generator(device).manual_seed(0)
    centres = torch.randn(CENTRES, width, device=device, generator=generator)
    vectors = torch.empty(rows, width, dtype=dtype, device=device)
    for part in vectors.split(DRAWN):
        which = torch.randint(CENTRES, (len(part),), device=device, generator=generator)
        noise = torch.randn(len(part), width, device=device, generator=generator)
        part.copy_(F.normalize(centres[which] + noise, dim=-1))
    counts = 1 + torch.arange(rows, device=device) % 2
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    classes = torch.randint(CLASSES, (int(starts[-1]),), device=device, generator=generator)
    shares = (1.0 / counts).repeat_interleave(counts)
    return Bank(vectors, Shares(starts, classes.to(torch.int16), shares))


def product(queries: Tensor, bank: Tensor) -> None:
    """All similarities, by parts, in the queries' precision."""
    for part in bank.split(PART.get(bank.device.type, PART["cpu"])):
        queries @ part.to(queries.dtype).T


def one_search(rows: int, width: int, queries: int, half: bool, device: str) -> None:
    """What takes memory: a bank and one image's read-out."""
    bank = drawn(rows, width, torch.float16 if half else torch.float32, device)
    read_out(torch.randn(queries, width, device=device), bank, CLASSES)


def measure(args: argparse.Namespace, rows: int) -> list[Any]:
    """A row of the table."""
    dtype = torch.float16 if args.half else torch.float32
    peak = peak_mib(one_search, rows, args.width, args.queries, args.half, args.device) / 2**10
    bank = drawn(rows, args.width, dtype, args.device)
    queries = F.normalize(bank.features[:: rows // args.queries][: args.queries].float(), dim=-1)
    said = search_seconds(bank.features, len(queries), NEIGHBOURS)
    turns = in_turns(
        lambda: read_out(queries, bank, CLASSES),
        lambda: product(queries, bank.features),
        args.pairs,
        args.device,
    )
    ours, alone = turns.seconds
    size = bank.features.nbytes / 2**30
    return [rows, str(dtype)[6:], size, ours, said, alone, 1 / turns.ratio, peak]


def main() -> None:
    """Measure each size, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--queries", type=int, default=1024, help="patches of an image")
    parser.add_argument("--half", action="store_true", help="the bank in half precision")
    add_arguments(parser, pairs=3)
    args = parser.parse_args()
    report(COLUMNS, [measure(args, rows) for rows in args.rows], args)


if __name__ == "__main__":
    main()

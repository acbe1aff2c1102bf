"""Training steps fed from disk, in turns with the same steps on views that are at hand already.

The share of the second's speed that the first reaches is what the data cost.

Examples:
    python -m tools.benchmarks.loop --data DIR
    python -m tools.benchmarks.loop --data DIR --device cuda --precision bf16 --batch 128
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from selfpatch.engine.loop import add_gradients, move
from selfpatch.engine.optimizer import PRECISIONS
from selfpatch.engine.preprocessor import with_views
from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.engine.runner import image_loader
from tools.benchmarks.step import CONFIGS, METHODS, SETTINGS, build, optimizer_of
from tools.benchmarks.turns import add_arguments, in_turns, report

COLUMNS = ("method", "s per step from disk", "images/s", "s of the step alone", "share")


def main() -> None:
    """Read the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, pairs=3)
    parser.add_argument("--data", required=True, help="image folder or tar shards")
    parser.add_argument("--precision", choices=list(PRECISIONS)[:2], default="fp32")
    parser.add_argument("--batch", type=int, default=8, help="images of a step")
    parser.add_argument("--variant", default="vit_small")
    parser.add_argument("--workers", type=int, default=1, help="processes that read images")
    parser.add_argument("--steps", type=int, default=2, help="of a counted run")
    args = parser.parse_args()
    report(COLUMNS, [measured(method, args) for method in METHODS], args)


def measured(method: str, args: argparse.Namespace) -> list:
    """A row of the table."""
    model = build(method, args.variant, args.device)
    optimizer = optimizer_of(model, args.precision)
    batches = endless(method, model, args)
    at_hand: list[Tensor] = next(batches)["views"]

    def train(views: list[Tensor]) -> None:
        add_gradients(model, optimizer, views, SETTINGS.teacher_temp)
        move(model, optimizer, SETTINGS)

    def from_disk() -> None:
        for batch in islice(batches, args.steps):
            train(batch["views"])

    def alone() -> None:
        for _ in range(args.steps):
            train(at_hand)

    turns = in_turns(from_disk, alone, args.pairs, args.device)
    loop, step = (seconds / args.steps for seconds in turns.seconds)
    return [method, loop, args.batch / loop, step, turns.ratio]


def endless(method: str, model: Pretrainer, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Batches with their views, epoch after epoch."""
    cfg = Config.fromfile(CONFIGS / METHODS[method])
    cfg.total_batch_size = args.batch
    cfg.train_dataloader = {
        "folder": args.data,
        "num_workers": args.workers,
        "pin_memory": torch.device(args.device).type == "cuda",
    }
    loader = image_loader(cfg, seed=0)
    epoch = 0
    while True:
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        yield from with_views(loader, model.data_preprocessor)
        epoch += 1


if __name__ == "__main__":
    main()

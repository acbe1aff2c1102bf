"""Segment images by the labels of the most similar patches of others; nothing is trained.

Examples:
    selfpatch probe in-context --weights backbone.safetensors --ade20k DIR
    selfpatch probe in-context --weights backbone.safetensors --data DIR --classes 21 --size 448

A bank holds patches of the training images; a patch of a validation image takes on the labels of
its 30 nearest neighbours in it (docs/probes/in_context.md). `--data` is any folder with
images/{training,validation} and labels/{training,validation}, whose maps hold the number of each
pixel's class, 255 where it does not count.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from selfpatch.commands.parser import positive
from selfpatch.commands.probes.data import add_data, data_of, folder_of, settings_of
from selfpatch.commands.probes.outcome import Outcome

if TYPE_CHECKING:
    from selfpatch.probes.in_context import Bank


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_data(parser)
    parser.add_argument("--size", type=positive, default=512, help="side of the images, in pixels")
    parser.add_argument("--bank", type=positive, default=1_024_000, help="patches of the bank")


def measure(args: argparse.Namespace) -> Outcome:
    """Metrics of in-context segmentation."""
    from selfpatch.commands.probes.loading import patch_features, reading_of
    from selfpatch.probes.bank import build_bank
    from selfpatch.probes.confusion import segmentation_metrics
    from selfpatch.probes.in_context import NEIGHBOURS, TEMPERATURE
    from selfpatch.probes.segment import segment

    training, validation, name = data_of(args)
    features, info = patch_features(args)
    loading = {"batch": args.batch, "workers": args.workers}
    bank = build_bank(features, training, args.bank, args.seed, **loading)
    say_time(bank, features.grid**2, len(validation))
    metrics = segmentation_metrics(segment(features, bank, validation, **loading))
    settings = {
        **reading_of(args),
        **settings_of(training),
        "bank": len(bank.features),
        "neighbours": NEIGHBOURS,
        "temperature": TEMPERATURE,
    }
    task = f"{name}-in-context-{args.size}"
    return Outcome(task, metrics, info, folder_of(args), validation.names(), settings)


def say_time(bank: "Bank", queries: int, images: int) -> None:
    """Say in advance what a search takes that takes more than a minute."""
    from selfpatch.models.distributed import rank, world_size
    from selfpatch.probes.bank import search_seconds
    from selfpatch.probes.in_context import NEIGHBOURS

    minutes = search_seconds(bank.features, queries, NEIGHBOURS) * images / world_size() / 60
    if rank() == 0 and minutes > 1:
        about = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
        print(
            f"searching {len(bank.features):,} patches for {images:,} images takes about {about}",
            file=sys.stderr,
            flush=True,
        )

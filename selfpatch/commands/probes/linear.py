"""Segment images by a linear classifier of their patches, trained at the labels' own size.

Examples:
    selfpatch probe linear --weights backbone.safetensors --ade20k DIR --keep DIR
    selfpatch probe linear --weights backbone.safetensors --data DIR --classes 21 --size 448

Five learning rates are trained in one pass over random pixels; the one that is best on a tenth of
the training images, which no step sees, is scored (docs/probes/linear.md). `--data` is any folder
with images/{training,validation} and labels/{training,validation}.
"""

import argparse
from dataclasses import asdict

from selfpatch.commands.parser import positive
from selfpatch.commands.probes.data import add_data, data_of, folder_of, settings_of
from selfpatch.commands.probes.outcome import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_data(parser)
    parser.add_argument("--size", type=positive, default=512, help="side of the images, in pixels")
    parser.add_argument("--steps", type=positive, default=2000, help="of the optimiser")


def measure(args: argparse.Namespace) -> Outcome:
    """Metrics of linear segmentation."""
    from selfpatch.commands.probes.loading import patch_features, reading_of
    from selfpatch.probes.linear import Training, linear_segmentation

    training, validation, name = data_of(args)
    features, info = patch_features(args)
    how = Training(steps=args.steps, seed=args.seed)
    metrics, rate = linear_segmentation(
        features, training, validation, how, args.batch, args.workers
    )
    constants = {name: value for name, value in asdict(how).items() if name != "seed"}
    settings = {**reading_of(args), **settings_of(training), **constants}
    task = f"{name}-linear-{args.size}"
    found = {"lr": rate}
    return Outcome(task, metrics, info, folder_of(args), validation.names(), settings, found)

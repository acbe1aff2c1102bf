"""Tell how far pixels are, by a linear layer of their patches or by the most similar ones.

Examples:
    selfpatch probe depth --weights backbone.safetensors --nyu DIR --keep DIR
    selfpatch probe depth --weights backbone.safetensors --nyu DIR --readout in-context

NYU Depth v2, in the layout of BTS, AdaBins and DINOv3 (nyu_train.txt, nyu_test.txt and the files
that they list) or of mmsegmentation (images/{train,test} and annotations/{train,test}), with depth
maps of 16-bit PNGs in millimetres. Errors are those within the Eigen crop, between 1 mm and 10 m
(docs/probes/depth.md).
"""

import argparse
from pathlib import Path

from selfpatch.commands.parser import positive
from selfpatch.commands.probes.outcome import Outcome

STEPS, BANK = 2000, 1_024_000
"""Of the linear and of the in-context read-out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--nyu", metavar="DIR", type=Path, required=True, help="NYU Depth v2")
    parser.add_argument(
        "--readout", choices=["linear", "in-context"], default="linear", help="what tells depths"
    )
    parser.add_argument("--size", type=positive, default=480, help="side of the images, in pixels")
    parser.add_argument("--steps", type=positive, help=f"of the linear read-out; {STEPS:,}")
    parser.add_argument(
        "--bank", type=positive, help=f"patches of the in-context read-out; {BANK:,}"
    )


def measure(args: argparse.Namespace) -> Outcome:
    """RMSE, delta1 and AbsRel of the test images."""
    from selfpatch.commands.probes.in_context import say_time
    from selfpatch.commands.probes.loading import patch_features, reading_of
    from selfpatch.data.depth import nyu
    from selfpatch.data.labelled import check_apart
    from selfpatch.errors import InputError
    from selfpatch.probes.depth import depth_bank, in_context_depth, linear_depth
    from selfpatch.probes.linear import Training
    from selfpatch.results.file import described_data

    unused = "bank" if args.readout == "linear" else "steps"
    if getattr(args, unused) is not None:
        raise InputError(f"--{unused} is not for --readout {args.readout}; leave it out")
    training, test = nyu(args.nyu, "train"), nyu(args.nyu, "test")
    check_apart(training.files, test.files)
    features, info = patch_features(args)
    loading = {"batch": args.batch, "workers": args.workers}
    learned = described_data("", training.names(), "images")
    settings = {
        **reading_of(args),
        "training images": learned["count"],
        "names of the training images": learned["names"],
    }
    found: dict[str, float] = {}
    if args.readout == "linear":
        how = Training(steps=args.steps or STEPS, seed=args.seed)
        metrics, found["lr"] = linear_depth(features, training, test, how, **loading)
        settings["steps"] = how.steps
    else:
        bank = depth_bank(features, training, args.bank or BANK, args.seed, **loading)
        say_time(bank, features.grid**2, len(test))
        metrics = in_context_depth(features, bank, test, **loading)
        settings["bank"] = len(bank.features)
    task = f"nyu-depth-{args.readout}-{args.size}"
    return Outcome(task, metrics, info, str(args.nyu), test.names(), settings, found)

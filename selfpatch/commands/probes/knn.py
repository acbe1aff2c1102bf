"""Classify images by their nearest neighbours: accuracy in percent; nothing is trained.

Examples:
    selfpatch probe knn --weights backbone.safetensors --train DIR/train --val DIR/val
    selfpatch probe knn --weights backbone.safetensors --train DIR/train --val DIR/val \\
        --k 10 20 100 200 --out result.json

A folder holds one subfolder per class. The protocol is DINO's (docs/probes/images.md). What stands
for an image is what `selfpatch pretrain --knn` reads: SelfPatch's summary, else [CLS] or the mean
of the patches.
"""

import argparse

from selfpatch.commands.parser import above_zero, positive
from selfpatch.commands.probes.images import add_labelled, learned_from, name_of, network
from selfpatch.commands.probes.outcome import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_labelled(parser)
    parser.add_argument(
        "--k", type=positive, nargs="+", help="votes per image, one number or several; 20"
    )
    parser.add_argument("--temperature", type=above_zero, default=0.07, help="of the votes")


def measure(args: argparse.Namespace) -> Outcome:
    """Accuracy of the nearest neighbours."""
    from selfpatch.data.labelled import labelled_pair
    from selfpatch.errors import InputError
    from selfpatch.probes.knn import NEIGHBOURS, knn_accuracy

    neighbours = args.k or list(NEIGHBOURS)
    bank, queries = labelled_pair(args.train, args.val, args.size)
    if (most := max(neighbours)) > len(bank):
        raise InputError(f"--k {most} is more than the {len(bank)} images in {args.train}")
    model = network(args)
    metrics = knn_accuracy(
        lambda images: model.summary(model.normalised(images)), bank, queries, neighbours,
        args.temperature, args.batch, args.workers, command=True,
    )  # fmt: skip
    settings = {"size": args.size, "temperature": args.temperature, **learned_from(bank)}
    task = f"{name_of(args.train)}-knn-{args.size}"
    return Outcome(task, {**metrics}, model.info, args.val, queries.names(), settings)

"""Classify images by a linear classifier of frozen features: top-1 and top-5 accuracy in percent.

Examples:
    selfpatch probe classification --weights backbone.safetensors --train DIR/train --val DIR/val
    selfpatch probe classification --weights backbone.safetensors --train DIR/train --val DIR/val \\
        --crops 10 --out result.json

A folder holds one subfolder per class. Classifiers of several readings, the last tokens of one
block or of four, with or without the mean of the patches, are trained at several learning rates in
one pass; the one that is best on a tenth of the training images, which no step sees, is trained on
all of them and scored (docs/probes/images.md).
"""

import argparse

from selfpatch.commands.parser import natural, positive
from selfpatch.commands.probes.images import add_labelled, learned_from, name_of, network
from selfpatch.commands.probes.outcome import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_labelled(parser)
    parser.add_argument("--epochs", type=positive, default=100, help="times each image is seen")
    parser.add_argument(
        "--crops", type=natural, default=0, metavar="N",
        help="train on N random crops of each image; 0: on its centre",
    )  # fmt: skip


def measure(args: argparse.Namespace) -> Outcome:
    """Accuracy of the linear classifier that is chosen."""
    from selfpatch.data.labelled import labelled_pair
    from selfpatch.probes.classification import (
        TOP,
        Training,
        linear_classification,
        parts_of,
        readings,
    )

    training, validation = labelled_pair(args.train, args.val, args.size)
    model = network(args)
    how = Training(epochs=args.epochs, crops=args.crops, seed=args.seed)
    score, chosen = linear_classification(
        lambda images: parts_of(model.trunk, model.head, model.normalised(images)),
        readings(model.trunk, model.head), training, validation, how,
        args.batch, args.workers, model.device,
    )  # fmt: skip
    metrics = {"top-1": score.top1, "top-5": score.top5 if training.num_classes > TOP else None}
    settings = {"size": args.size, "epochs": args.epochs, "crops": args.crops}
    found = {"read": chosen.reading, "lr": chosen.rate, "held-out top-1": round(chosen.held_out, 2)}
    task = f"{name_of(args.train)}-classification-{args.size}"
    return Outcome(
        task, metrics, model.info, args.val, validation.names(),
        {**settings, **learned_from(training)}, found,
    )  # fmt: skip

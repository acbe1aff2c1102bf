"""Cluster patches, and see how well the clusters show the classes; nothing is trained.

Examples:
    selfpatch probe overclustering --weights backbone.safetensors --ade20k DIR --size 448
    selfpatch probe overclustering --weights backbone.safetensors --data DIR --classes 21 --keep DIR

Patches of the validation images are clustered by k-means, into `--clusters` clusters that each take
the class they hold most of, and into as many as there are classes, matched one to one: the mean and
deviation of the mIoU over `--seeds` runs (docs/probes/overclustering.md). Features are read twice;
`--keep` computes them once.
"""

import argparse
import statistics
from typing import TYPE_CHECKING, Any

from selfpatch.commands.parser import positive
from selfpatch.commands.probes.data import add_data, folder_of, reader_of
from selfpatch.commands.probes.outcome import Outcome
from selfpatch.errors import InputError

if TYPE_CHECKING:
    from selfpatch.data.segmented import SegmentedImages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_data(parser)
    parser.add_argument("--size", type=positive, default=448, help="side of the images, in pixels")
    parser.add_argument("--clusters", type=positive, default=500, help="beside one per class")
    parser.add_argument("--seeds", type=positive, default=5, help="runs, others for each --seed")


def measure(args: argparse.Namespace) -> Outcome:
    """mIoU of clusters."""
    from selfpatch.commands.probes.loading import patch_features, reading_of
    from selfpatch.probes.overclustering import overclustering

    validation, name = validation_of(args)
    features, info = patch_features(args)
    classes = validation.num_classes
    first = args.seed * args.seeds  # so that no two seeds share a run
    seeds = list(range(first, first + args.seeds))
    numbers = list(dict.fromkeys([args.clusters, classes]))
    scores = overclustering(features, validation, numbers, seeds, args.batch, args.workers)
    settings = {**reading_of(args), "classes": classes, "seeds": args.seeds}
    task = f"{name}-overclustering-{args.size}"
    metrics, found = summarised(scores)
    return Outcome(task, metrics, info, folder_of(args), validation.names(), settings, found)


def validation_of(args: argparse.Namespace) -> tuple["SegmentedImages", str]:
    """Validation images, and the data set's name in a task's; training images need not be there.

    Raises:
        InputError: The folder is not whole, or a part of the training images is asked for.
    """
    from selfpatch.data.segmented import checked
    from selfpatch.models.distributed import rank

    if args.part > 1:
        raise InputError("overclustering reads no training image; leave out --part")
    read, name = reader_of(args)
    validation = read("validation")
    if rank() == 0:
        checked(validation, every=True)
    return validation, "voc" if args.voc else name  # VOC's says what training images there are


def summarised(
    scores: dict[int, list[float | None]],
) -> tuple[dict[str, float | None], dict[str, Any]]:
    """``mIoU-K``, the mean over runs, and ``mIoU-K-std``, their deviation, which none compares."""
    metrics: dict[str, float | None] = {}
    found: dict[str, Any] = {}
    for count, values in scores.items():
        known = [value for value in values if value is not None]
        metrics[f"mIoU-{count}"] = statistics.fmean(known) if known else None
        found[f"mIoU-{count}-std"] = statistics.stdev(known) if len(known) > 1 else None
    return metrics, found

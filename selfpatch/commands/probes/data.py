"""Folders of images and label maps, as segmentation probes take them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from selfpatch.commands.parser import positive

if TYPE_CHECKING:
    from selfpatch.data.segmented import SegmentedImages


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add where images and label maps are."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--ade20k", metavar="DIR", help="ADE20K's folder")
    source.add_argument("--data", metavar="DIR", help="a folder of your own")
    parser.add_argument("--classes", type=positive, help="how many classes --data has")


def data_of(args: argparse.Namespace) -> tuple["SegmentedImages", "SegmentedImages", str]:
    """Training images, validation images, and the data set's name in a task's."""
    from selfpatch.data.segmented import ade20k, folder
    from selfpatch.errors import InputError

    if args.ade20k and args.classes is not None:
        raise InputError("ADE20K has 150 classes; --classes is for --data")
    if args.ade20k:
        root = Path(args.ade20k)
        return ade20k(root, "training"), ade20k(root, "validation"), "ade20k"
    if args.classes is None:
        raise InputError("--data has any number of classes; say how many with --classes N")
    root = Path(args.data)
    training, validation = (
        folder(root, split, args.classes) for split in ("training", "validation")
    )
    return training, validation, root.resolve().name


def folder_of(args: argparse.Namespace) -> str:
    """The folder that was given."""
    return str(args.ade20k or args.data)


def settings_of(training: "SegmentedImages") -> dict[str, object]:
    """What of the training images changes a number, for a results file."""
    from selfpatch.results.file import described_data

    learned = described_data("", training.names(), "images")
    return {
        "classes": training.num_classes,
        "training images": learned["count"],
        "names of the training images": learned["names"],
    }

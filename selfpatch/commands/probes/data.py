"""Folders of images and label maps, as segmentation probes take them."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from selfpatch.commands.parser import positive
from selfpatch.errors import InputError
from selfpatch.results.probes import data_set_in

if TYPE_CHECKING:
    from selfpatch.data.segmented import SegmentedImages

FOLDERS = {
    "ade20k": "ADE20K's folder",
    "voc": "PASCAL VOC's folder, VOCdevkit/VOC2012",
    "cityscapes": "Cityscapes' folder",
    "coco-stuff": "COCO's folder, with stuffthingmaps_trainval2017: 15 kinds of stuff",
    "coco-things": "COCO's folder: instances as 12 kinds of things",
    "davis": "DAVIS's folder: objects and background",
    "data": "a folder of your own",
}
"""Option -> what its folder is; docs/probes/data.md has the layouts."""


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add where images and label maps are."""
    source = parser.add_mutually_exclusive_group(required=True)
    for name, what in FOLDERS.items():
        source.add_argument(f"--{name}", metavar="DIR", help=what)
    parser.add_argument(
        "--classes", type=positive, help="of --data; of --coco-stuff, 27 or 171 instead of 15"
    )
    parser.add_argument(
        "--part",
        type=part,
        default=1,
        metavar="1/N",
        help="learn from so many of the training images, drawn by --seed",
    )


def part(text: str) -> int:
    """N of a number that is typed as 1/N."""
    one, _, number = text.partition("/")
    if one != "1" or not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no part such as 1/8")
    return int(number)


def data_of(args: argparse.Namespace) -> tuple["SegmentedImages", "SegmentedImages", str]:
    """Training images, validation images, and the data set's name in a task's.

    Raises:
        InputError: The folder is not whole, or nothing is left to learn from.
    """
    from selfpatch.data.segmented import checked
    from selfpatch.models.distributed import rank

    read, name = reader_of(args)
    training, validation = read("training"), read("validation")
    if twice := set(training.files) & set(validation.files):
        raise InputError(
            f"{min(twice)} is an image of both splits; take it out of one of the lists"
        )
    if args.part > 1:
        training, name = drawn(training, args.part, args.seed), f"{name}-1of{args.part}"
    if rank() == 0:
        checked(training, every=False)  # they are read first
        checked(validation, every=True)
    return training, validation, name


def drawn(training: "SegmentedImages", parts: int, seed: int) -> "SegmentedImages":
    """One of ``parts`` parts of the images; a smaller one of the same seed lies in a larger one.

    The data-efficient protocol of Balažević et al. (2023) learns from 1/128, 1/64 and 1/8 of them.
    """
    import numpy as np

    from selfpatch.data.segmented import Part

    count = round(len(training) / parts)
    if count == 0:
        raise InputError(
            f"1/{parts} of {len(training)} training images is none; give a larger --part"
        )
    order = np.random.default_rng(seed).permutation(len(training))
    return Part(training, sorted(order[:count].tolist()))


def reader_of(args: argparse.Namespace) -> tuple[Callable[[str], "SegmentedImages"], str]:
    """What reads a split, and the data set's name."""
    from selfpatch.data import segmented, segmented_sets
    from selfpatch.data.coco_things import coco_things

    root = Path(folder_of(args))
    if args.data:
        if args.classes is None:
            raise InputError("--data has any number of classes; say how many with --classes N")
        name = root.resolve().name
        name = f"own-{name}" if data_set_in(name) else name  # no table may take it for that
        return lambda split: segmented.folder(root, split, args.classes), name
    if args.coco_stuff:
        count = args.classes or 15
        name = "coco-stuff" if count == 15 else f"coco-stuff{count}"
        return lambda split: segmented_sets.coco_stuff(root, split, count), name
    if args.classes is not None:
        raise InputError("--classes is for --data and --coco-stuff; the others have their own")
    if args.voc:
        name = "voc-aug" if segmented_sets.has_trainaug(root) else "voc"
        return lambda split: segmented_sets.voc(root, split), name
    readers: dict[str, Callable[[Path, str], SegmentedImages]] = {
        "ade20k": segmented.ade20k,
        "cityscapes": segmented_sets.cityscapes,
        "coco-things": coco_things,
        "davis": segmented_sets.davis,
    }
    name = next(name for name in readers if getattr(args, name.replace("-", "_")))
    return lambda split: readers[name](root, split), name


def folder_of(args: argparse.Namespace) -> str:
    """The folder that was given."""
    given = (getattr(args, name.replace("-", "_")) for name in FOLDERS)
    return str(next(folder for folder in given if folder))


def settings_of(training: "SegmentedImages") -> dict[str, object]:
    """What of the training images changes a number, for a results file.

    Of a part that is the whole that it was drawn from: the seed stands there already.
    """
    from selfpatch.data.segmented import Part
    from selfpatch.results.file import described_data

    whole = training.whole if isinstance(training, Part) else training
    learned = described_data("", whole.names(), "images")
    return {
        "classes": training.num_classes,
        "training images": len(training),
        "names of the training images": learned["names"],
    }

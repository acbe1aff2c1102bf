"""Run the whole path on small data: pretrain twice, detect, segment, track; tables and a report.

Examples:
    selfpatch demo
    selfpatch demo --dry-run
    selfpatch demo --data DIR

It is `selfpatch bench demo`. DIR holds imagenette224/train (or another folder of images), coco,
ade20k and davis; few images are trained on, and all of val are tested. Without it, small data are
generated.
"""

import argparse
from pathlib import Path

from selfpatch.commands.parser import positive
from selfpatch.errors import InputError

IMAGES = ("imagenette224/train", "imagenette128/train", "imagenet/train", "images")
"""Where a folder of data may have its images, in the order in which they are looked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--data", type=Path, help="folder of the data sets, for generated data")
    parser.add_argument("--work-dir", type=Path, help="where to write; work_dirs/demo")
    parser.add_argument("--jobs", type=positive, default=2, help="at a time")
    parser.add_argument("--dry-run", action="store_true", help="only list the jobs")


def run(args: argparse.Namespace) -> None:
    """Run the plan."""
    from selfpatch.commands.bench import compare

    data = find_data(args.data) if args.data else {}
    compare("demo", args.work_dir, data=data, at_once=args.jobs, dry_run=args.dry_run)


def find_data(folder: Path) -> dict[str, str]:
    """The data sets below ``folder``, by their names in plans.

    Raises:
        InputError: Lists every data set that is missing.
    """
    if not folder.is_dir():
        raise InputError(
            f"the data folder {folder} does not exist; without one, data are generated"
        )
    images = [folder / name for name in IMAGES if (folder / name).is_dir()]
    wanted = {
        "coco/annotations/instances_train2017.json": "COCO",
        "coco/annotations/instances_val2017.json": "COCO's validation split",
        "ade20k/images/training": "ADE20K",
        "ade20k/annotations/training": "ADE20K's maps",
        "davis/ImageSets/2017/val.txt": "DAVIS",
    }
    missing = [f"{name} ({what})" for name, what in wanted.items() if not (folder / name).exists()]
    if not images:
        missing.insert(0, f"a folder of images ({' or '.join(IMAGES)})")
    if missing:
        raise InputError(
            f"{folder} has not all the data of the demo; missing: {', '.join(missing)}"
        )
    others = {name: str(folder / name) for name in ("coco", "ade20k", "davis")}
    return {"images": str(images[0]), **others}

"""Say what is missing or wrong in a data set's folder, in seconds, before hours are spent.

Examples:
    selfpatch check-data coco data/coco
    selfpatch check-data imagenet data/imagenet --json
"""

import argparse
import json
from importlib import import_module
from pathlib import Path

from selfpatch.errors import InputError

CHECKS = {
    "imagenet": "selfpatch.check.imagenet.check_imagenet",
    "coco": "selfpatch.check.coco.check_coco",
    "ade20k": "selfpatch.check.ade20k.check_ade20k",
    "voc": "selfpatch.check.segmented.check_voc",
    "cityscapes": "selfpatch.check.segmented.check_cityscapes",
    "coco-stuff": "selfpatch.check.segmented.check_coco_stuff",
    "davis": "davis_eval.check.check_davis",
    "spair": "selfpatch.check.spair.check_spair",
    "nyu": "selfpatch.check.nyu.check_nyu",
}
"""Data set -> its check, imported when it is called."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("dataset", choices=CHECKS, help="in whose layout the folder is")
    parser.add_argument("folder", type=Path, help="its folder, as the environment variable has it")
    parser.add_argument("--json", action="store_true", help="print one JSON object per finding")


def run(args: argparse.Namespace) -> None:
    """Print one line per finding; an error among them ends with exit status 2."""
    if not args.folder.is_dir():
        raise InputError(f"{args.folder} does not exist; see docs/data.md")
    module, _, name = CHECKS[args.dataset].rpartition(".")
    errors = 0
    for finding in getattr(import_module(module), name)(args.folder):
        errors += finding.level == "error"
        facts = {"level": finding.level, "text": finding.text}
        shown = json.dumps(facts) if args.json else f"{finding.level + ':':<7}{finding.text}"
        print(shown, flush=True)
    if errors:
        count = f"{errors} errors" if errors > 1 else "an error"
        raise InputError(f"{args.dataset} in {args.folder} has {count}, listed above")
    if not args.json:
        print(f"{args.dataset} in {args.folder} can be used")

"""Say in seconds what is missing or wrong in a data set's folder, before hours are spent.

Examples:
    python tools/check_data.py coco data/coco
    python tools/check_data.py imagenet data/imagenet
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from selfpatch.check.ade20k import check_ade20k
from selfpatch.check.coco import check_coco
from selfpatch.check.findings import Findings
from selfpatch.check.imagenet import check_imagenet
from selfpatch.errors import InputError, exit_with_sentence

Check = Callable[[Path], Findings]

CHECKS: dict[str, Check] = {
    "imagenet": check_imagenet,
    "coco": check_coco,
    "ade20k": check_ade20k,
}
"""Data set -> its check; DAVIS's is `davis_eval`'s, and joins them in ``tools/check_data.py``."""


def main(checks: Mapping[str, Check] = CHECKS) -> None:
    """Print one line per finding; exit status 2 if one of them is an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=checks)
    parser.add_argument("folder", type=Path, help="its folder, as the environment variable has it")
    args = parser.parse_args()
    with exit_with_sentence():
        if not args.folder.is_dir():
            raise InputError(f"{args.folder} does not exist; see docs/data.md")
        errors = 0
        for finding in checks[args.dataset](args.folder):
            errors += finding.level == "error"
            print(f"{finding.level + ':':<7}{finding.text}", flush=True)
        if errors:
            count = f"{errors} errors" if errors > 1 else "an error"
            raise InputError(f"{args.dataset} in {args.folder} has {count}, listed above")
    print(f"{args.dataset} in {args.folder} can be used")


if __name__ == "__main__":
    main()

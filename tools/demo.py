"""Run the whole path on small data: pretrain twice, detect, segment, track; one table, one report.

Example:
    python tools/demo.py
    python tools/demo.py --data DIR

DIR holds imagenette224/train (or another folder of images), coco, ade20k and davis. Without it,
small data are generated. Steps that are finished for the same inputs are not run again.
"""

import argparse

from selfpatch.demo.run import demo
from selfpatch.errors import exit_with_sentence


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of the data sets; default: generated data")
    parser.add_argument("--work-dir", default="work_dirs/demo", help="default: work_dirs/demo")
    args = parser.parse_args()
    with exit_with_sentence():
        demo(args.data, args.work_dir)


if __name__ == "__main__":
    main()

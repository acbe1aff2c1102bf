"""Run the whole path on small data: pretrain twice, detect, segment, track; one table, one report.

Example:
    python tools/demo.py
    python tools/demo.py --data DIR

DIR holds imagenette224/train (or another folder of images), coco, ade20k and davis. Without it,
small data are generated. Steps that are finished for the same inputs are not run again.
``--scale full`` trains about three times as long.
"""

import argparse

from selfpatch.demo.plan import SCALES
from selfpatch.demo.run import demo
from selfpatch.errors import exit_with_sentence


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of the data sets; default: generated data")
    parser.add_argument("--work-dir", default="work_dirs/demo", help="default: work_dirs/demo")
    parser.add_argument("--scale", choices=SCALES, default="small", help="default: small")
    args = parser.parse_args()
    with exit_with_sentence():
        demo(args.data, args.work_dir, SCALES[args.scale])


if __name__ == "__main__":
    main()

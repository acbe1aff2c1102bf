"""Run the whole path on small data: pretrain twice, detect, segment, track; one table, one report.

Examples:
    selfpatch demo
    selfpatch demo --data DIR

DIR holds imagenette224/train (or another folder of images), coco, ade20k and davis. Without it,
small data are generated. Steps that are finished for the same inputs are not run again.
`--scale full` trains about three times as long.
"""

import argparse

SCALES = ("small", "full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--data", help="folder of the data sets, instead of generated data")
    parser.add_argument("--work-dir", default="work_dirs/demo", help="where to write")
    parser.add_argument("--scale", choices=SCALES, default="small", help="how long it trains")


def run(args: argparse.Namespace) -> None:
    """Run."""
    from selfpatch.demo import plan
    from selfpatch.demo.run import demo

    demo(args.data, args.work_dir, plan.SCALES[args.scale])

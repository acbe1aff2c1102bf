"""Test a detector or segmenter that was trained: mmdetection's or mmsegmentation's own tool.

Examples:
    selfpatch test mask-rcnn_selfpatch-vit-s16_fpn_1x_coco work_dirs/RUN/epoch_12.pth --work-dir DIR
    selfpatch test CONFIG CHECKPOINT --tta

Further arguments are those of the host's tools/test.py: --work-dir, --tta, --launcher and
--cfg-options above all. The work dir receives results.json.
"""

import argparse

from selfpatch.commands.finetune import call_host


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("config", help="a file, or a name that `selfpatch list configs` prints")
    parser.add_argument("checkpoint", help="what the training saved")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be run")
    parser.set_defaults(passed_on="all")


def run(args: argparse.Namespace) -> None:
    """Hand the command line to the host's tool."""
    call_host("test", args.config, [args.checkpoint, *args.further], args.dry_run)

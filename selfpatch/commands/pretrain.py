"""Pretrain a ViT or Swin with DINO, MoBY or MoCo-v3, with or without SelfPatch.

Examples:
    selfpatch pretrain demo_selfpatch --data DIR
    selfpatch pretrain demo_selfpatch --data DIR --resume --knn TRAIN VAL --davis DIR
    selfpatch pretrain demo_selfpatch --data DIR --probe 'in-context --ade20k DIR --size 224'
    torchrun --nproc-per-node 8 -m selfpatch pretrain selfpatch_vit-s16_8xb128-200e_in1k \\
        --launcher pytorch --data DIR
"""

import argparse
import shlex
from collections.abc import Sequence
from typing import Any

from selfpatch.commands.parser import parsed, positive
from selfpatch.errors import InputError
from selfpatch.shipped import find_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("config", help="a file, or a name that `selfpatch list configs` prints")
    parser.add_argument("--data", help="folder of images, in subfolders or not, or tar shards")
    parser.add_argument("--work-dir", help="where to write; work_dirs/<name of the config>")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--launcher", choices=["none", "pytorch", "slurm"], default="none", help="what starts it"
    )
    parser.add_argument(
        "--knn",
        nargs=2,
        metavar=("TRAIN", "VAL"),
        help="folders with a subfolder per class: log the k-NN accuracy on VAL",
    )
    parser.add_argument("--davis", metavar="DIR", help="folder in DAVIS-2017's layout: log J&F")
    parser.add_argument(
        "--probe",
        action="append",
        default=[],
        metavar="'PROBE ...'",
        help="log what `selfpatch probe PROBE ...` measures; once for each probe",
    )
    parser.add_argument(
        "--eval-interval",
        type=positive,
        default=1,
        metavar="EPOCHS",
        help="of --knn, --davis and --probe",
    )
    parser.add_argument("--tensorboard", action="store_true", help="log for TensorBoard, too")
    parser.add_argument("--wandb", action="store_true", help="log to Weights & Biases, too")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="of the config's",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be trained")
    parser.add_argument(
        "--print-config", action="store_true", help="print all that the run depends on, and end"
    )


def run(args: argparse.Namespace) -> None:
    """Train."""
    from selfpatch.engine.launch import described, evaluations, pretrain, read_config, watched_by
    from selfpatch.parent import end_forks_with_this_process

    for line in args.probe:  # a wrong one ends the command at once
        probe = parsed(["probe", *shlex.split(line), "--weights", "teacher"])
        if probe.out or probe.device or getattr(probe, "keep", None):
            raise InputError(f"--probe '{line}': leave out --out, --device and --keep")
    end_forks_with_this_process()
    cfg = read_config(
        find_config(args.config, "selfpatch.configs"),
        parse_options(args.cfg_options),
        args.data,
        args.work_dir,
        args.launcher,
        evaluations(args.knn, args.davis, args.eval_interval, args.probe),
    )
    watched_by(cfg, tensorboard=args.tensorboard, wandb=args.wandb)
    if args.print_config:
        print(cfg.pretty_text, end="")
    elif args.dry_run:
        print(described(cfg))
    else:
        pretrain(cfg, args.resume)


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """Settings by dotted name, as mmengine reads ``--cfg-options``."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(prog="--cfg-options", add_help=False)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    given = parser.parse_args(["--cfg-options", *options] if options else [])
    parsed: dict[str, Any] = given.cfg_options
    return parsed

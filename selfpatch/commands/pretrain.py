"""Pretrain a ViT or Swin with DINO, MoBY or MoCo-v3, with or without SelfPatch.

Example:
    python tools/pretrain.py selfpatch/configs/demo_selfpatch.py --data DIR
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads yield their core

import argparse

from mmengine.config import DictAction

from selfpatch.engine.launch import evaluations, pretrain, read_config
from selfpatch.errors import exit_with_sentence
from selfpatch.parent import end_forks_with_this_process


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="a file of selfpatch/configs")
    parser.add_argument("--data", help="folder of images, in subfolders or not, or tar shards")
    parser.add_argument("--work-dir", help="default: work_dirs/<name of the config>")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm"], default="none")
    parser.add_argument(
        "--knn",
        nargs=2,
        metavar=("TRAIN", "VAL"),
        help="folders with a subfolder per class: log the k-NN accuracy on VAL",
    )
    parser.add_argument("--davis", metavar="DIR", help="folder in DAVIS-2017's layout: log J&F")
    parser.add_argument("--eval-interval", type=int, default=1, metavar="EPOCHS")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="NAME=VALUE")
    parser.add_argument(
        "--print-config", action="store_true", help="print all that the run depends on, and end"
    )
    args = parser.parse_args()
    with exit_with_sentence():
        end_forks_with_this_process()
        hooks = evaluations(args.knn, args.davis, args.eval_interval)
        cfg = read_config(
            args.config, args.cfg_options, args.data, args.work_dir, args.launcher, hooks
        )
        if args.print_config:
            print(cfg.pretty_text, end="")
        else:
            pretrain(cfg, args.resume)


if __name__ == "__main__":
    main()

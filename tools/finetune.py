"""Fine-tune a backbone: call the training tool that mmdetection or mmsegmentation brings.

Example:
    python tools/finetune.py mmdet mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py \
        --cfg-options model.backbone.init_cfg.checkpoint=backbone.safetensors
"""

import argparse
import importlib.util
import runpy
import sys
from pathlib import Path

from selfpatch.engine.config_errors import config_errors_as_sentences
from selfpatch.errors import InputError, exit_with_sentence


def main() -> None:
    """Hand the command line to the host's tool."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("host", choices=["mmdet", "mmseg"])
    parser.add_argument("config", help="a file of mmdet_configs or mmseg_configs")
    args, rest = parser.parse_known_args()
    with exit_with_sentence(), config_errors_as_sentences(args.config):
        if not Path(args.config).is_file():
            raise InputError(f"the config {args.config} does not exist; see {args.host}_configs")
        tool = train_tool(args.host)
        sys.argv = [str(tool), args.config, *rest]
        runpy.run_path(str(tool), run_name="__main__")


def train_tool(host: str) -> Path:
    """Where the installed host keeps its ``tools/train.py``."""
    spec = importlib.util.find_spec(host)
    if spec is None or spec.origin is None:
        raise InputError(
            f"{host} is not installed; `make setup` or the extra [openmmlab] brings it"
        )
    return Path(spec.origin).parent / ".mim/tools/train.py"


if __name__ == "__main__":
    main()

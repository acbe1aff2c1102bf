"""Fine-tune a backbone: call the training tool that mmdetection or mmsegmentation brings.

Example:
    python tools/finetune.py mmdet CONFIG --cfg-options model.backbone.init_cfg.checkpoint=FILE
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads yield their core

import argparse
import importlib.util
import re
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selfpatch.errors import InputError, config_errors_as_sentences, exit_with_sentence

DATA = {"mmdet": ("COCO", "COCO_ROOT"), "mmseg": ("ADE20K", "ADE20K_ROOT")}
"""Host -> its data set, and the variable from which the configs take the folder."""


def main() -> None:
    """Hand the command line to the host's tool."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("host", choices=["mmdet", "mmseg"])
    parser.add_argument("config", help="a file of mmdet_configs or mmseg_configs")
    args, rest = parser.parse_known_args()
    data_errors = data_errors_as_sentences(args.host)
    with exit_with_sentence(), config_errors_as_sentences(args.config), data_errors:
        if not Path(args.config).is_file():
            raise InputError(f"the config {args.config} does not exist; see {args.host}_configs")
        sys.argv = [str(train_tool(args.host)), args.config, *rest]
        runpy.run_path(sys.argv[0], run_name="__main__")


@contextmanager
def data_errors_as_sentences(host: str) -> Iterator[None]:
    """Raise :class:`InputError` for what the hosts find wrong with their data."""
    try:
        yield
    except (AssertionError, ValueError, FileNotFoundError) as error:
        if image := re.search(r"failed to load image: (.+)", str(error)):
            raise InputError(f"{image[1]} is no readable image; fetch it again") from None
        if "need at least one array to concatenate" in str(error):
            raise InputError("the data set has no image; check the data root") from None
        dataset, variable = DATA[host]
        root = os.environ.get(variable, "data/")
        missing = re.search(r"No such file or directory: '(.+)'", str(error))
        if missing and missing[1].startswith(root):
            raise InputError(
                f"{missing[1]} does not exist; set {variable} to {dataset}'s folder, see"
                " docs/data.md, and ask tools/check_data.py what is missing"
            ) from None
        raise


def train_tool(host: str) -> Path:
    """Where the installed host keeps its ``tools/train.py``."""
    spec = importlib.util.find_spec(host)
    if spec is None or spec.origin is None:
        raise InputError(f"{host} is not installed; `make setup` brings it")
    return Path(spec.origin).parent / ".mim/tools/train.py"


if __name__ == "__main__":
    main()

"""Fine-tune a backbone: call the training tool that mmdetection or mmsegmentation brings.

Example:
    python tools/finetune.py mmdet CONFIG --cfg-options model.backbone.init_cfg.checkpoint=FILE
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads yield their core

import argparse
import importlib.util
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from selfpatch.errors import (
    InputError,
    config_errors_as_sentences,
    exit_with_sentence,
    was_raised_within,
)
from selfpatch.parent import end_forks_with_this_process

if TYPE_CHECKING:  # the functions below import it when it is known that a host is installed
    from mmengine.config import Config

DATA = {"mmdet": ("COCO", "COCO_ROOT"), "mmseg": ("ADE20K", "ADE20K_ROOT")}
"""Host -> its data set, and the variable from which the configs take the folder."""


def main() -> None:
    """Hand the command line to the host's tool."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("host", choices=["mmdet", "mmseg"])
    parser.add_argument("config", help="a file of mmdet_configs or mmseg_configs")
    args, rest = parser.parse_known_args()
    with exit_with_sentence():
        end_forks_with_this_process()
        if not Path(args.config).is_file():
            raise InputError(f"the config {args.config} does not exist; see {args.host}_configs")
        sys.argv = [str(train_tool(args.host)), args.config, *rest]
        with config_errors_as_sentences(args.config):
            check_that_data_exists(read_config(args.config, rest), args.host)
            with data_errors_as_sentences():
                runpy.run_path(sys.argv[0], run_name="__main__")


def read_config(path: str, arguments: list[str]) -> "Config":
    """The config as the host's tool reads it, with the ``--cfg-options`` among the arguments."""
    from mmengine.config import Config, DictAction

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    cfg = Config.fromfile(path, import_custom_modules=False)
    cfg.merge_from_dict(parser.parse_known_args(arguments)[0].cfg_options)
    return cfg


def check_that_data_exists(cfg: "Config", host: str) -> None:
    """Look for the folders and annotation files that a config's data sets name.

    Raises:
        InputError: One of them does not exist.
    """
    name, variable = DATA[host]
    for loader in ("train_dataloader", "val_dataloader"):
        dataset = (cfg.get(loader) or {}).get("dataset", {})
        if not dataset.get("data_root"):  # one of the user's own, which the host checks
            continue
        parts = ["", dataset.get("ann_file", ""), *dataset.get("data_prefix", {}).values()]
        for path in (Path(dataset.data_root, part) for part in parts):
            if not path.exists():
                raise InputError(
                    f"{path} does not exist; set {variable} to {name}'s folder, see"
                    " docs/data.md, and ask tools/check_data.py what is missing"
                )


@contextmanager
def data_errors_as_sentences() -> Iterator[None]:
    """Raise :class:`InputError` for what the hosts find wrong with their data in training."""
    from mmengine.dataset import BaseDataset

    try:
        yield
    except FileNotFoundError as error:
        # Its last line: a data loader's worker puts its traceback in front, and drops `filename`.
        reason = str(error).splitlines()[-1].removeprefix("FileNotFoundError: ")
        raise InputError(f"{reason}; tools/check_data.py says what else a data set lacks") from None
    except ValueError as error:
        if not was_raised_within(error, BaseDataset._serialize_data):
            raise
        raise InputError("the data set has no image; check the data root") from None
    except AssertionError as error:
        # By its words: mmcv asserts that an image could be read, and out of a data loader's worker
        # comes nothing but the text. To read every image beforehand would take as long as an epoch.
        _, found, path = str(error).rpartition("failed to load image: ")
        if not found:
            raise
        raise InputError(f"{path} is no readable image; fetch it again") from None


def train_tool(host: str) -> Path:
    """Where the installed host keeps its ``tools/train.py``."""
    spec = importlib.util.find_spec(host)
    if spec is None or spec.origin is None:
        raise InputError(f"{host} is not installed; `make setup` brings it")
    return Path(spec.origin).parent / ".mim/tools/train.py"


if __name__ == "__main__":
    main()

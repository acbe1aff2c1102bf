"""Train a detector or segmenter on a backbone: mmdetection's or mmsegmentation's own tool.

Examples:
    selfpatch finetune mask-rcnn_selfpatch-vit-s16_fpn_1x_coco \\
        --cfg-options model.backbone.init_cfg.checkpoint=backbone.safetensors
    selfpatch finetune CONFIG --work-dir DIR --resume --amp

COCO_ROOT and ADE20K_ROOT name the folders of the data. Further arguments are those of the host's
tools/train.py: --work-dir, --resume, --amp, --launcher and --cfg-options above all.
"""

import argparse
import importlib.util
import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

from selfpatch.errors import InputError, config_errors_as_sentences, was_raised_within
from selfpatch.shipped import HOSTS, find_config, host_of

if TYPE_CHECKING:  # the functions below import it when it is known that a host is installed
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("config", help="a file, or a name that `selfpatch list configs` prints")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be run")
    parser.set_defaults(passed_on="all")


def run(args: argparse.Namespace) -> None:
    """Hand the command line to the host's tool."""
    call_host("train", args.config, args.further, args.dry_run)


def call_host(tool: str, name: str, arguments: Sequence[str], dry_run: bool = False) -> None:
    """Run ``tools/<tool>.py`` of the host that a config is for, in this process.

    Raises:
        InputError: The config cannot be built, or the data are not there.
    """
    from selfpatch.parent import end_forks_with_this_process

    end_forks_with_this_process()
    path = find_config(name, *(f"{host}_configs" for host in HOSTS))
    with config_errors_as_sentences(path):
        cfg = read_config(path, arguments)
        host = host_of(path, cfg)
        check_that_data_exists(cfg, host)
        sys.argv = [str(host_tool(host, tool)), path, *arguments]
        if dry_run:
            print(" ".join(["python", *sys.argv]))
            return
        with data_errors_as_sentences():
            runpy.run_path(sys.argv[0], run_name="__main__")


def read_config(path: str, arguments: Sequence[str]) -> "Config":
    """The config as the host's tool reads it, with the ``--cfg-options`` among the arguments."""
    from mmengine.config import Config, DictAction
    from mmengine.runner import Runner

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    cfg = Config.fromfile(path, import_custom_modules=False)
    given = parser.parse_known_args(arguments)[0].cfg_options
    known = {*cfg, *signature(Runner.__init__).parameters, "auto_scale_lr", "backend_args"}
    for name in given:
        if (first := name.partition(".")[0]) not in known:
            close = get_close_matches(first, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "see --help"
            raise InputError(f"{path} has no {first}, which --cfg-options names; {hint}")
    cfg.merge_from_dict(given)
    return cfg


def host_tool(host: str, tool: str) -> Path:
    """Where an installed host keeps its ``tools/<tool>.py``."""
    spec = importlib.util.find_spec(host)
    if spec is None or spec.origin is None:
        raise InputError(f"{host} is not installed; `pip install 'selfpatch[openmmlab]'` brings it")
    return Path(spec.origin).parent / ".mim/tools" / f"{tool}.py"


def check_that_data_exists(cfg: "Config", host: str) -> None:
    """Look for the folders and annotation files that a config's data sets name.

    Raises:
        InputError: One of them does not exist.
    """
    name, variable = HOSTS[host]
    for loader in ("train_dataloader", "val_dataloader"):
        dataset = (cfg.get(loader) or {}).get("dataset", {})
        if not dataset.get("data_root"):  # one of the user's own, which the host checks
            continue
        parts = ["", dataset.get("ann_file", ""), *dataset.get("data_prefix", {}).values()]
        for path in (Path(dataset.data_root, part) for part in parts):
            if not path.exists():
                raise InputError(
                    f"{path} does not exist; set {variable} to {name}'s folder, and ask"
                    f" `selfpatch check-data {name.lower()} FOLDER` what is missing"
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
        raise InputError(f"{reason}; `selfpatch check-data` says what else is missing") from None
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

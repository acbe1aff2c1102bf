"""A config's name -> its file; NAME=VALUE -> a setting."""

import argparse
import difflib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from selfpatch.errors import InputError


def find_config(name: str, *packages: str) -> str:
    """A config's path: a file's, or that of a config which comes with the suite.

    Raises:
        InputError: There is no such file, and no such config in ``packages``.
    """
    if Path(name).is_file():
        return name
    found = {path.stem: path for package in packages for path in configs_of(package)}
    stem = Path(name).stem if name.endswith(".py") else name
    if stem in found:
        return str(found[stem])
    close = difflib.get_close_matches(stem, found, n=1)
    hint = (
        f"did you mean {close[0]}?" if close else "`selfpatch list configs` names those there are"
    )
    raise InputError(f"the config {name} does not exist; {hint}")


def configs_of(package: str) -> list[Path]:
    """The configs of a package, but for those that others are made of."""
    folders = [Path(folder) for folder in import_module(package).__path__]
    return sorted(path for folder in folders for path in folder.glob("[!_]*.py"))


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """Settings by dotted name, as mmengine reads ``--cfg-options``."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(prog="--cfg-options", add_help=False)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    given = parser.parse_args(["--cfg-options", *options] if options else [])
    parsed: dict[str, Any] = given.cfg_options
    return parsed

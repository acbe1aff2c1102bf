"""A config's or plan's name -> its file; NAME=VALUE -> a setting."""

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
    return str(find(name, "config", [path for p in packages for path in files_of(p, ".py")]))


def find_plan(name: str) -> Path:
    """A plan's path: a file's, or that of a plan which comes with the suite.

    Raises:
        InputError: There is neither.
    """
    return find(name, "plan", files_of("selfpatch.plans", ".yaml"))


def find(name: str, kind: str, known: Sequence[Path]) -> Path:
    """A file, or one of ``known`` by its name."""
    if Path(name).is_file():
        return Path(name)
    found = {path.stem: path for path in known}
    stem = name.removesuffix(known[0].suffix)
    if stem in found:
        return found[stem]
    close = difflib.get_close_matches(stem, found, n=1)
    hint = f"did you mean {close[0]}?" if close else f"see `selfpatch list {kind}s`"
    raise InputError(f"the {kind} {name} does not exist; {hint}")


def files_of(package: str, suffix: str) -> list[Path]:
    """The configs or plans of a package, but for those that others are made of."""
    folders = [Path(folder) for folder in import_module(package).__path__]
    return sorted(path for folder in folders for path in folder.glob(f"[!_]*{suffix}"))


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """Settings by dotted name, as mmengine reads ``--cfg-options``."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(prog="--cfg-options", add_help=False)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    given = parser.parse_args(["--cfg-options", *options] if options else [])
    parsed: dict[str, Any] = given.cfg_options
    return parsed

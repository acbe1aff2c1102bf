"""Names -> the configs and plans that come with the suite, and whose a config is."""

import difflib
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from selfpatch.errors import InputError

HOSTS = {"mmdet": ("COCO", "COCO_ROOT"), "mmseg": ("ADE20K", "ADE20K_ROOT")}
"""Host -> its data set, and the variable from which the configs take the folder."""


CONFIGS = {"selfpatch.configs": "pretrain", "mmdet_configs": "detect", "mmseg_configs": "segment"}
"""Package of configs -> what they are for."""


def find_config(name: str, *packages: str) -> str:
    """A config's path: a file's, or that of a config which comes with the suite.

    Raises:
        InputError: There is no such file, and no such config in ``packages``.
    """
    elsewhere = [other for other in CONFIGS if other not in packages]
    if not Path(name).is_file():
        for package in elsewhere:
            if name.removesuffix(".py") in {path.stem for path in files_of(package, ".py")}:
                raise InputError(f"the config {name} is there to {CONFIGS[package]}, not for this")
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


def host_of(path: str, cfg: Mapping[str, Any]) -> str:
    """mmdet or mmseg: what a config calls its default scope.

    Raises:
        InputError: It is neither's.
    """
    host = cfg.get("default_scope")
    if host not in HOSTS:
        raise InputError(f"{path} has default_scope={host!r}; give one of mmdet's or mmseg's")
    return str(host)

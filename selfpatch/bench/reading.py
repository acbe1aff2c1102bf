"""A plan's file -> the plan, read strictly."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from selfpatch.backbones.doors import is_elsewhere
from selfpatch.bench.plan import (
    DATA,
    ORIGINS,
    RESOURCES,
    WORK,
    Backbone,
    Plan,
    Resources,
    Task,
    folder_of,
)
from selfpatch.demo.sizes import Sizes
from selfpatch.errors import InputError
from selfpatch.results.probes import PROBES

SECTIONS = ("data", "sizes", "seeds", "backbones", "tasks")

SIZES = tuple(Sizes.__dataclass_fields__)

RESERVED = ("backbone", "data", "report.html", "jobs.json", "snakemake.log")
"""Names that the suite gives in a work dir."""

SET_BY_BENCH = {
    "davis": ("davis", "weights", "out", "dry-run", "overwrite", "layout"),
    "probe": ("weights", "out", "seed", "json", "launcher"),
    "finetune": (
        "model.backbone.init_cfg.checkpoint", "randomness.seed", "val_evaluator.outfile_prefix",
        "val_evaluator.output_dir",
    ),
}  # fmt: skip
"""Work -> options that the plan itself decides."""


class UniqueKeys(yaml.SafeLoader):
    """YAML as it is, but for mappings in which a key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Refuse the second."""
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise InputError(f"{self.name} has {key!r} twice in the mapping of line {line}")
        return super().construct_mapping(node, deep)


def read_plan(
    path: Path,
    data: Mapping[str, str] | None = None,
    taken: Mapping[str, int | None] | None = None,
    must_exist: bool = True,
) -> Plan:
    """Read a plan.

    Args:
        path: Its file.
        data: Folders in the place of those that the plan names.
        taken: Resources in the place of the plan's, see :class:`Resources`.
        must_exist: Whether folders and variables of the plan have to be there.

    Raises:
        InputError: It is no plan; names the key and what was meant.
    """
    stated = {name: value for name, value in (taken or {}).items() if value is not None}
    for name, value in stated.items():
        check_resource("the command line", name, value)
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.load(file, UniqueKeys)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no YAML ({' '.join(str(error).split())})") from None
    if content is None:
        raise InputError(f"{path} is empty; see `selfpatch list plans` for examples")
    known(path, "", content, SECTIONS)
    for name in ("backbones", "tasks"):
        if not isinstance(content.get(name), dict) or not content[name]:
            raise InputError(f"{path} names no {name}; see `selfpatch list plans` for examples")
    tasks = [task(path, name, entry, stated) for name, entry in content["tasks"].items()]
    names = [own.name for own in tasks]
    backbones = [
        backbone(path, name, entry, names, stated, must_exist)
        for name, entry in content["backbones"].items()
    ]
    sizes = content.get("sizes") or {}
    known(path, "sizes", sizes, SIZES)
    for name, value in sizes.items():
        if type(value) is not int or value < (name == "height"):
            raise InputError(f"{path}: sizes has {name}={value!r}; give a whole number")
    check_folders(path, "backbones", [own.name for own in backbones])
    check_folders(path, "tasks", names)
    check_sources(path, backbones)
    return Plan(
        path.stem,
        roots(path, content.get("data"), data or {}, must_exist),
        seeds(path, content.get("seeds", [0])),
        tuple(backbones),
        tuple(tasks),
        sizes,
        comment_of(path),
    )


def comment_of(path: Path) -> str:
    """The comment at the top of a file, as one paragraph."""
    lines = takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
    return " ".join(line.lstrip("# ") for line in lines).strip()


def known(path: Path, where: str, content: object, names: Iterable[str]) -> None:
    """Raise InputError unless ``content`` is a mapping with no other keys than ``names``."""
    if not isinstance(content, dict):
        raise InputError(f"{path}: {where or 'the plan'} is {content!r} and no mapping")
    names = list(names)
    for key in content:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}"
            raise InputError(f"{path}: {where or 'the plan'} has the unknown key {key!r}; {hint}")


def backbone(
    path: Path,
    name: str,
    entry: Any,
    tasks: list[str],
    taken: Mapping[str, int],
    must_exist: bool,
) -> Backbone:
    """One entry of ``backbones``."""
    where = f"the backbone {name!r}"
    known(path, where, entry, [*ORIGINS, "options", "tasks", *RESOURCES])
    wanted = entry.get("tasks", tasks)
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
        raise InputError(f"{path}: tasks of {where} are {wanted!r} and no list of names")
    known(path, f"tasks of {where}", dict.fromkeys(wanted), tasks)
    origin = only(path, where, entry, ORIGINS)
    source = expanded(path, where, str(entry[origin]), must_exist)
    there = is_elsewhere(source) or Path(source).exists()
    if origin in ("import", "file") and must_exist and not there:
        raise InputError(
            f"{path}: {where} is to be {Path(source).absolute()}, which does not exist"
        )
    options = options_of(path, where, entry, ("randomness.seed",))
    trains = origin == "pretrain"
    takes = resources(path, where, entry, taken, trains, trains)
    if takes.gpus and takes.processes % takes.gpus:
        raise InputError(
            f"{path}: {where} has {takes.processes} processes on {takes.gpus} GPUs; give each GPU"
            " as many"
        )
    return Backbone(str(name), origin, source, options, takes, tuple(wanted))


def task(path: Path, name: str, entry: Any, taken: Mapping[str, int]) -> Task:
    """One entry of ``tasks``; OpenMMLab trains with several processes on GPUs only, one each."""
    where = f"the task {name!r}"
    known(path, where, entry, [*WORK, "options", *RESOURCES])
    work = only(path, where, entry, WORK)
    source = "" if work == "davis" else str(entry[work])
    if work == "probe":
        known(path, f"the probe of {where}", {source: None}, PROBES)
    options = options_of(path, where, entry, SET_BY_BENCH[work])
    takes = resources(path, where, entry, taken, work == "finetune", True)
    if "processes" in taken:
        takes = replace(takes, processes=min(takes.processes, max(takes.gpus, 1)))
    if takes.processes > max(takes.gpus, 1):
        raise InputError(
            f"{path}: {where} has {takes.processes} processes and {takes.gpus} GPUs; mmdet and"
            " mmseg take a GPU for each of several processes"
        )
    return Task(str(name), work, source, options, takes)


def only(path: Path, where: str, entry: dict, names: tuple[str, ...]) -> str:
    """The one of ``names`` that an entry has."""
    given = [name for name in names if name in entry]
    if len(given) != 1:
        raise InputError(f"{path}: {where} needs one of {', '.join(names)}, and has {given}")
    return given[0]


def options_of(path: Path, where: str, entry: dict, own: tuple[str, ...]) -> dict[str, Any]:
    """The options of an entry, but for those that the plan itself decides."""
    options = entry.get("options") or {}
    if not isinstance(options, dict):
        raise InputError(f"{path}: the options of {where} are {options!r} and no mapping")
    for name, value in options.items():
        if name in own:
            raise InputError(f"{path}: {where} has the option {name}, which the plan decides")
        if isinstance(value, dict):
            raise InputError(
                f"{path}: {where} has {name}={value!r}; give settings by dotted names,"
                f" {name}.{next(iter(value), 'NAME')}"
            )
    return {str(name): value for name, value in options.items()}


def resources(
    path: Path, where: str, entry: dict, taken: Mapping[str, int], trains: bool, computes: bool
) -> Resources:
    """What the jobs of an entry take: processes where it trains, GPUs where it computes."""
    given = {name: entry[name] for name in RESOURCES if name in entry}
    for name, value in given.items():
        check_resource(f"{path}: {where}", name, value)
    if given.get("processes", 1) > 1 and not trains:
        raise InputError(f"{path}: {where} has processes, and nothing is trained; leave them out")
    left_out = ["processes"] * (not trains) + ["gpus"] * (not computes)
    own = {name: value for name, value in taken.items() if name not in left_out}
    return Resources(**{**given, **own})


def check_resource(where: str, name: str, value: Any) -> None:
    """Raise InputError for what no job can take."""
    least = int(name == "processes")
    if type(value) is not int or value < least:
        raise InputError(f"{where} has {name}={value!r}; give a whole number from {least} on")


def seeds(path: Path, given: Any) -> tuple[int, ...]:
    """The seeds, which differ."""
    if (
        not isinstance(given, list)
        or not given
        or not all(type(seed) is int and 0 <= seed < 2**32 for seed in given)
        or len(set(given)) < len(given)
    ):
        raise InputError(
            f"{path}: seeds={given!r}; give a list of different whole numbers, from 0 to 2^32 - 1"
        )
    return tuple(given)


def roots(path: Path, given: Any, own: Mapping[str, str], must_exist: bool) -> dict[str, str]:
    """Where the data lie; those of the command line first."""
    if given == "generated" and not own:
        return {"generated": "generated"}
    stated = {} if given in (None, "generated") else given
    for content in (stated, own):
        known(path, "data", content, DATA)
    written = {
        name: expanded(path, f"data.{name}", str(folder), must_exist)
        for name, folder in stated.items()
        if name not in own
    }
    found = {
        name: folder if "${" in folder else str(Path(folder).absolute())
        for name, folder in {**written, **own}.items()
    }
    for name, folder in found.items():
        if must_exist and not Path(folder).is_dir():
            raise InputError(f"{path}: data.{name} is {folder}, which does not exist")
    return found


def expanded(path: Path, where: str, text: str, must_exist: bool) -> str:
    """A text with ``${NAME}`` replaced by that variable of the environment."""
    for name in re.findall(r"\$\{(\w+)\}", text):
        if must_exist and name not in os.environ:
            raise InputError(f"{path}: {where} is {text}, and {name} is not set; export {name}=DIR")
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], found[0]), text)


def check_folders(path: Path, kind: str, names: list[str]) -> None:
    """Raise InputError where two entries would write to one folder, or to one of the suite's."""
    folders: dict[str, str] = {}
    for name in names:
        folder = folder_of(name)
        if folder in RESERVED or re.fullmatch(r"seed-\d+", folder):
            raise InputError(f"{path}: {name!r} of {kind} has the suite's own folder; rename it")
        other = folders.setdefault(folder, name)
        if other != name or names.count(name) > 1:
            raise InputError(f"{path}: {other!r} and {name!r} share a folder; rename one of them")


def check_sources(path: Path, backbones: list[Backbone]) -> None:
    """Raise InputError where one backbone is tried on a task twice: no table takes both."""
    seen: dict[tuple[str, ...], str] = {}
    for own in backbones:
        made_by = own.origin, own.source, repr(sorted(own.options.items()))
        for name in own.tasks:
            if (other := seen.setdefault((*made_by, name), own.name)) != own.name:
                raise InputError(
                    f"{path}: {other!r} and {own.name!r} are one backbone, both for {name};"
                    " remove one"
                )

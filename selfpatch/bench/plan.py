"""A plan's file -> what is compared: backbones, tasks and seeds."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from selfpatch.demo.sizes import Sizes
from selfpatch.errors import InputError

ORIGINS = ("pretrain", "import", "file", "random")
WORK = ("finetune", "davis")
DATA = ("images", "coco", "ade20k", "davis")
SECTIONS = ("data", "sizes", "seeds", "backbones", "tasks")
SIZES = tuple(Sizes.__dataclass_fields__)
RESOURCES = ("processes", "gpus", "cpus", "memory", "minutes")


@dataclass(frozen=True)
class Resources:
    """What one job takes.

    Attributes:
        processes: Processes that train together.
        gpus: GPUs, over all of them.
        cpus: Cores of each process; 0 is this machine's share, or 4 on a cluster.
        memory: MiB; 0 is not stated.
        minutes: Time limit on a cluster; 0 is the cluster's own.
    """

    processes: int = 1
    gpus: int = 0
    cpus: int = 0
    memory: int = 0
    minutes: int = 0


@dataclass(frozen=True)
class Backbone:
    """Where a backbone comes from.

    Attributes:
        name: As tables and messages call it.
        origin: One of :data:`ORIGINS`.
        source: A config to pretrain with, a checkpoint, a backbone file, or a variant's name.
        options: Settings of the config, by dotted name; arguments of the import.
        resources: What its job takes.
        tasks: Names of the tasks that it is tried on.
    """

    name: str
    origin: str
    source: str
    options: Mapping[str, Any]
    resources: Resources
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """What every backbone is tried on.

    Attributes:
        name: Unique; also the folder of its results.
        work: One of :data:`WORK`.
        source: Config of a fine-tuning; empty for the others.
        options: Settings of the config, or options of the command.
        resources: What its job takes.
    """

    name: str
    work: str
    source: str
    options: Mapping[str, Any]
    resources: Resources


@dataclass(frozen=True)
class Plan:
    """A comparison.

    Attributes:
        name: Name of its file.
        data: Where the data sets lie, by the names in :data:`DATA`; ``generated`` stands for all.
        seeds: Every job that draws anything is run with each.
        backbones: What is compared.
        tasks: On what.
        sizes: How much is generated, if anything is.
        text: What it says of itself: the comment at its top.
    """

    name: str
    data: Mapping[str, str]
    seeds: tuple[int, ...]
    backbones: tuple[Backbone, ...]
    tasks: tuple[Task, ...]
    sizes: Mapping[str, int] = field(default_factory=dict)
    text: str = ""


class UniqueKeys(yaml.SafeLoader):
    """YAML as it is, but for mappings in which a key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Refuse the second."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise InputError(f"{self.name} has {key!r} twice in the mapping of line {line}")
        return super().construct_mapping(node, deep)


def read_plan(path: Path, data: Mapping[str, str] | None = None) -> Plan:
    """Read a plan.

    Args:
        path: Its file.
        data: Folders in the place of those that the plan names.

    Raises:
        InputError: It is no plan; names the key and what was meant.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.load(file, UniqueKeys)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no YAML ({' '.join(str(error).split())})") from None
    known(path, "", content, SECTIONS)
    for name in ("backbones", "tasks"):
        if not isinstance(content.get(name), dict) or not content[name]:
            raise InputError(f"{path} names no {name}; see `selfpatch list plans` for examples")
    tasks = [task(path, name, entry) for name, entry in content["tasks"].items()]
    names = [own.name for own in tasks]
    backbones = [backbone(path, n, entry, names) for n, entry in content["backbones"].items()]
    sizes = content.get("sizes") or {}
    known(path, "sizes", sizes, SIZES)
    if wrong := [value for value in sizes.values() if type(value) is not int or value < 0]:
        raise InputError(f"{path}: sizes has {wrong[0]!r}; give whole numbers")
    check_folders(path, [*(b.name for b in backbones), *(t.name for t in tasks)])
    return Plan(
        path.stem,
        roots(path, content.get("data"), data or {}),
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


def backbone(path: Path, name: str, entry: Any, tasks: list[str]) -> Backbone:
    """One entry of ``backbones``."""
    where = f"the backbone {name!r}"
    known(path, where, entry, [*ORIGINS, "options", "tasks", *RESOURCES])
    wanted = entry.get("tasks", tasks)
    if not isinstance(wanted, list):
        raise InputError(f"{path}: tasks of {where} are {wanted!r} and no list")
    known(path, f"tasks of {where}", dict.fromkeys(wanted), tasks)
    origin = only(path, where, entry, ORIGINS)
    source = expanded(path, where, str(entry[origin]))
    if origin in ("import", "file") and not Path(source).is_file():
        raise InputError(f"{path}: {where} is to be {source}, which does not exist")
    options = options_of(path, where, entry)
    takes = resources(path, where, entry)
    if takes.processes > 1 and origin != "pretrain":
        raise InputError(f"{path}: {where} has processes, and nothing is trained; leave them out")
    return Backbone(str(name), origin, source, options, takes, tuple(wanted))


def task(path: Path, name: str, entry: Any) -> Task:
    """One entry of ``tasks``; OpenMMLab trains with several processes on GPUs only, one each."""
    where = f"the task {name!r}"
    known(path, where, entry, [*WORK, "options", *RESOURCES])
    work = only(path, where, entry, WORK)
    source = str(entry[work]) if work == "finetune" else ""
    options = options_of(path, where, entry)
    takes = resources(path, where, entry)
    if takes.processes > 1 and work != "finetune":
        raise InputError(f"{path}: {where} has processes, and nothing is trained; see workers")
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


def options_of(path: Path, where: str, entry: dict) -> dict[str, Any]:
    """The options of an entry."""
    options = entry.get("options") or {}
    if not isinstance(options, dict):
        raise InputError(f"{path}: the options of {where} are {options!r} and no mapping")
    return {str(name): value for name, value in options.items()}


def resources(path: Path, where: str, entry: dict) -> Resources:
    """What the jobs of an entry take."""
    given = {name: entry[name] for name in RESOURCES if name in entry}
    for name, value in given.items():
        if type(value) is not int or value < least(name):
            raise InputError(
                f"{path}: {where} has {name}={value!r}; give a whole number from {least(name)} on"
            )
    return Resources(**given)


def least(resource: str) -> int:
    """The least that a job can take of one of :data:`RESOURCES`."""
    return int(resource == "processes")


def seeds(path: Path, given: Any) -> tuple[int, ...]:
    """The seeds, which differ."""
    whole = isinstance(given, list) and all(type(seed) is int for seed in given)
    if not whole or not given or len(set(given)) < len(given):
        raise InputError(f"{path}: seeds={given!r}; give a list of different whole numbers")
    return tuple(given)


def roots(path: Path, given: Any, own: Mapping[str, str]) -> dict[str, str]:
    """Where the data lie; those of the command line first."""
    if given == "generated" and not own:
        return {"generated": "generated"}
    stated = {} if given in (None, "generated") else given
    for content in (stated, own):
        known(path, "data", content, DATA)
    written = {name: expanded(path, f"data.{name}", str(v)) for name, v in stated.items()
               if name not in own}  # fmt: skip
    found = {**written, **own}
    for name, folder in found.items():
        if not Path(folder).is_dir():
            raise InputError(f"{path}: data.{name} is {folder}, which does not exist")
    return {name: str(Path(folder).resolve()) for name, folder in found.items()}


def expanded(path: Path, where: str, text: str) -> str:
    """A text with ``${NAME}`` replaced by that variable of the environment."""
    for name in re.findall(r"\$\{(\w+)\}", text):
        if name not in os.environ:
            raise InputError(f"{path}: {where} is {text}, and {name} is not set; export {name}=DIR")
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ[found[1]], text)


def check_folders(path: Path, names: list[str]) -> None:
    """Raise InputError where two entries would write to one folder."""
    folders: dict[str, str] = {"backbone": "backbone"}  # where each one's own lies
    for name in names:
        if (
            (other := folders.setdefault(folder_of(name), name)) != name
            or names.count(name) > 1
            or name == "backbone"
        ):
            raise InputError(f"{path}: {other!r} and {name!r} share a folder; rename one of them")


def folder_of(name: str) -> str:
    """An entry's name as that of a folder."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.") or "unnamed"

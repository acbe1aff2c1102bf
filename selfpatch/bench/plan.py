"""What is compared: backbones, tasks and seeds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ORIGINS = ("pretrain", "import", "file", "random")
WORK = ("finetune", "davis", "probe")
DATA = ("images", "coco", "ade20k", "davis")
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
        source: Config of a fine-tuning; name of a probe; empty for the others.
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

    @property
    def missing(self) -> list[str]:
        """Data that are not where the plan says, for one that was read without them."""
        folders = {name: folder for name, folder in self.data.items() if name != "generated"}
        return [f"{name}={at}" for name, at in folders.items() if not Path(at).is_dir()]


def folder_of(name: str) -> str:
    """An entry's name as that of a folder."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.") or "unnamed"

"""Folders -> the pretrained models in them: backbone files, and the logs of their runs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open

from selfpatch.backbones.file import BackboneInfo
from selfpatch.errors import InputError
from selfpatch.report.curves import PANELS, Log
from selfpatch.results.models import Model, trunk_name
from selfpatch.results.scalars import LOG, read_scalars
from selfpatch.results.settings import digest


@dataclass
class Pretrained:
    """Backbones that differ in nothing but the seed, and the logs of their runs.

    Attributes:
        title: What they are called in the report.
        backbones: Backbone files, each of other weights.
        logs: What their runs have logged, by work dir.
    """

    title: str
    backbones: list[Path] = field(default_factory=list)
    logs: dict[Path, Log] = field(default_factory=dict)


def find_pretrained(folders: Sequence[Path]) -> tuple[list[Pretrained], list[str]]:
    """All models of which there is a backbone file or a run's log below the folders.

    A run without a backbone file, because it goes on, is a model of its own.

    Returns:
        The models, in the order of their files, and a sentence for each log that cannot be read.
    """
    logs, faults = find_logs(folders)
    models: dict[str, Pretrained] = {}
    names: dict[str, Model] = {}
    seen: set[str] = set()
    for path, info in backbone_files(folders):
        key = model_key(info)
        names.setdefault(key, Model(info.method, trunk_name(info.architecture)))
        model = models.setdefault(key, Pretrained(""))
        if path.parent in logs:
            model.logs[path.parent] = logs.pop(path.parent)
        if info.fingerprint not in seen:
            seen.add(info.fingerprint)
            model.backbones.append(path)
    for key, model in models.items():
        model.title = title_of(key, names, model.backbones)
    unfinished = [Pretrained(str(folder), logs={folder: log}) for folder, log in logs.items()]
    return [*models.values(), *unfinished], faults


def model_key(info: BackboneInfo) -> str:
    """What backbones share that differ in the seed alone; without a recipe, nobody knows."""
    alone = "" if info.settings else info.fingerprint
    return digest({"method": info.method, **info.architecture, **info.settings, "alone": alone})


def title_of(key: str, names: dict[str, Model], backbones: Sequence[Path]) -> str:
    """Method, trunk if there are several, and the file where these tell no models apart."""
    own = names[key]
    title = own.name
    if len({name.trunk for name in names.values()}) > 1:
        title += f", {own.trunk}"
    alike = [name for name in names.values() if name == own]
    return title if len(alike) == 1 else f"{title} ({backbones[0].parent})"


def find_logs(folders: Sequence[Path]) -> tuple[dict[Path, Log], list[str]]:
    """The logs of pretraining runs by work dir, and a sentence for each that cannot be read.

    Hosts' runs write such logs as well, of other values.
    """
    found: dict[Path, Log] = {}
    faults = []
    for folder in folders:
        for work_dir in sorted({path.parents[2] for path in folder.rglob(LOG)}):
            try:
                log = read_scalars(work_dir)
            except (InputError, OSError) as error:
                faults.append(str(error))
                continue
            if any(name in line for line in log for name in PANELS):
                found[work_dir] = log
    return found, faults


def backbone_files(folders: Iterable[Path]) -> Iterator[tuple[Path, BackboneInfo]]:
    """Every backbone file below the folders; nothing but its header is read."""
    for folder in folders:
        for path in sorted(folder.rglob("*.safetensors")):
            try:
                with safe_open(path, framework="numpy") as file:
                    header = (file.metadata() or {})["selfpatch"]
                yield path, BackboneInfo(**json.loads(header))
            except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError):
                continue  # not one of ours, or not whole

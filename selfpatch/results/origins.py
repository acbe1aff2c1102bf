"""Tables -> where their numbers come from: backbones, configs, data, devices, versions."""

from pathlib import Path

from selfpatch.results.file import TASKS, Result
from selfpatch.results.grid import full_name, printable
from selfpatch.results.models import Model
from selfpatch.results.settings import Settings, digest
from selfpatch.results.table import Row, Tables, task_title


def origins(tables: Tables) -> list[str]:
    """A line per model, per way of making a task's numbers, per device, per set of versions."""
    rows = [row for table in tables.tables for row in table.rows if row.results]
    found: dict[Path, Result] = {file: r for row in rows for file, r in row.results.items()}
    lines = [*backbone_lines(rows), *task_lines(list(found.values()))]
    lines += [f"device: {device}" for device in sorted({r.device for r in found.values()})]
    versions = sorted({version_list(r.versions) for r in found.values()})
    return [printable(line) for line in (*lines, *(f"versions: {text}" for text in versions))]


def backbone_lines(rows: list[Row]) -> list[str]:
    """``DINO, ViT-S/16: 1a2b3c4d5e6f (seed 0), ...``; a line per model."""
    names: dict[Model, str] = {}
    prints: dict[Model, set[tuple[int, str]]] = {}
    for row in rows:
        names.setdefault(row.model, full_name(row.model, row.variant))
        for result in row.results.values():
            seed, name = result.backbone["seed"], result.backbone["fingerprint"][:12]
            known = "" if seed is None else f" (seed {seed})"
            text = f"{name or 'weights that were not saved'}{known}"
            prints.setdefault(row.model, set()).add((seed or 0, text))
    return [
        f"{names[model]}: {', '.join(text for _, text in sorted(prints[model]))}"
        for model in sorted(names, key=lambda model: model.order)
    ]


def task_lines(results: list[Result]) -> list[str]:
    """``DAVIS 2017: davis_eval on DIR, 30 sequences; ...``; a line per config, data, settings."""
    found: dict[tuple[str, str], list[Result]] = {}
    places = list(TASKS)
    for r in sorted(results, key=lambda r: (*places, r.task).index(r.task)):
        data = f"{r.dataset['path']}, {r.dataset['count']} {r.dataset['unit']}"
        made = f"{r.config} on {data}; {settings_text(r.settings)}"
        found.setdefault((task_title(r.task), made), []).append(r)
    return [
        f"{task}: {made}; {len(of)} result{'s' * (len(of) > 1)}, {sum(r.hours for r in of):.2f} h"
        for (task, made), of in found.items()
    ]


def settings_text(settings: Settings) -> str:
    """All settings where they are few, else their digest: the results file has them all."""
    if len(settings) > 12:
        return f"setting {digest(settings)[:8]}, {len(settings)} values in the results file"
    return ", ".join(f"{name}={value}" for name, value in sorted(settings.items()))


def version_list(versions: dict[str, str]) -> str:
    """``torch 2.11.0, mmcv (onedl-mmcv) 2.3.6``: the distribution where its name is another one."""
    parts = []
    for name, described_version in versions.items():
        *distribution, version = described_version.split(" ")
        other = f" ({distribution[0]})" if distribution and distribution[0] != name else ""
        parts.append(f"{name}{other} {version}")
    return ", ".join(parts)

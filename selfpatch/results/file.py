"""Metrics of one task -> one results file, and back."""

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from selfpatch.atomic import atomic_write
from selfpatch.backbones.fingerprint import fingerprint
from selfpatch.errors import InputError
from selfpatch.results.settings import flat
from selfpatch.results.versions import installed_versions

if TYPE_CHECKING:
    from selfpatch.backbones.file import BackboneInfo

TASKS: dict[str, tuple[str, ...]] = {
    "coco-mask-rcnn": ("AP-box", "AP-mask"),
    "coco-cascade-mask-rcnn": ("AP-box", "AP-mask"),
    "coco-vitdet": ("AP-box", "AP-mask"),
    "ade20k-semantic-fpn": ("mIoU",),
    "ade20k-upernet": ("mIoU",),
    "ade20k-linear": ("mIoU",),
    "davis2017": ("J&F-Mean", "J-Mean", "F-Mean"),
}
"""Every task and its metrics, in the order of the table; all in percent."""


@dataclass(frozen=True)
class Result:
    """What one task gave for one backbone.

    Attributes:
        task: A key of :data:`TASKS`, or a name of the user's own.
        metrics: Metric name -> value in percent; a value is null where it cannot be computed.
        config: Name of the config that was run.
        dataset: What was tested on, see :func:`described_data`.
        backbone: What :meth:`BackboneInfo.described` says of the backbone.
        settings: Whatever else changes the number, by dotted name, of training and of test.
        hours: Wall-clock time of the run.
        device: Name of the processor or GPU.
        versions: Package -> version, see :func:`selfpatch.results.versions.installed_versions`.
        created: ISO time, UTC.
    """

    task: str
    metrics: dict[str, float | None]
    config: str
    dataset: dict[str, Any]
    backbone: dict[str, Any]
    hours: float
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""


def write_result(
    path: str | os.PathLike[str],
    *,
    task: str,
    metrics: dict[str, float | None],
    config: str,
    dataset: dict[str, Any],
    backbone: "BackboneInfo",
    hours: float,
    settings: dict[str, Any] | None = None,
) -> Result:
    """Write one results file atomically, with versions and device filled in."""
    result = Result(
        task=task,
        metrics={name: metrics[name] for name in TASKS.get(task, metrics)},
        config=config,
        dataset=dataset,
        backbone=backbone.described(),
        hours=hours,
        settings=flat(settings or {}),
        device=device_name(),
        versions=installed_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with atomic_write(path, "w") as file:
        json.dump(asdict(result), file, indent=1)
    return result


def described_data(path: str, names: Iterable[str], unit: str) -> dict[str, Any]:
    """Data as results know them: by what they hold, not by where they lie.

    Args:
        path: Their folder, for people to read.
        names: Name of each image or sequence.
        unit: What they are: ``images`` or ``sequences``.

    Returns:
        ``path``, ``count``, ``unit`` and ``names``, the SHA-256 of all names.
    """
    listed = sorted(names)
    found = hashlib.sha256("\n".join(listed).encode()).hexdigest()
    return {"path": path, "count": len(listed), "unit": unit, "names": found}


def read_results(paths: Iterable[str | os.PathLike[str]]) -> list[Result]:
    """Read results files; a folder stands for every ``results.json`` below it.

    Raises:
        InputError: A path does not exist, a file is no results file, or two files disagree on how
            one backbone was trained.
    """
    results = []
    methods: dict[str, str] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise InputError(f"{path} does not exist; give a results.json or a folder with some")
        for file in sorted(path.rglob("results.json")) if path.is_dir() else [path]:
            try:
                result = Result(**json.loads(file.read_text()))
                check(result)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise InputError(f"{file} is not a results file ({error})") from None
            results.append(result)
            stated = result.backbone["fingerprint"], result.backbone["method"]
            if stated[0] and methods.setdefault(*stated) != stated[1]:
                raise InputError(
                    f"{file} names a backbone {stated[1]} that another result names"
                    f" {methods[stated[0]]}; one of the two files is wrong"
                )
    return results


def check(result: Result) -> None:
    """Refuse what a table could not be made of.

    Raises:
        ValueError: Says which value is wrong.
    """
    for name, kind in get_type_hints(Result).items():
        kind = get_origin(kind) or kind
        if not isinstance(getattr(result, name), (int, float) if kind is float else kind):
            raise ValueError(f"its {name} is no {kind.__name__}")
    for name in TASKS.get(result.task, result.metrics):
        value = result.metrics.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and math.isfinite(value)):
            raise ValueError(f"its {name} is {value!r}")
        if value is not None and result.task in TASKS and not 0 <= value <= 100:
            raise ValueError(f"its {name} is {value!r}, and percents go from 0 to 100")
    if result.task == "davis2017":
        check_mean(*(result.metrics.get(name) for name in TASKS["davis2017"]))
    if not all(isinstance(version, str) for version in result.versions.values()):
        raise ValueError("one of its versions is no text")
    stated = result.backbone
    if not {"method", "fingerprint", "weights", "architecture"} <= set(stated):
        raise ValueError("its backbone has no method, fingerprint, weights or architecture")
    found = fingerprint(stated["weights"], stated["architecture"]) if stated["weights"] else ""
    if stated["fingerprint"] != found:
        raise ValueError("its backbone's fingerprint is not that of its weights and architecture")
    if not {"path", "count", "unit", "names"} <= set(result.dataset):
        raise ValueError("it does not say what its data hold")


def check_mean(both: float | None, region: float | None, boundary: float | None) -> None:
    """Raise ValueError where J&F is not the mean of J and F."""
    if both is None or region is None or boundary is None:
        return
    if not math.isclose(both, (region + boundary) / 2, abs_tol=1e-6):
        raise ValueError(f"its J&F-Mean is {both}, and not the mean of {region} and {boundary}")


def device_name() -> str:
    """The first GPU's name, or the processor's with its number of cores."""
    import torch  # whoever writes a result has it already; whoever reads one needs none

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return f"{model}, {os.cpu_count()} cores"

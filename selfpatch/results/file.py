"""Metrics of one task -> one results file, and back."""

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
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
    "ade20k-semantic-fpn": ("mIoU", "mAcc", "aAcc"),
    "ade20k-upernet": ("mIoU", "mAcc", "aAcc"),
    "ade20k-linear": ("mIoU", "mAcc", "aAcc"),
    "davis2017": ("J&F-Mean", "J-Mean", "F-Mean", "J-Recall", "F-Recall"),
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
        backbone: What :meth:`BackboneInfo.described` says of the backbone, its seed included.
        hours: Wall-clock time of the run.
        seed: Seed of the task's own run; null where the task draws nothing, or nobody knows.
        settings: Whatever else changes the number, by dotted name, of training and of test.
        found: What came out beside the metrics, such as the learning rate that was chosen; results
            that differ in it are compared.
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
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""


STATED = [own.name for own in fields(Result) if own.default is own.default_factory is MISSING]
"""What every results file has to say."""

OF_RESULT: dict[str, Any] = {
    **{name: get_origin(kind) or kind for name, kind in get_type_hints(Result).items()},
    "hours": int | float,
    "seed": int | None,
}
"""The type of every attribute, as isinstance takes it."""

OF_DATASET = {"path": str, "count": int, "unit": str, "names": str}
"""What a result has to say of its data, and the types."""

OF_BACKBONE: dict[str, Any] = {
    **dict.fromkeys(("method", "network", "weights", "fingerprint"), str),
    **dict.fromkeys(("architecture", "settings"), dict),
    "seed": int | None,
}
"""What a result has to say of its backbone, and the types."""

Results = Mapping[Path, Result]
"""The file of each result -> the result."""


def write_result(
    path: str | os.PathLike[str],
    *,
    task: str,
    metrics: dict[str, float | None],
    config: str,
    dataset: dict[str, Any],
    backbone: "BackboneInfo",
    hours: float,
    seed: int | None = None,
    settings: dict[str, Any] | None = None,
    found: dict[str, Any] | None = None,
) -> Result:
    """Write one results file atomically, with versions and device filled in."""
    result = Result(
        task=task,
        metrics={name: metrics[name] for name in TASKS.get(task, metrics)},
        config=config,
        dataset=dataset,
        backbone=backbone.described(),
        hours=hours,
        seed=seed,
        settings=flat(settings or {}),
        found=found or {},
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
    text = "\n".join(listed).encode(errors="surrogatepass")  # names of files need be no UTF-8
    found = hashlib.sha256(text).hexdigest()
    return {"path": path, "count": len(listed), "unit": unit, "names": found}


def read_results(paths: Iterable[str | os.PathLike[str]]) -> dict[Path, Result]:
    """Read results files; a folder stands for every ``results.json`` below it.

    A file that is given twice, by folders that overlap, counts once.

    Raises:
        InputError: A path does not exist, a file is no results file, or two files disagree on how
            one backbone was trained.
    """
    results: dict[Path, Result] = {}
    seen: set[Path] = set()
    methods: dict[str, str] = {}
    for file in files_of(paths):
        if file.resolve() in seen:
            continue
        seen.add(file.resolve())
        try:
            content = json.loads(file.read_text())
            missing = [name for name in STATED if name not in content]
            if missing:
                raise ValueError(f"it has no {missing[0]}")
            result = Result(**content)
            check(result)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{file} is not a results file ({error})") from None
        results[file] = result
        stated = result.backbone["fingerprint"], result.backbone["method"]
        if stated[0] and methods.setdefault(*stated) != stated[1]:
            raise InputError(
                f"{file} names a backbone {stated[1]} that another result names"
                f" {methods[stated[0]]}; one of the two files is wrong"
            )
    return results


def files_of(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """The results files that are meant, in the order in which they are named."""
    for path in map(Path, paths):
        if not path.exists():
            raise InputError(f"{path} does not exist; give a results.json or a folder with some")
        yield from sorted(path.rglob("results.json")) if path.is_dir() else [path]


def check(result: Result) -> None:
    """Refuse what a table could not be made of.

    Raises:
        ValueError: Says which value is wrong.
    """
    check_kinds("", vars(result), OF_RESULT)
    for name in TASKS.get(result.task, result.metrics):
        value = result.metrics.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and math.isfinite(value)):
            raise ValueError(f"its {name} is {value!r}")
        if value is not None and result.task in TASKS and not 0 <= value <= 100:
            raise ValueError(f"its {name} is {value!r}, and percents go from 0 to 100")
    if result.task == "davis2017":
        check_mean(*(result.metrics.get(name) for name in ("J&F-Mean", "J-Mean", "F-Mean")))
    if not all(isinstance(version, str) for version in result.versions.values()):
        raise ValueError("one of its versions is no text")
    check_kinds("dataset's ", result.dataset, OF_DATASET)
    check_kinds("backbone's ", result.backbone, OF_BACKBONE)
    stated = result.backbone
    found = fingerprint(stated["weights"], stated["architecture"]) if stated["weights"] else ""
    if stated["fingerprint"] != found:
        raise ValueError("its backbone's fingerprint is not that of its weights and architecture")


def check_kinds(whose: str, values: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raise ValueError where a value is missing, or of another type than stated."""
    for name, kind in kinds.items():
        if not isinstance(values.get(name, ...), kind):
            raise ValueError(f"its {whose}{name} is no {getattr(kind, '__name__', kind)}")


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

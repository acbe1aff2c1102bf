"""Say what works on this machine, and what will not and why.

Examples:
    selfpatch doctor
    COCO_ROOT=data/coco selfpatch doctor --json
"""

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from selfpatch.errors import EXTRAS
from selfpatch.shipped import files_of


@dataclass(frozen=True)
class Fact:
    """Something that was looked at.

    Attributes:
        name: What.
        found: What was found.
        missing: What will not work, and the remedy; nothing if all is well.
    """

    name: str
    found: str
    missing: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Look, and print a line per fact."""
    facts = [*versions(), *devices(), *operators(), *extras(), *data(), *cluster()]
    if args.json:
        print(json.dumps([asdict(fact) for fact in facts], indent=1))
        return
    for fact in facts:
        print(f"{'!!' if fact.missing else 'ok'}  {fact.name:<16}{fact.found}")
        if fact.missing:
            print(f"    {'':<16}{fact.missing}")


def versions() -> Iterator[Fact]:
    """Python and the packages that numbers depend on."""
    from selfpatch.results.origins import version_list
    from selfpatch.results.versions import installed_versions

    yield Fact("versions", version_list(installed_versions()))


def devices() -> Iterator[Fact]:
    """Where torch can compute."""
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    without = "" if gpus else "all runs, but a pretraining at full size would take months"
    yield Fact("GPUs", ", ".join(gpus) or "none", without)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    yield Fact("processor", f"{cores} cores, {memory:.0f} GiB of memory")
    free = shutil.disk_usage(".").free / 2**30
    yield Fact("disk", f"{free:.0f} GiB free here", "" if free > 5 else "free some space")


def operators() -> Iterator[Fact]:
    """Whose NMS and RoIAlign detection uses."""
    if importlib.util.find_spec("mmcv") is None:
        return
    spec = importlib.util.find_spec("mmcv._ext")
    if spec is None:
        remedy = "detection will not work: install this project's wheel, which brings stand-ins"
        yield Fact("mmcv operators", "none", remedy)
        return
    ours = Path(spec.origin or "").name == "mmcv_ext.py"
    yield Fact("mmcv operators", "torchvision's in their place" if ours else "compiled")


def extras() -> Iterator[Fact]:
    """Which optional packages are missing, by the extra that brings them."""
    uses = {
        "openmmlab": "pretraining, detection and segmentation",
        "export": "ONNX models",
        "plots": "curves, reports and videos",
        "bench": "plans",
    }
    for extra, use in uses.items():
        wanted = [package for package, owner in EXTRAS.items() if owner == extra]
        missing = [package for package in wanted if importlib.util.find_spec(package) is None]
        remedy = f"{use} will not work: pip install 'selfpatch[{extra}]'" if missing else ""
        yield Fact(extra, f"no {', '.join(missing)}" if missing else "installed", remedy)


DEFAULT_ROOTS = {"COCO_ROOT": "data/coco", "ADE20K_ROOT": "data/ade/ADEChallengeData2016"}
"""What configs take where a variable is not set; plans ask for it."""


def data() -> Iterator[Fact]:
    """Whether the data roots that configs and plans read are set and exist."""
    plans = " ".join(path.read_text() for path in files_of("selfpatch.plans", ".yaml"))
    for variable in dict.fromkeys([*DEFAULT_ROOTS, *sorted(re.findall(r"\$\{(\w+)\}", plans))]):
        folder = os.environ.get(variable, DEFAULT_ROOTS.get(variable))
        found = "not set" if folder is None else folder
        there = folder is not None and Path(folder).is_dir()
        remedy = f"{variable.removesuffix('_ROOT')} is not found: export {variable}=DIR"
        missing = " does not exist" if folder and not there else ""
        yield Fact(variable, found + missing, "" if there else remedy)


def cluster() -> Iterator[Fact]:
    """Whether a Slurm controller answers, where Slurm is installed."""
    if not shutil.which("sinfo"):
        return
    remedy = "jobs cannot be submitted: look after its controller, slurmctld"
    try:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%P %D"], capture_output=True, text=True, timeout=10
        )
    except subprocess.TimeoutExpired:
        yield Fact("Slurm", "sinfo does not answer", remedy)
        return
    lines = [line.split() for line in asked.stdout.splitlines()]
    partitions = [f"{name} with {count} nodes" for name, count in lines]
    yield Fact("Slurm", ", ".join(partitions) or "no partition", "" if partitions else remedy)

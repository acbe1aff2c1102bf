"""Measure what frozen features are worth, without training the backbone.

Examples:
    selfpatch probe in-context --weights backbone.safetensors --ade20k DIR --out result.json
    selfpatch probe linear --weights backbone.safetensors --ade20k DIR --keep DIR
    torchrun --nproc-per-node 8 -m selfpatch probe in-context --launcher pytorch ...

`selfpatch probe PROBE --help` says what a probe measures, and how.
"""

import argparse
import json
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from selfpatch.commands.parser import natural, positive
from selfpatch.results.probes import DRAWING

if TYPE_CHECKING:
    from selfpatch.commands.probes.outcome import Outcome

PROBES = {
    "in-context": "segment images by the labels of the most similar patches of others",
    "linear": "segment images by a linear classifier of their patches",
    "overclustering": "cluster patches, and see how well the clusters show the classes",
    "discovery": "find one object in each image by the keys of its patches: LOST, TokenCut",
    "correspondence": "find keypoints of one image in another by the most similar features",
    "depth": "tell how far pixels are, linearly or by the most similar patches",
    "knn": "classify images by their nearest neighbours",
    "classification": "classify images by a linear classifier",
    "retrieval": "find images of the same landmark, or of the same class",
}
"""Probe -> what it does. Its module, of that name in :mod:`selfpatch.commands.probes`, has a help,
``add_arguments`` and ``measure``."""

WHOLE_IMAGES = ("discovery", "knn", "classification", "retrieval")
"""Probes that read one vector per image, or keys; the others read the features of patches."""

ONE_BY_ONE = ("discovery",)
"""Probes whose images keep their own size, so that each has a forward pass."""


def module_of(probe: str) -> ModuleType:
    """The module of a probe."""
    return import_module(f"selfpatch.commands.probes.{probe.replace('-', '_')}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the probes and their arguments."""
    probes = parser.add_subparsers(dest="probe", metavar="PROBE", required=True, title="probes")
    for name, summary in PROBES.items():
        probe = probes.add_parser(name, help=summary, formatter_class=parser.formatter_class)
        module = module_of(name)
        first, _, rest = (module.__doc__ or "").partition("\n")
        probe.description, probe.epilog = first, rest.strip()
        probe.add_argument("--weights", required=True, help="backbone file or checkpoint")
        module.add_arguments(probe)
        if name in DRAWING:
            probe.add_argument("--seed", type=natural, default=0, help="of what is drawn")
        probe.add_argument("--out", metavar="FILE", help="results file, for `selfpatch table`")
        probe.add_argument("--json", action="store_true", help="print JSON")
        add_reading(probe, patches=name not in WHOLE_IMAGES)
        if name not in ONE_BY_ONE:
            probe.add_argument("--batch", type=positive, default=16, help="images per forward pass")


def add_reading(parser: argparse.ArgumentParser, patches: bool) -> None:
    """Add how features are computed."""
    if patches:
        parser.add_argument(
            "--layer", type=int, help="block of a ViT, stage of a Swin or ResNet; the last one"
        )
        parser.add_argument("--half", action="store_true", help="features in half precision")
        parser.add_argument(
            "--keep", metavar="DIR", type=Path, help="keep the features, for further probes"
        )
    parser.add_argument("--device", help="such as cpu or cuda:1; a GPU where there is one")
    parser.add_argument("--workers", type=natural, default=2, help="processes that read images")
    parser.add_argument(
        "--launcher", choices=["none", "pytorch", "slurm"], default="none", help="what starts it"
    )


def run(args: argparse.Namespace) -> None:
    """Measure, write the result, and print it; several processes share the work."""
    from selfpatch.models.distributed import rank
    from selfpatch.processes import start_processes

    start_processes(args.launcher, args.device)
    began = time.perf_counter()
    outcome = module_of(args.probe).measure(args)
    seconds = time.perf_counter() - began
    if rank() == 0:
        tell(outcome, seconds, args.json)
        if args.out:
            write(args, outcome, seconds)


def tell(outcome: "Outcome", seconds: float, as_json: bool) -> None:
    """Print what was found."""
    info = outcome.info
    stated = {**outcome.settings, **outcome.found}
    if as_json:
        facts = {"task": outcome.task, **outcome.metrics, outcome.unit: len(outcome.tested)}
        print(json.dumps({**facts, **stated, "seconds": seconds, "backbone": info.described()}))
        return
    known = {name: value for name, value in outcome.metrics.items() if value is not None}
    scores = ", ".join(f"{name} {value:.2f}" for name, value in known.items())
    found = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in outcome.found.items()
        if value is not None and not isinstance(value, dict)
    )
    print(
        f"{info.method} {info.fingerprint[:12]}, {outcome.task}: {scores or 'nothing is labelled'}"
        f" ({len(outcome.tested):,} {outcome.unit}; {found}{'; ' * bool(found)}{seconds:.0f} s)"
    )


def write(args: argparse.Namespace, outcome: "Outcome", seconds: float) -> None:
    """Write the results file."""
    from selfpatch.results.file import described_data, write_result

    write_result(
        args.out,
        task=outcome.task,
        metrics=outcome.metrics,
        config=args.probe,
        dataset=described_data(outcome.folder, outcome.tested, outcome.unit),
        backbone=outcome.info,
        hours=seconds / 3600,
        seed=args.seed if args.probe in DRAWING else None,
        settings=outcome.settings,
        found=outcome.found,
    )

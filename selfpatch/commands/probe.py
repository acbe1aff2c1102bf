"""Measure what frozen patches are worth: in-context or linear segmentation.

Examples:
    selfpatch probe in-context --weights backbone.safetensors --ade20k DIR
    selfpatch probe linear --weights backbone.safetensors --ade20k DIR --keep DIR
    selfpatch probe in-context --weights backbone.safetensors --data DIR --classes 21 --size 448

`--ade20k` is the scene parsing challenge's folder. `--data` is any folder with images/{training,
validation} and labels/{training,validation}, whose maps hold the number of each pixel's class, 255
where it does not count.
"""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from selfpatch.commands.parser import natural, positive

if TYPE_CHECKING:
    from selfpatch.data.segmented import SegmentedImages
    from selfpatch.probes.segment import PatchFeatures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("probe", choices=["in-context", "linear"], help="what is measured")
    parser.add_argument("--weights", required=True, help="backbone file or checkpoint")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--ade20k", metavar="DIR", help="ADE20K's folder")
    source.add_argument("--data", metavar="DIR", help="a folder of your own")
    parser.add_argument("--classes", type=positive, help="how many classes --data has")
    parser.add_argument("--size", type=positive, default=512, help="side of the images, in pixels")
    parser.add_argument("--bank", type=positive, default=1_024_000, help="patches of the bank")
    parser.add_argument("--steps", type=positive, default=2000, help="of the linear classifiers")
    parser.add_argument("--half", action="store_true", help="keep features in half precision")
    parser.add_argument("--seed", type=natural, default=0, help="of what is drawn")
    parser.add_argument(
        "--keep", metavar="DIR", type=Path, help="keep the features, for further probes"
    )
    parser.add_argument("--out", metavar="FILE", help="results file, for `selfpatch table`")
    parser.add_argument("--device", help="such as cpu or cuda:1; a GPU where there is one")
    parser.add_argument("--batch", type=positive, default=16, help="images per forward pass")
    parser.add_argument("--workers", type=natural, default=2, help="processes that read images")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Measure, write the result, and print it."""
    from selfpatch.backbones.loading import available_device, load_backbone
    from selfpatch.probes.segment import PatchFeatures
    from selfpatch.probes.tokens import KeptFeatures
    from selfpatch.results.file import described_data, write_result

    training, validation, name = data_of(args)
    device = args.device or available_device()
    trunk, info = load_backbone(args.weights, device)
    features = PatchFeatures(trunk, device, args.size)
    if args.keep:
        features = KeptFeatures(features, info.fingerprint, args.keep, args.half)
    task = f"{name}-{args.probe}-{args.size}"
    began = time.perf_counter()
    metrics, settings = PROBES[args.probe](features, training, validation, args)
    seconds = time.perf_counter() - began
    if args.json:
        facts = {"task": task, **metrics, "images": len(validation), **settings, "seconds": seconds}
        print(json.dumps({**facts, "backbone": info.described()}))
    else:
        known = {name: value for name, value in metrics.items() if value is not None}
        scores = ", ".join(f"{name} {value:.2f}" for name, value in known.items())
        stated = ", ".join(f"{name} {value:,}" for name, value in settings.items())
        print(
            f"{info.method} {info.fingerprint[:12]}, {task}: {scores or 'nothing is labelled'} of"
            f" {len(validation)} images; {stated}; {seconds:.0f} s"
        )
    if args.out:
        learned = described_data("", training.names(), "images")
        write_result(
            args.out,
            task=task,
            metrics=metrics,
            config=args.probe,
            dataset=described_data(args.ade20k or args.data, validation.names(), "images"),
            backbone=info,
            hours=seconds / 3600,
            seed=args.seed,
            settings={
                "size": args.size,
                "half": args.half,
                "classes": training.num_classes,
                "training images": learned["count"],
                "names of the training images": learned["names"],
                **settings,
            },
        )


def in_context(
    features: "PatchFeatures",
    training: "SegmentedImages",
    validation: "SegmentedImages",
    args: argparse.Namespace,
) -> tuple[dict[str, float | None], dict[str, float]]:
    """Metrics of in-context segmentation, and what they depend on."""
    from selfpatch.probes.confusion import segmentation_metrics
    from selfpatch.probes.segment import build_bank, segment

    loading = {"batch": args.batch, "workers": args.workers}
    bank = build_bank(features, training, args.bank, args.seed, half=args.half, **loading)
    metrics = segmentation_metrics(segment(features, bank, validation, **loading))
    return metrics, {"bank": len(bank.features)}


def linear(
    features: "PatchFeatures",
    training: "SegmentedImages",
    validation: "SegmentedImages",
    args: argparse.Namespace,
) -> tuple[dict[str, float | None], dict[str, float]]:
    """Metrics of linear segmentation, and what they depend on."""
    from selfpatch.probes.linear import Training, linear_segmentation

    how = Training(steps=args.steps, seed=args.seed)
    loading = {"batch": args.batch, "workers": args.workers}
    metrics, rate = linear_segmentation(features, training, validation, how, **loading)
    return metrics, {"steps": args.steps, "lr": rate}


PROBES = {"in-context": in_context, "linear": linear}
"""Name -> what measures it."""


def data_of(args: argparse.Namespace) -> tuple["SegmentedImages", "SegmentedImages", str]:
    """Training images, validation images, and the data set's name in a task's."""
    from selfpatch.data.segmented import ade20k, folder
    from selfpatch.errors import InputError

    if args.ade20k and args.classes is not None:
        raise InputError("ADE20K has 150 classes; --classes is for --data")
    if args.ade20k:
        root = Path(args.ade20k)
        return ade20k(root, "training"), ade20k(root, "validation"), "ade20k"
    if args.classes is None:
        raise InputError("--data has any number of classes; say how many with --classes N")
    root = Path(args.data)
    training, validation = (
        folder(root, split, args.classes) for split in ("training", "validation")
    )
    return training, validation, root.resolve().name

"""Find keypoints of one image in another by the most similar features; nothing is trained.

Examples:
    selfpatch probe correspondence --weights backbone.safetensors --spair DIR
    selfpatch probe correspondence --weights backbone.safetensors --spair DIR --split val

SPair-71k's own folder: PairAnnotation/{test,val,trn} and JPEGImages. A keypoint is found where it
is at most a tenth of the longer side of the object's box away from its truth (PCK@0.1, as DIFT
measures it: docs/probes/correspondence.md).
"""

import argparse
from pathlib import Path

from selfpatch.commands.parser import positive
from selfpatch.commands.probes.outcome import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--spair", metavar="DIR", type=Path, required=True, help="SPair-71k")
    parser.add_argument("--split", choices=["test", "val", "trn"], default="test", help="of it")
    parser.add_argument("--size", type=positive, default=512, help="side of the images, in pixels")


def measure(args: argparse.Namespace) -> Outcome:
    """PCK of all pairs; that of the categories is found beside it."""
    from selfpatch.commands.probes.loading import patch_features, reading_of
    from selfpatch.data.spair import SpairPairs
    from selfpatch.probes.correspondence import ALPHA, correspondences, percentages

    spair = SpairPairs(args.spair, args.split)
    features, info = patch_features(args)
    pck = percentages(spair, correspondences(features, spair, args.batch, args.workers))
    per_image, per_point = pck.pop("all")
    of_images, of_points = zip(*pck.values(), strict=True)
    count = len(pck)
    return Outcome(
        task=f"spair{'' if args.split == 'test' else '-' + args.split}-correspondence-{args.size}",
        metrics={f"PCK@{ALPHA}-per-image": per_image, f"PCK@{ALPHA}-per-point": per_point},
        info=info,
        folder=str(args.spair),
        tested=[pair.name for pair in spair.pairs],
        unit="pairs",
        settings=reading_of(args),
        found={
            f"mean of {count} categories, per image": round(sum(of_images) / count, 2),
            f"mean of {count} categories, per point": round(sum(of_points) / count, 2),
            "per image and per point": {
                name: [round(value, 2) for value in both] for name, both in pck.items()
            },
        },
    )

"""Find one object in each image by the keys of its patches; nothing is trained.

Examples:
    selfpatch probe discovery --weights backbone.safetensors --voc VOCdevkit/VOC2007
    selfpatch probe discovery --weights backbone.safetensors \\
        --coco COCO/annotations/instances_val2017.json
    selfpatch probe discovery --weights backbone.safetensors \\
        --masks DAVIS/Annotations/480p --images DAVIS/JPEGImages/480p

LOST and TokenCut draw a box each, in images of their own size. CorLoc is the share of images whose
box overlaps one of the true ones by half or more (docs/probes/discovery.md).
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from selfpatch.commands.probes.outcome import Outcome
from selfpatch.errors import InputError

if TYPE_CHECKING:
    from selfpatch.data.boxes import BoxedImages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--voc", metavar="DIR", help="a year of PASCAL VOC; its trainval is read")
    source.add_argument("--coco", metavar="FILE", help="an instances JSON of COCO")
    source.add_argument("--masks", metavar="DIR", help="masks of objects, named as their images")
    parser.add_argument(
        "--images", metavar="DIR", type=Path,
        help="images of --masks, or of --coco where they are not DIR/SPLIT beside"
        " DIR/annotations/instances_SPLIT.json",
    )  # fmt: skip


def measure(args: argparse.Namespace) -> Outcome:
    """CorLoc of LOST and TokenCut."""
    from selfpatch.backbones.loading import available_device, load_backbone
    from selfpatch.probes.corloc import Keys, discovered
    from selfpatch.probes.discovery import EXPANSION, TAU

    images, name, folder = images_of(args)
    device = args.device or available_device()
    trunk, info = load_backbone(args.weights, device)
    found = discovered(Keys(trunk, device), images, args.workers)
    metrics: dict[str, float | None] = {f"CorLoc-{method}": of for method, of in found.items()}
    settings = {"expansion": EXPANSION, "tau": TAU}
    return Outcome(f"{name}-discovery", metrics, info, folder, images.names(), settings)


def images_of(args: argparse.Namespace) -> tuple["BoxedImages", str, str]:
    """Images with boxes, the data set's name in a task's, and where it lies.

    Raises:
        InputError: What was given does not say where images are.
    """
    from selfpatch.data import boxes

    if args.voc:
        root = Path(args.voc)
        return boxes.voc(root), root.resolve().name.lower(), args.voc
    if args.coco:
        file = Path(args.coco).resolve()
        split = file.stem.removeprefix("instances_")
        return boxes.coco(file, args.images or file.parents[1] / split), f"coco-{split}", args.coco
    if args.images is None:
        raise InputError("--masks has no images; say where they are with --images DIR")
    masks = Path(args.masks).resolve()
    root = Path(os.path.commonpath([masks, args.images.resolve()]))
    return boxes.masked(masks, args.images), (root.name or masks.name).lower(), args.masks

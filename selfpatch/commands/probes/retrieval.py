"""Find images that show the same: landmarks of revisited Oxford and Paris, or those of a class.

Examples:
    selfpatch probe retrieval --weights backbone.safetensors --revisited DIR/roxford5k
    selfpatch probe retrieval --weights backbone.safetensors --revisited DIR/rparis6k --size 512 \\
        --multiscale --whole-queries
    selfpatch probe retrieval --weights backbone.safetensors --data DIR

`--revisited` is a folder with gnd_NAME.pkl and jpg/*.jpg: mean average precision and precision of
the Medium, Hard and Easy protocols. `--data` holds one subfolder per class: each image looks for
the others of its class, MAP@R and Recall@1 (docs/probes/images.md).
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from selfpatch.commands.parser import positive
from selfpatch.commands.probes.images import Network, network
from selfpatch.commands.probes.outcome import Outcome

if TYPE_CHECKING:
    from torch import Tensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--revisited", metavar="DIR", help="roxford5k's or rparis6k's folder")
    source.add_argument("--data", metavar="DIR", help="a folder of CLASS/IMAGE")
    parser.add_argument(
        "--size", type=positive, default=224,
        help="pixels of the long side, which is never enlarged; with --data, of a square",
    )  # fmt: skip
    parser.add_argument(
        "--multiscale", action="store_true", help="the mean over three sizes of each image"
    )
    parser.add_argument(
        "--whole-queries", action="store_true",
        help="do not cut queries to their landmark, as DINO does not; easier",
    )  # fmt: skip


def measure(args: argparse.Namespace) -> Outcome:
    """How well images are found."""
    from selfpatch.errors import InputError

    if args.revisited:
        return of_landmarks(args)
    if args.whole_queries:
        raise InputError("--whole-queries is for --revisited; the images of --data are whole")
    return of_classes(args)


def unit_vectors(model: Network, images: "Tensor", multiscale: bool) -> "Tensor":
    """What stands for uint8 images (B, 3, H, W): unit vectors (B, D)."""
    import torch.nn.functional as F

    from selfpatch.probes.retrieval import at_scales

    normalised = model.normalised(images)
    found = at_scales(model.summary, normalised) if multiscale else model.summary(normalised)
    return F.normalize(found, dim=-1)


def least_side(args: argparse.Namespace, model: Network) -> int:
    """Pixels that a side needs, so that the smallest of its sizes has a patch."""
    return model.trunk.patch_size * (2 if args.multiscale else 1)


def of_landmarks(args: argparse.Namespace) -> Outcome:
    """Revisited Oxford or Paris."""
    from selfpatch.backbones.pickles import unpickle_arrays
    from selfpatch.data.retrieval import Shrunk, landmarks, truth_file
    from selfpatch.probes.retrieval import revisited_metrics
    from selfpatch.probes.vectors import vectors_of

    file = truth_file(Path(args.revisited))
    data = landmarks(unpickle_arrays(file, "ground truth"), file)
    model = network(args)
    boxes = None if args.whole_queries else data.boxes
    least = least_side(args, model)
    # One at a time: no two need have one size.
    database, queries = (
        vectors_of(
            Shrunk(files, args.size, cut, least),
            lambda images: unit_vectors(model, images, args.multiscale),
            1, args.workers, name, together=True,
        )[0]
        for files, cut, name in ((data.images, None, "images"), (data.queries, boxes, "queries"))
    )  # fmt: skip
    ranks = (queries @ database.T).argsort(dim=1, descending=True, stable=True).cpu().numpy()
    metrics = revisited_metrics(ranks, data.related)
    return Outcome(
        f"{file.stem.removeprefix('gnd_')}-retrieval-{args.size}", metrics, model.info,
        args.revisited, data.names(),
        {"size": args.size, "multiscale": args.multiscale, "whole queries": args.whole_queries},
        {"queries": len(data.queries)},
    )  # fmt: skip


def of_classes(args: argparse.Namespace) -> Outcome:
    """Images of classes, each of which looks for the others of its own."""
    from selfpatch.data.labelled import LabelledImages, classes_of
    from selfpatch.errors import InputError
    from selfpatch.probes.retrieval import leave_one_out
    from selfpatch.probes.vectors import vectors_of

    images = LabelledImages(args.data, classes_of(args.data), args.size)
    model = network(args)
    if args.size < least_side(args, model):
        raise InputError(f"half of --size {args.size} is less than a patch; give a larger one")
    vectors, labels = vectors_of(
        images, lambda own: unit_vectors(model, own, args.multiscale),
        args.batch, args.workers, "images", together=True,
    )  # fmt: skip
    metrics = leave_one_out(vectors, labels)
    return Outcome(
        f"{Path(args.data).resolve().name}-retrieval-{args.size}", {**metrics}, model.info,
        args.data, images.names(), {"size": args.size, "multiscale": args.multiscale},
    )  # fmt: skip

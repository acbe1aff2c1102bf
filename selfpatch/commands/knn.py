"""Classify labelled folders by a backbone's nearest neighbours: top-1 accuracy in percent.

Examples:
    selfpatch knn --weights backbone.safetensors --train DIR/train --val DIR/val
    selfpatch knn --weights backbone.safetensors --train DIR/train --val DIR/val --size 112 --json

A folder holds one subfolder per class. The protocol is DINO's. What stands for an image is what
`selfpatch pretrain --knn` reads: SelfPatch's summary, else [CLS] or the mean of the patches.
"""

import argparse
import json

from selfpatch.commands.parser import above_zero, natural, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--weights", required=True, help="backbone file or checkpoint")
    parser.add_argument("--train", required=True, metavar="DIR", help="images that vote")
    parser.add_argument("--val", required=True, metavar="DIR", help="images that are classified")
    parser.add_argument("--size", type=positive, default=224, help="side of the images, in pixels")
    parser.add_argument("--k", type=positive, default=20, help="votes per image")
    parser.add_argument("--temperature", type=above_zero, default=0.07, help="of the votes")
    parser.add_argument("--device", help="such as cpu or cuda:1; a GPU where there is one")
    parser.add_argument("--workers", type=natural, default=2, help="processes that read images")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Classify and print."""
    import torch

    from selfpatch.backbones.loading import available_device, load_features
    from selfpatch.data.labelled import labelled_pair
    from selfpatch.probes.knn import knn_accuracy

    device = args.device or available_device()
    features, info = load_features(args.weights, device)
    bank, queries = labelled_pair(args.train, args.val, args.size)
    mean, std = (
        255 * torch.tensor(info.architecture[name]).view(3, 1, 1) for name in ("mean", "std")
    )
    accuracy = knn_accuracy(
        lambda images: features(((images - mean) / std).to(device))[0],
        bank,
        queries,
        args.k,
        args.temperature,
        num_workers=args.workers,
        show_progress=True,
    )
    if args.json:
        facts = {"knn_top1": accuracy, "images": len(queries), "bank": len(bank)}
        print(json.dumps({**facts, "k": args.k, "size": args.size, "backbone": info.described()}))
    else:
        print(f"{info.method} {info.fingerprint[:12]}: {accuracy:.2f} % of {len(queries)} images")

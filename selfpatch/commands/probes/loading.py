"""``--weights`` and how they are read -> what gives the features of patches."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfpatch.backbones.file import BackboneInfo
    from selfpatch.probes.features import PatchFeatures


def patch_features(args: argparse.Namespace) -> tuple["PatchFeatures", "BackboneInfo"]:
    """What computes the features, or keeps them, and what the backbone is.

    Raises:
        InputError: The file is no backbone, or its trunk has no such layer or size.
    """
    from selfpatch.backbones.loading import available_device, load_backbone
    from selfpatch.probes.features import PatchFeatures
    from selfpatch.probes.tokens import KeptFeatures

    device = args.device or available_device()
    trunk, info = load_backbone(args.weights, device)
    features = PatchFeatures(trunk, device, args.size, args.layer, args.half)
    if args.keep:
        features = KeptFeatures(features, info.fingerprint, args.keep)
    return features, info


def reading_of(args: argparse.Namespace) -> dict[str, object]:
    """What of the reading changes a number, for a results file."""
    return {"size": args.size, "layer": args.layer, "half": args.half}

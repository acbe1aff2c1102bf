"""Variant's name or stored architecture -> trunk."""

from typing import Any

from selfpatch.errors import InputError
from selfpatch.models.resnet import ResNet
from selfpatch.models.swin import SWIN_VARIANTS, Swin
from selfpatch.models.vit import VARIANTS, VisionTransformer

Transformer = VisionTransformer | Swin
"""What can be pretrained here."""

Trunk = Transformer | ResNet
"""What a backbone file can hold."""


def build_trunk(variant: str = "vit_small", **overrides: Any) -> Transformer:
    """Build a variant of ``VARIANTS`` or ``SWIN_VARIANTS``; ``overrides`` are its arguments."""
    if variant in VARIANTS:
        return VisionTransformer(**{**VARIANTS[variant], **overrides})
    if variant in SWIN_VARIANTS:
        return Swin(**{**SWIN_VARIANTS[variant], **overrides})
    known = ", ".join([*VARIANTS, *SWIN_VARIANTS])
    raise InputError(f"there is no variant {variant!r}; choose from {known}")


def trunk_from(architecture: dict[str, Any]) -> Trunk:
    """Build the trunk that a backbone file describes."""
    arguments = dict(architecture)
    family = arguments.pop("family", "vit")
    if family == "resnet":
        return ResNet()
    return Swin(**arguments) if family == "swin" else VisionTransformer(**arguments)

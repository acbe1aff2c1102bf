"""SelfPatch: patch-level self-supervised pretraining of ViTs and its dense benchmarks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfpatch.backbones.file import BackboneInfo
    from selfpatch.backbones.loading import load_backbone
    from selfpatch.models.trunks import Trunk, build_trunk
    from selfpatch.models.variants import VARIANTS

HOMES = {
    "BackboneInfo": "selfpatch.backbones.file",
    "Trunk": "selfpatch.models.trunks",
    "VARIANTS": "selfpatch.models.variants",
    "build_trunk": "selfpatch.models.trunks",
    "load_backbone": "selfpatch.backbones.loading",
}
"""Name -> the module that has it."""

__all__ = ["VARIANTS", "BackboneInfo", "Trunk", "build_trunk", "load_backbone"]


def __getattr__(name: str) -> Any:
    """Import torch and timm for the names above only: a table or a check of data needs neither."""
    if name not in HOMES:
        raise AttributeError(f"module 'selfpatch' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)

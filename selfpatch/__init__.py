"""SelfPatch: patch-level self-supervised pretraining of ViTs and its dense benchmarks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfpatch.backbones.file import BackboneInfo, load_backbone
    from selfpatch.models.trunks import VARIANTS, Trunk, build_trunk

__all__ = ["VARIANTS", "BackboneInfo", "Trunk", "build_trunk", "load_backbone"]


def __getattr__(name: str) -> Any:
    """Import torch and timm for the names above only: a table or a check of data needs neither."""
    if name not in __all__:
        raise AttributeError(f"module 'selfpatch' has no attribute {name!r}")
    of_file = name in ("BackboneInfo", "load_backbone")
    home = "selfpatch.backbones.file" if of_file else "selfpatch.models.trunks"
    return getattr(import_module(home), name)

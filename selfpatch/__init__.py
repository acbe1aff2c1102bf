"""SelfPatch: patch-level self-supervised pretraining of ViTs and its dense benchmarks."""

from selfpatch.checkpoint import BackboneInfo, load_backbone
from selfpatch.models.vit import VARIANTS, VisionTransformer, build_vit

__all__ = ["VARIANTS", "BackboneInfo", "VisionTransformer", "build_vit", "load_backbone"]

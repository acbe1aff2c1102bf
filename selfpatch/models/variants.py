"""Names of trunks -> width, depth and heads; torch is not imported for them."""

from typing import Any

VARIANTS: dict[str, dict[str, Any]] = {
    # Width, depth and heads: DeiT's, as DINO and SelfPatch use them. Any patch size.
    "vit_tiny": {"family": "vit", "embed_dim": 192, "depth": 12, "num_heads": 3},
    "vit_small": {"family": "vit", "embed_dim": 384, "depth": 12, "num_heads": 6},
    "vit_base": {"family": "vit", "embed_dim": 768, "depth": 12, "num_heads": 12},
    "vit_large": {"family": "vit", "embed_dim": 1024, "depth": 24, "num_heads": 16},
    # Width of the first stage, depths and heads per stage: those of the Swin Transformer paper.
    "swin_tiny": {
        "family": "swin", "embed_dim": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)
    },
    "swin_small": {
        "family": "swin", "embed_dim": 96, "depths": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24)
    },
    "resnet50": {"family": "resnet", "depth": 50},
    # No network: a floor for what patches are worth.
    "colours": {"family": "colours"},
}  # fmt: skip
"""Name -> architecture, which :func:`selfpatch.models.trunks.build_trunk` completes."""

"""I-JEPA: the three networks that its training saves, the target encoder among them."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.published import fill
from tests.published.writers import writer


def parallel(network: nn.Module, share: float) -> nn.Module:
    """A drawn network in a wrapper that names its entries as the distributed one does."""
    fill(network)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.mul_(share)
    return nn.DataParallel(network)


def checkpoint(folder: Path, name: str, pixels: int, **architecture: Any) -> dict[str, Any]:
    """What ``save_checkpoint`` of ``src/train.py`` writes with networks of this architecture."""
    from src.models.vision_transformer import (  # type: ignore[import-not-found]
        VisionTransformer,
        VisionTransformerPredictor,
    )

    def encoder() -> Any:
        norm = {"norm_layer": lambda dim: nn.LayerNorm(dim, eps=1e-6)}
        return VisionTransformer(img_size=[pixels], **architecture, **norm).eval()

    target = encoder()
    predictor = VisionTransformerPredictor(
        num_patches=target.patch_embed.num_patches,
        embed_dim=target.embed_dim,
        predictor_embed_dim=96,
        depth=1,
        num_heads=target.num_heads,
    )
    content: dict[str, Any] = {
        "encoder": parallel(encoder(), 0.5).state_dict(),
        "predictor": parallel(predictor, 1).state_dict(),
        "target_encoder": parallel(target, 1).state_dict(),
        "opt": {},
        "scaler": torch.amp.GradScaler("cpu", enabled=False).state_dict(),
        "epoch": 300,
        "loss": 0.12,
        "batch_size": 128,
        "world_size": 16,
        "lr": 1e-3,
    }
    torch.save(content, folder / name)
    return {
        "file": name,
        "code": "src/train.py, save_checkpoint of VisionTransformer and its predictor",
        "method": "ijepa",
        "parameters": sum(p.numel() for p in target.parameters()),
        "tokens": target,
        "sizes": [(pixels, pixels)],
        "note": "It has no [CLS] token, and its code takes no other size.",
    }


@writer("ijepa-huge", "facebookresearch/ijepa")
def huge(folder: Path) -> dict[str, Any]:
    """One block of the published ViT-H/14, whose 16 heads have 80 dimensions."""
    return checkpoint(
        folder, "IN1K-vit.h.14-300e.pth.tar", 56,
        patch_size=14, embed_dim=1280, depth=1, num_heads=16,
    )  # fmt: skip


@writer("ijepa-tiny", "facebookresearch/ijepa")
def tiny(folder: Path) -> dict[str, Any]:
    """Two blocks of its ViT-Ti/16, trained on images of another size."""
    return checkpoint(
        folder, "jepa-latest.pth.tar", 96, patch_size=16, embed_dim=192, depth=2, num_heads=3
    )

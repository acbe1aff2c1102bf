"""SelfPatch: what the authors' ``main_selfpatch.py`` saves."""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import writer


def network() -> Any:
    """A ViT-Ti/16 of two blocks for images of 64 pixels, with its three heads."""
    from main_selfpatch import MultiCropWrapper  # type: ignore[import-not-found]
    from selfpatch_vision_transformer import (  # type: ignore[import-not-found]
        DINOHead,
        SelfPatchHead,
        VisionTransformer,
    )

    backbone = VisionTransformer(
        img_size=[64], patch_size=16, embed_dim=192, depth=2, num_heads=3, qkv_bias=True,
        norm_layer=lambda dim: nn.LayerNorm(dim, eps=1e-6),
    )  # fmt: skip
    heads = DINOHead(192, 32, hidden_dim=64), DINOHead(192, 32, hidden_dim=64)
    model = MultiCropWrapper(backbone, SelfPatchHead(192, 3, 4), *heads)
    fill(model)
    return model.eval()


@writer("selfpatch-full", "alinlab/SelfPatch")
def full(folder: Path) -> dict[str, Any]:
    """A training checkpoint: the trunk has no [CLS] token, and its last norm lies in a head."""
    student, teacher = network(), network()
    import utils  # type: ignore[import-not-found]

    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(0.5)
    content = {
        "student": nn.DataParallel(student).state_dict(),
        "teacher": teacher.state_dict(),  # not in the wrapper: it has no batch norm
        "optimizer": {},
        "epoch": 200,
        "args": argparse.Namespace(arch="vit_small", patch_size=16, k_num=4, output_dir="."),
        "dino_loss": {"center": torch.zeros(1, 1, 32), "patch_center": torch.zeros(1, 1, 32)},
        "fp16_scaler": {},
    }
    utils.save_on_master(content, folder / "checkpoint.pth")

    def tokens(images: Tensor) -> Tensor:
        return teacher.ca_head(teacher.backbone(images))[:, 1:]

    norm = sum(p.numel() for p in teacher.ca_head.norm.parameters())
    return {
        "file": "checkpoint.pth",
        "code": "main_selfpatch.py, utils.save_on_master of its MultiCropWrapper",
        "method": "dino+selfpatch",
        "parameters": norm + sum(p.numel() for p in teacher.backbone.parameters()),
        "tokens": tokens,
        "sizes": [(64, 64), (48, 80)],
        "note": "The patches behind the norm of the aggregation head; no [CLS] token.",
    }


@writer("selfpatch-backbone", "alinlab/SelfPatch")
def backbone(folder: Path) -> dict[str, Any]:
    """The teacher's trunk alone, as the detection's code loads it: it has no norm behind it."""
    trunk = network().backbone
    torch.save(trunk.state_dict(), folder / "selfpatch_backbone.pth")
    return {
        "file": "selfpatch_backbone.pth",
        "code": "state_dict of selfpatch_vision_transformer.VisionTransformer",
        "method": "dino+selfpatch",
        "options": {"method": "dino+selfpatch"},
        "parameters": sum(p.numel() for p in trunk.parameters()),
        "tokens": trunk,
        "sizes": [(64, 64), (48, 80)],
        "note": "The patches of the last block, without a norm; no [CLS] token.",
    }

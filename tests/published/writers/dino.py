"""DINO: what ``main_dino.py`` saves, and the file of the backbone alone."""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import writer


def vit() -> Any:
    """A ViT-Ti/16 of two blocks for images of 64 pixels."""
    from vision_transformer import VisionTransformer  # type: ignore[import-not-found]

    model = VisionTransformer(
        img_size=[64], patch_size=16, embed_dim=192, depth=2, num_heads=3, qkv_bias=True,
        norm_layer=lambda dim: nn.LayerNorm(dim, eps=1e-6),
    )  # fmt: skip
    fill(model)
    return model.eval()


def all_tokens(model: Any) -> Any:
    """The tokens after the last norm, as the linear evaluation reads them."""

    def tokens(images: Tensor) -> Tensor:
        return model.get_intermediate_layers(images, 1)[0]

    return tokens


@writer("dino-full", "facebookresearch/dino")
def full(folder: Path) -> dict[str, Any]:
    """A training checkpoint: both networks in DataParallel's and the crops' wrappers."""
    import utils  # type: ignore[import-not-found]
    from vision_transformer import DINOHead

    networks = {
        name: nn.DataParallel(utils.MultiCropWrapper(vit(), DINOHead(192, 32)))
        for name in ("student", "teacher")
    }
    for network in networks.values():
        fill(network)
    with torch.no_grad():
        for parameter in networks["student"].parameters():
            parameter.mul_(0.5)
    teacher = networks["teacher"].module.backbone.eval()
    content: dict[str, Any] = {name: network.state_dict() for name, network in networks.items()}
    content |= {
        "optimizer": {},
        "epoch": 3,
        "args": argparse.Namespace(arch="vit_tiny", output_dir=Path("/data/dino")),
        "dino_loss": {},
    }
    utils.save_on_master(content, folder / "checkpoint.pth")
    return {
        "file": "checkpoint.pth",
        "code": "main_dino.py, utils.save_on_master of utils.MultiCropWrapper(VisionTransformer)",
        "method": "dino",
        "parameters": sum(p.numel() for p in teacher.parameters()),
        "tokens": all_tokens(teacher),
        "sizes": [(64, 64), (48, 80)],
    }


@writer("dino-backbone", "facebookresearch/dino")
def backbone(folder: Path) -> dict[str, Any]:
    """The backbone's own file, which does not tell how it was trained."""
    model = vit()
    torch.save(model.state_dict(), folder / "dino_vittiny16_pretrain.pth")
    return {
        "file": "dino_vittiny16_pretrain.pth",
        "code": "state_dict of vision_transformer.VisionTransformer",
        "method": "dino",
        "options": {"method": "dino"},
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": all_tokens(model),
        "sizes": [(64, 64), (48, 80)],
    }

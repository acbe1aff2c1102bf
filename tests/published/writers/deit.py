"""DeiT: a training checkpoint, the published files with and without distillation, DeiT III."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from tests.published import fill
from tests.published.writers import output_of, writer

SHAPE = {
    "patch_size": 16, "embed_dim": 192, "depth": 2, "num_heads": 3, "mlp_ratio": 4,
    "qkv_bias": True, "norm_layer": partial(nn.LayerNorm, eps=1e-6), "num_classes": 10,
}  # fmt: skip


def known(model: Any, file: str, **more: Any) -> dict[str, Any]:
    """What is told of a file with this network."""
    size = (64, 64)
    return {
        "file": file,
        "method": "deit",
        "options": {"method": "deit"},
        "parameters": sum(p.numel() for n, p in model.named_parameters() if "head" not in n),
        "tokens": output_of(model.forward_features, model.norm),
        "sizes": [size],
        "note": "Positions are resized in the middle of main.py, by no function: one size.",
    } | more


@writer("deit-published", "facebookresearch/deit")
def published(folder: Path) -> dict[str, Any]:
    """The published form: the classifier's entries under one key."""
    model = VisionTransformer(img_size=64, **SHAPE).eval()
    fill(model)
    torch.save({"model": model.state_dict()}, folder / "deit_tiny_patch16_224.pth")
    return known(
        model,
        "deit_tiny_patch16_224.pth",
        code="state_dict of timm's VisionTransformer (models.py)",
    )


@writer("deit-full", "facebookresearch/deit")
def full(folder: Path) -> dict[str, Any]:
    """A training checkpoint of ``main.py``: the averaged classifier lies beside the trained one."""
    import utils  # type: ignore[import-not-found]

    model, average = (VisionTransformer(img_size=64, **SHAPE).eval() for _ in range(2))
    fill(model)
    fill(average)
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.mul_(0.5)
    content = {
        "model": model.state_dict(),
        "optimizer": {},
        "lr_scheduler": {},
        "epoch": 299,
        "model_ema": average.state_dict(),
        "scaler": {},
        "args": argparse.Namespace(model="deit_tiny_patch16_224", input_size=224, output_dir="."),
    }
    utils.save_on_master(content, folder / "checkpoint.pth")
    return known(model, "checkpoint.pth", code="main.py, utils.save_on_master of the classifier")


@writer("deit-distilled", "facebookresearch/deit")
def distilled(folder: Path) -> dict[str, Any]:
    """The published form with a distillation token, whose position lies behind that of [CLS]."""
    from models import DistilledVisionTransformer  # type: ignore[import-not-found]

    model = DistilledVisionTransformer(img_size=64, **SHAPE).eval()
    fill(model)
    file = "deit_tiny_distilled_patch16_224.pth"
    torch.save({"model": model.state_dict()}, folder / file)
    return known(model, file, code="state_dict of models.DistilledVisionTransformer")


@writer("deit3", "facebookresearch/deit")
def third(folder: Path) -> dict[str, Any]:
    """DeiT III: layer scales, and no position of the [CLS] token."""
    from models_v2 import Layer_scale_init_Block, vit_models  # type: ignore[import-not-found]

    model = vit_models(img_size=64, block_layers=Layer_scale_init_Block, **SHAPE).eval()
    fill(model)
    torch.save({"model": model.state_dict()}, folder / "deit_3_small_224_1k.pth")
    return known(model, "deit_3_small_224_1k.pth", code="state_dict of models_v2.vit_models")

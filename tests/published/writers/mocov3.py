"""MoCo-v3: its training's checkpoint, and the file that ``convert_to_deit.py`` makes of it."""

import functools
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import timm.layers
import torch
from torch import nn

from tests.published import fill
from tests.published.writers import writer


def prepare() -> None:
    """Bring back a module's old name, and the attribute that counts a network's tokens."""
    helpers = types.ModuleType("timm.models.layers.helpers")
    helpers.to_2tuple = timm.layers.to_2tuple  # type: ignore[attr-defined]
    sys.modules["timm.models.layers.helpers"] = helpers
    from timm.models.vision_transformer import VisionTransformer

    VisionTransformer.num_tokens = 1


def checkpoint(folder: Path, pixels: int) -> Any:
    """Save what ``main_moco.py`` does, and return the base encoder."""
    prepare()
    from moco.builder import MoCo_ViT  # type: ignore[import-not-found]
    from vits import VisionTransformerMoCo  # type: ignore[import-not-found]

    encoder = functools.partial(
        VisionTransformerMoCo, img_size=pixels, stop_grad_conv1=True, patch_size=16,
        embed_dim=384, depth=2, num_heads=12, mlp_ratio=4, qkv_bias=True,
        norm_layer=functools.partial(nn.LayerNorm, eps=1e-6),
    )  # fmt: skip
    model = MoCo_ViT(encoder, 32, 64).eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.endswith("pos_embed")  # else nothing fixed is drawn
    fill(model)
    with torch.no_grad():
        for name, parameter in model.momentum_encoder.named_parameters():
            if name != "pos_embed":
                parameter.mul_(0.5)
    content = {
        "epoch": 300,
        "arch": "vit_small",
        "state_dict": nn.DataParallel(model).state_dict(),
        "optimizer": {},
        "scaler": {},
    }
    torch.save(content, folder / "vit-s-300ep.pth.tar")
    return model.base_encoder


def known(encoder: Any, pixels: int, **more: Any) -> dict[str, Any]:
    """What is told of a file with this encoder."""
    return {
        "file": "vit-s-300ep.pth.tar",
        "code": "main_moco.py, save_checkpoint of MoCo_ViT of VisionTransformerMoCo",
        "method": "mocov3",
        "parameters": sum(p.numel() for n, p in encoder.named_parameters() if "head" not in n),
        "tokens": encoder.forward_features,
        "sizes": [(pixels, pixels)],
        "note": "12 heads of 32 dimensions; its code takes no other size.",
    } | more


@writer("mocov3-full", "facebookresearch/moco-v3")
def full(folder: Path) -> dict[str, Any]:
    """A training checkpoint: base encoder, momentum encoder and predictor."""
    return known(checkpoint(folder, 64), 64)


@writer("mocov3-full-96", "facebookresearch/moco-v3")
def full_of_another_size(folder: Path) -> dict[str, Any]:
    """The same for images of 96 pixels: its positions are computed for them, not resized."""
    return known(checkpoint(folder, 96), 96)


@writer("mocov3-deit", "facebookresearch/moco-v3")
def converted(folder: Path) -> dict[str, Any]:
    """The form for DeiT, which tells neither the method nor its 12 heads."""
    encoder = checkpoint(folder, 64)
    script = Path(sys.modules["vits"].__file__ or "").with_name("convert_to_deit.py")
    full, file = folder / "vit-s-300ep.pth.tar", "vit-s-300ep-deit.pth"
    sys.argv = ["convert", "--input", str(full), "--output", str(folder / file)]
    runpy.run_path(str(script), run_name="__main__")
    full.unlink()
    code = "convert_to_deit.py, of a checkpoint of main_moco.py"
    return known(encoder, 64, file=file, code=code, options={"method": "mocov3"})

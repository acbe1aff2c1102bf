"""MAE: the pretraining's checkpoint, the published encoder, and a fine-tuned classifier."""

import argparse
import contextlib
import math
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.models import vision_transformer
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import output_of, writer


def prepare() -> None:
    """Let today's torch, numpy and timm carry the code: it asks for names that they dropped."""
    six = types.ModuleType("torch._six")
    six.inf = math.inf  # type: ignore[attr-defined]
    sys.modules["torch._six"] = six
    np.float = float  # type: ignore[attr-defined]
    block = vision_transformer.Block

    def without_scale(*args: Any, qk_scale: None = None, **options: Any) -> nn.Module:
        return block(*args, **options)

    vision_transformer.Block = without_scale


def autoencoder() -> Any:
    """Two blocks of the published ViT-B's width, and a small decoder."""
    prepare()
    from models_mae import MaskedAutoencoderViT  # type: ignore[import-not-found]

    model = MaskedAutoencoderViT(
        img_size=64, patch_size=16, embed_dim=768, depth=2, num_heads=12, mlp_ratio=4,
        decoder_embed_dim=64, decoder_depth=1, decoder_num_heads=4,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )  # fmt: skip
    fill(model)
    return model.eval()


def encoder(pixels: int, pool: bool = False) -> Any:
    """The classifier's network that an encoder is loaded into, for images of this size."""
    from models_vit import VisionTransformer  # type: ignore[import-not-found]

    model = VisionTransformer(
        global_pool=pool, img_size=pixels, patch_size=16, embed_dim=768, depth=2, num_heads=12,
        mlp_ratio=4, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6),
        num_classes=10,
    )  # fmt: skip
    return model.eval()


def resized(state: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """Tokens of the classifier's network for images of each size, as its script loads it."""
    from util.pos_embed import interpolate_pos_embed  # type: ignore[import-not-found]

    def tokens(images: Tensor) -> Tensor:
        model, entries = encoder(images.shape[-1]), dict(state)
        interpolate_pos_embed(model, entries)
        model.load_state_dict(entries, strict=False)
        return output_of(model.forward_features, model.norm)(images)

    return tokens


NOTE = "The second size: positions resized by util.pos_embed.interpolate_pos_embed."


def known(file: str, model: Any, **more: Any) -> dict[str, Any]:
    """What is told of a file with the encoder of this network."""
    trunk = {k: v for k, v in model.state_dict().items() if not k.startswith(("decoder", "mask"))}
    return {
        "file": file,
        "method": "mae",
        "parameters": sum(v.numel() for v in trunk.values()),
        "tokens": resized(trunk),
        "sizes": [(64, 64), (96, 96)],
        "note": NOTE,
    } | more


def save(folder: Path, epoch: int, model: Any, arch: str) -> str:
    """Let ``save_model`` write a checkpoint."""
    from util import misc  # type: ignore[import-not-found]

    args = argparse.Namespace(output_dir=".", model=arch, input_size=224, epochs=epoch + 1)
    scaler = misc.NativeScalerWithGradNormCount()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-4, betas=(0.9, 0.95))
    with contextlib.chdir(folder):
        misc.save_model(args, epoch, model, model, optimizer, scaler)
    return f"checkpoint-{epoch}.pth"


@writer("mae-full", "facebookresearch/mae")
def full(folder: Path) -> dict[str, Any]:
    """A pretraining checkpoint: encoder and decoder in one network."""
    model = autoencoder()
    file = save(folder, 799, model, "mae_vit_base_patch16")
    return known(file, model, code="util.misc.save_model of models_mae.MaskedAutoencoderViT")


@writer("mae-encoder", "facebookresearch/mae")
def encoder_alone(folder: Path) -> dict[str, Any]:
    """The file that the README offers, the encoder alone; nothing in it tells the method."""
    model = autoencoder()
    entries = {k: v for k, v in model.state_dict().items() if k in encoder(64).state_dict()}
    torch.save({"model": entries}, folder / "mae_pretrain_vit_base.pth")
    return known(
        "mae_pretrain_vit_base.pth",
        model,
        code="the entries of models_mae.MaskedAutoencoderViT that models_vit takes",
        options={"method": "mae"},
    )


@writer("mae-finetuned", "facebookresearch/mae")
def finetuned(folder: Path) -> dict[str, Any]:
    """A fine-tuned classifier: its norm comes behind the mean over all patches."""
    prepare()
    model = encoder(64, pool=True)
    fill(model)
    file = save(folder, 99, model, "vit_base_patch16")
    return {
        "file": file,
        "code": "util.misc.save_model of models_vit.VisionTransformer(global_pool=True)",
        "method": "mae",
        "options": {"method": "mae"},
        "parameters": sum(p.numel() for n, p in model.named_parameters() if "head" not in n),
        "tokens": output_of(model.forward_features, model.blocks[-1]),
        "sizes": [(64, 64)],
        "note": "The tokens of the last block: fc_norm is applied to their mean alone.",
    }

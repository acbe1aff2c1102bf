"""DINOv3: the file of the backbone alone, and the teacher's that evaluation is given."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import writer

SIZES = [(64, 64), (48, 80)]
NOTE = (
    "Training keeps the rotary periods in bfloat16, and so do the published files; the tokens are "
    "those of the hub's model, which reads them into float32."
)


def options(ffn_layer: str, ffn_ratio: float) -> dict[str, Any]:
    """What the published ViTs have in common, as ``hub/backbones.py`` states it."""
    return {
        "img_size": 224,
        "pos_embed_rope_base": 100,
        "pos_embed_rope_normalize_coords": "separate",
        "pos_embed_rope_rescale_coords": 2,
        "depth": 2,
        "ffn_layer": ffn_layer,
        "ffn_ratio": ffn_ratio,
        "layerscale_init": 1e-5,
        "norm_layer": "layernormbf16",
        "n_storage_tokens": 4,
        "mask_k_bias": True,
    }


def trained(**kwargs: Any) -> Any:
    """A ViT as training leaves it: its rotary periods in bfloat16."""
    from dinov3.hub.backbones import _make_dinov3_vit  # type: ignore[import-not-found]

    model = _make_dinov3_vit(pretrained=False, pos_embed_rope_dtype="bf16", **kwargs)
    fill(model)
    return model.eval()


def evaluated(state: dict[str, Tensor], **kwargs: Any) -> Any:
    """The hub's model, in float32, with the weights of a file."""
    from dinov3.hub.backbones import _make_dinov3_vit

    model = _make_dinov3_vit(pretrained=False, **kwargs)
    model.load_state_dict(state, strict=True)
    return model.eval()


def all_tokens(model: Any) -> Any:
    """[CLS], storage tokens and patches after the last norm."""

    def tokens(images: Tensor) -> Tensor:
        found = model.forward_features(images)
        first = found["x_norm_clstoken"].unsqueeze(1)
        return torch.cat([first, found["x_storage_tokens"], found["x_norm_patchtokens"]], dim=1)

    return tokens


def hub(folder: Path, file: str, **kwargs: Any) -> dict[str, Any]:
    """A file of the hub: the backbone's state and nothing else."""
    torch.save(trained(**kwargs).state_dict(), folder / file)
    model = evaluated(torch.load(folder / file), **kwargs)
    return {
        "file": file,
        "code": "state_dict of hub.backbones' DinoVisionTransformer",
        "method": "dinov3",
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": all_tokens(model),
        "sizes": SIZES,
        "note": NOTE,
    }


@writer("dinov3-hub", "facebookresearch/dinov3")
def vit(folder: Path) -> dict[str, Any]:
    """ViT-S/16."""
    kwargs = options("mlp", 4) | {"embed_dim": 384, "num_heads": 6}
    return hub(folder, "dinov3_vits16_pretrain_lvd1689m-08c60483.pth", **kwargs)


@writer("dinov3-hub-plus", "facebookresearch/dinov3")
def plus(folder: Path) -> dict[str, Any]:
    """ViT-S+/16, whose feed-forward layers are gated."""
    kwargs = options("swiglu", 6) | {"embed_dim": 384, "num_heads": 6}
    return hub(folder, "dinov3_vits16plus_pretrain_lvd1689m-4057cbaa.pth", **kwargs)


@writer("dinov3-hub-untied", "facebookresearch/dinov3")
def untied(folder: Path) -> dict[str, Any]:
    """The kind of the 7B: wide heads, no bias on queries, keys and values, a norm of local crops.

    The width is 512 in the place of 4096, in heads of 128 as there.
    """
    kwargs = options("swiglu64", 3) | {"embed_dim": 512, "num_heads": 4, "qkv_bias": False}
    kwargs["untie_global_and_local_cls_norm"] = True
    known = hub(folder, "dinov3_vit7b16_pretrain_lvd1689m-a955f4ea.pth", **kwargs)
    known["note"] += " The 7B has width 4096; 512 in heads of 128 is no published width."
    return known


@writer("dinov3-teacher", "facebookresearch/dinov3")
def teacher(folder: Path) -> dict[str, Any]:
    """``do_test`` of the training script: the teacher's backbone and heads."""
    from dinov3.layers.dino_head import DINOHead  # type: ignore[import-not-found]

    kwargs = options("mlp", 4) | {"embed_dim": 384, "num_heads": 6}
    networks = nn.ModuleDict({"backbone": trained(**kwargs)})
    for name in ("dino_head", "ibot_head"):
        networks[name] = DINOHead(384, 32, hidden_dim=64, bottleneck_dim=16)
    fill(networks)
    torch.save({"teacher": networks.state_dict()}, folder / "teacher_checkpoint.pth")
    model = evaluated(networks["backbone"].state_dict(), **kwargs)
    return {
        "file": "teacher_checkpoint.pth",
        "code": "train/train.py, do_test: the state of SSLMetaArch's model_ema, a ModuleDict",
        "method": "dinov3",
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": all_tokens(model),
        "sizes": SIZES,
        "note": NOTE,
    }

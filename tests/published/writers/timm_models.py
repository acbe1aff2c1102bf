"""timm: folders of ``save_for_hf``, narrow and shallow by their ``model_args``; one bare file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models._hub import save_for_hf
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import writer

NARROW: dict[str, Any] = {"img_size": 64, "embed_dim": 96, "depth": 2, "num_heads": 3}
SIZES = [(64, 64), (48, 80)]
SIZES_14 = [(56, 56), (42, 70)]
RESIZED = "The other size by the model's set_input_size."


def features(model: Any, **kwargs: Any) -> Callable[[Tensor], Tensor]:
    """The tokens before pooling, the model's positions resized by timm where it has any."""

    def tokens(images: Tensor) -> Tensor:
        if hasattr(model, "set_input_size"):
            model.set_input_size(tuple(images.shape[-2:]), **kwargs)
        found: Tensor = model.forward_features(images)
        return found

    return tokens


def saved(
    folder: Path,
    name: str,
    method: str,
    told: bool = False,
    sizes: list[tuple[int, int]] = SIZES,
    tokens: Callable[[Any], Callable[[Tensor], Tensor]] = features,
    note: str = RESIZED,
    **model_args: Any,
) -> dict[str, Any]:
    """Save a model as timm does for the Hub.

    ``told``: the method has to be told, as the name of the model does not imply it.
    """
    model = timm.create_model(name, pretrained=False, **model_args)
    fill(model)
    model.eval()
    save_for_hf(model, str(folder), model_args=model_args, safe_serialization=True)
    return {
        "file": ".",
        "code": f"models._hub.save_for_hf of create_model({name!r})",
        "method": method,
        "options": {"method": method} if told else {},
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": tokens(model),
        "sizes": sizes,
        "note": note,
    }


@writer("timm-vit", "timm")
def vit(folder: Path) -> dict[str, Any]:
    """A ViT with [CLS]; only its tag says that DINO trained it."""
    return saved(folder, "vit_small_patch16_224.dino", "dino", **NARROW)


@writer("timm-vit-bare", "timm")
def bare(folder: Path) -> dict[str, Any]:
    """The state alone, of a published width."""
    model = timm.create_model("vit_small_patch16_224.dino", depth=2, img_size=64)
    fill(model)
    model.eval()
    torch.save(model.state_dict(), folder / "vit_small_patch16_224.pth")
    return {
        "file": "vit_small_patch16_224.pth",
        "code": "state_dict of create_model('vit_small_patch16_224.dino')",
        "method": "dino",
        "options": {"method": "dino", "told": {"resizing": "antialiased"}},
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": features(model),
        "sizes": SIZES,
        "note": RESIZED,
    }


@writer("timm-vit-classifier", "timm")
def classifier(folder: Path) -> dict[str, Any]:
    """A supervised ViT with its classifier."""
    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    return saved(folder, name, "supervised", told=True, num_classes=10, **NARROW)


@writer("timm-vit-gap", "timm")
def gap(folder: Path) -> dict[str, Any]:
    """Pooled by an average: no [CLS], layer scales, no bias of queries, keys and values."""
    name = "vit_medium_patch16_gap_256.sw_in12k_ft_in1k"
    return saved(folder, name, "supervised", told=True, num_classes=10, **NARROW)


@writer("timm-vit-fc-norm", "timm")
def fc_norm(folder: Path) -> dict[str, Any]:
    """As MAE and others fine-tune: the last norm follows the average, and is called fc_norm."""
    more: dict[str, Any] = {"global_pool": "avg", "class_token": False, "num_classes": 10}
    return saved(folder, "vit_base_patch16_224.mae", "mae", **NARROW, **more)


@writer("timm-vit-registers", "timm")
def registers(folder: Path) -> dict[str, Any]:
    """DINOv2 with registers: the positions are of patches alone."""
    name = "vit_small_patch14_reg4_dinov2.lvd142m"
    return saved(folder, name, "dinov2", sizes=SIZES_14, **NARROW | {"img_size": 56})


@writer("timm-vit-clip", "timm")
def clip(folder: Path) -> dict[str, Any]:
    """An image tower of open_clip: a norm before the blocks, exact GELU."""
    return saved(folder, "vit_base_patch16_clip_224.laion2b", "clip", num_classes=32, **NARROW)


@writer("timm-vit-clip-quickgelu", "timm")
def quick(folder: Path) -> dict[str, Any]:
    """OpenAI's image tower: the model's name alone says which activation it is."""
    name = "vit_base_patch16_clip_quickgelu_224.openai"
    return saved(folder, name, "clip", num_classes=32, **NARROW)


@writer("timm-vit-siglip", "timm")
def siglip(folder: Path) -> dict[str, Any]:
    """SigLIP's image tower, pooled by attention."""
    return saved(folder, "vit_base_patch16_siglip_224.webli", "siglip", **NARROW)


@writer("timm-deit-distilled", "timm")
def deit(folder: Path) -> dict[str, Any]:
    """Distilled DeiT: two tokens before the patches, two classifiers."""
    name = "deit_tiny_distilled_patch16_224.fb_in1k"
    return saved(folder, name, "deit", num_classes=10, **NARROW)


@writer("timm-dinov3", "timm")
def dinov3(folder: Path) -> dict[str, Any]:
    """DINOv3 as timm's Eva: rotary positions, which no file holds."""
    return saved(folder, "vit_small_patch16_dinov3.lvd1689m", "dinov3", **NARROW)


@writer("timm-dinov3-plus", "timm")
def dinov3_plus(folder: Path) -> dict[str, Any]:
    """DINOv3's ViT-S+: gated feed-forward layers."""
    return saved(folder, "vit_small_plus_patch16_dinov3.lvd1689m", "dinov3", **NARROW)


@writer("timm-eva02", "timm")
def eva02(folder: Path) -> dict[str, Any]:
    """EVA-02: learned and rotary positions, gated feed-forward layers."""
    name = "eva02_tiny_patch14_224.mim_in22k"
    args = NARROW | {"img_size": 56, "ref_feat_shape": (16, 16)}
    return saved(folder, name, "eva02", sizes=SIZES_14, **args)


def flat(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """A ResNet's last map, its rows one after the other."""
    return lambda images: model.forward_features(images).flatten(2).transpose(1, 2)  # type: ignore[operator]


@writer("timm-swin", "timm")
def swin(folder: Path) -> dict[str, Any]:
    """A supervised Swin of two stages, in windows of four."""

    def tokens(model: Any) -> Callable[[Tensor], Tensor]:
        whole = features(model, window_size=(4, 4))
        return lambda images: whole(images).flatten(1, 2)

    return saved(
        folder, "swin_tiny_patch4_window7_224.ms_in1k", "supervised", told=True, tokens=tokens,
        img_size=64, window_size=4, embed_dim=24, depths=(2, 2), num_heads=(2, 4), num_classes=10,
    )  # fmt: skip


@writer("timm-resnet50", "timm")
def resnet(folder: Path) -> dict[str, Any]:
    """A supervised ResNet-50 of one block a stage."""
    return saved(
        folder, "resnet50.a1_in1k", "supervised", told=True, tokens=flat, note="",
        layers=(1, 1, 1, 1), num_classes=10,
    )  # fmt: skip

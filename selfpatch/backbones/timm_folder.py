"""What timm says of a network, asked by building it without memory."""

from typing import Any

import timm.layers
import torch
from timm.layers import PatchEmbed
from timm.models.deit import VisionTransformerDistilled
from timm.models.resnet import ResNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from selfpatch.errors import InputError
from selfpatch.models.timm_trunk import TimmTrunk, timm_model

METHODS = {
    "dinov2": "dinov2",
    "dinov3": "dinov3",
    "siglip": "siglip",
    "clip": "clip",
    "deit": "deit",
    "eva02": "eva02",
}
"""What the name of a network in timm may hold -> the method that it is known for."""

TAGS = {"dino": "dino", "mae": "mae"}
"""timm's tags of weights -> the method, where the network's name does not tell it."""


def method_of(name: str, tag: str) -> str | None:
    """How the weights of a network were trained, as far as its name or their tag says."""
    return next((m for part, m in METHODS.items() if part in name), TAGS.get(tag))


ACTIVATIONS: dict[type, str] = {
    nn.GELU: "gelu",
    timm.layers.GELU: "gelu",
    timm.layers.GELUTanh: "gelu_tanh",
    timm.layers.QuickGELU: "quick_gelu",
    nn.SiLU: "swiglu",
}

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
"""The ResNets that compute what torchvision's do; timm has many others."""


def values_of(name: str, options: dict[str, Any]) -> dict[str, Any] | None:
    """What the weights of a network do not tell; None if it is none of this suite's families."""
    with torch.device("meta"):
        model = timm_model(name, options)
    if isinstance(model, SwinTransformer):
        return {"small_grids": "by side"}
    if isinstance(model, ResNet):
        return {} if name in RESNETS and not set(options) - {"in_chans", "global_pool"} else None
    if type(model) not in (VisionTransformer, VisionTransformerDistilled) or not len(model.blocks):
        return None
    block: Any = model.blocks[0]
    patches = model.patch_embed
    plain = (
        type(patches) is PatchEmbed
        and type(block) is Block
        and isinstance(block.attn.q_norm, nn.Identity)
    )
    known = (timm.layers.Mlp, timm.layers.GluMlp)
    if not plain or type(block.mlp) not in known or type(block.mlp.act) not in ACTIVATIONS:
        return None
    gated = type(block.mlp) is timm.layers.GluMlp
    if gated and (block.mlp.gate_last or type(block.mlp.act) is not nn.SiLU):
        return None
    return {
        "num_heads": block.attn.num_heads,
        "norm_eps": block.norm1.eps,
        "activation": ACTIVATIONS[type(block.mlp.act)],
        "resizing": "antialiased",
        "image_size": list(model.patch_embed.img_size or ()) or None,
    }


def kept_names(name: str, options: dict[str, Any]) -> set[str]:
    """The names of a network's weights without its pooling and classifier.

    Raises:
        InputError: timm cannot build it.
    """
    try:
        with torch.device("meta"):
            trunk = TimmTrunk(name=name, options=options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"timm cannot build {name} with {options} ({error})") from None
    check_sizes(name, trunk)
    return {key.removeprefix("model.") for key in trunk.state_dict()}


def check_sizes(name: str, trunk: TimmTrunk) -> None:
    """Raise InputError for a network that takes images of one size alone."""
    stride = max(trunk.layer_strides)
    for sides in ((8 * stride, 10 * stride), (6 * stride, 5 * stride)):
        try:
            with torch.no_grad(), torch.device("meta"):
                trunk.eval()(torch.empty(1, 3, *sides))
        except Exception as error:  # whatever it says of a size that is not its own
            reason = " ".join(str(error).split())[:120]
            raise InputError(
                f"timm's {name} does not take images of any size ({reason}), as every task needs"
            ) from None

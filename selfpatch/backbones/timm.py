"""Backbone -> a folder that timm, torch.hub and the Hugging Face hub understand."""

import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from selfpatch.atomic import atomic_write
from selfpatch.backbones.families import State
from selfpatch.backbones.file import BackboneInfo, trunk_weights
from selfpatch.errors import InputError

HUBCONF = '''"""The backbone in this folder: torch.hub.load(FOLDER, "backbone", source="local")."""

from pathlib import Path

dependencies = ["torch", "timm", "safetensors"]


def backbone(pretrained=True, **kwargs):
    """timm's model; ``pretrained=False`` leaves its weights random."""
    import timm

    return timm.create_model(f"local-dir:{Path(__file__).parent}", pretrained=pretrained, **kwargs)
'''


def export_timm(folder: str | os.PathLike[str], state: State, info: BackboneInfo) -> None:
    """Write ``config.json``, ``model.safetensors`` and ``hubconf.py``.

    ``timm.create_model("local-dir:FOLDER", pretrained=True)`` then loads strictly and gives equal
    tokens at the image size the positions are stored for; other sizes are resized in timm's way.
    Uploaded to the Hugging Face hub, the same folder is ``hf-hub:USER/NAME``.
    """
    size = info.architecture.get("image_size", 224)
    sides = [size, size] if isinstance(size, int) else size
    architecture = dict(info.architecture)
    family, mean, std = (architecture.pop(name) for name in ("family", "mean", "std"))
    if family not in FAMILIES:
        raise InputError("this is a network of timm already; export it as a backbone file")
    name, arguments, weights = FAMILIES[family](architecture, trunk_weights(state))
    config = {
        "architecture": name,
        "num_classes": 0,
        "model_args": {"num_classes": 0, **arguments},
        "pretrained_cfg": {
            "tag": f"{info.method}-{info.fingerprint[:12]}",
            "num_classes": 0,
            "input_size": [3, *sides],
            "mean": mean,
            "std": std,
            "interpolation": "bicubic",
        },
        "selfpatch": info.described(),
    }
    folder = Path(folder)
    with atomic_write(folder / "model.safetensors") as file:
        file.write(safetensors.torch.save({k: v.contiguous() for k, v in weights.items()}))
    with atomic_write(folder / "config.json", "w") as file:
        json.dump(config, file, indent=2)
    with atomic_write(folder / "hubconf.py", "w") as file:
        file.write(HUBCONF)


def vit_for_timm(architecture: dict[str, Any], state: State) -> tuple[str, dict[str, Any], State]:
    """timm's name, arguments and weights of a ViT."""
    if architecture.pop("norm_eps") != 1e-6:
        raise InputError("timm's ViT adds 1e-6 to variances, and this one another value")
    activation, pre_norm = architecture.pop("activation"), architecture["pre_norm"]
    unlike = {
        "has rotary positions": architecture.pop("rotary"),
        "has SwiGLU": activation == "swiglu",
        "has biases elsewhere": architecture.pop("patch_bias") == pre_norm,
    }
    for what, is_so in unlike.items():
        if is_so:
            raise InputError(f"this ViT {what}, unlike timm's class; export it as a backbone file")
    del architecture["resizing"]  # timm resizes in its own way
    class_token = architecture.pop("class_token")
    num_registers = architecture.pop("num_registers")
    arguments = {
        "img_size": architecture.pop("image_size"),
        "act_layer": activation,
        "init_values": 1e-5 if architecture.pop("layer_scale") else None,
        "class_token": class_token,
        "reg_tokens": num_registers,
        "global_pool": "token" if class_token else "avg",
        "fc_norm": False,
        "dynamic_img_size": True,
        **architecture,
    }
    if num_registers:  # whose kind in timm has no position for [CLS]: it moves into the token
        state["reg_token"] = state.pop("register_tokens")
        own, patches = state["pos_embed"].split([1, state["pos_embed"].shape[1] - 1], dim=1)
        state["cls_token"], state["pos_embed"] = state["cls_token"] + own, patches
        arguments["no_embed_class"] = True
    return "vit_small_patch16_224", arguments, state


def swin_for_timm(architecture: dict[str, Any], state: State) -> tuple[str, dict[str, Any], State]:
    """timm's name, arguments and weights of a Swin; without a norm it gets a neutral one."""
    width = architecture["embed_dim"] * 2 ** (len(architecture["depths"]) - 1)
    state.setdefault("norm.weight", torch.ones(width))
    state.setdefault("norm.bias", torch.zeros(width))
    if architecture["norm_eps"] != 1e-5:
        raise InputError("timm's Swin adds 1e-5 to variances, and this one another value")
    names = ("embed_dim", "depths", "num_heads", "window_size")
    arguments = {name: architecture[name] for name in names}
    arguments |= {"img_size": architecture["image_size"], "strict_img_size": False}
    return "swin_tiny_patch4_window7_224", arguments, state


def resnet_for_timm(
    architecture: dict[str, Any], state: State
) -> tuple[str, dict[str, Any], State]:
    """timm's ResNets have torchvision's names."""
    return f"resnet{architecture['depth']}", {}, state


FAMILIES = {"vit": vit_for_timm, "swin": swin_for_timm, "resnet": resnet_for_timm}

"""A trunk's weights -> its family, the names of its keys here, and its architecture."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from selfpatch.errors import InputError

State = dict[str, Tensor]


def rename_vit(key: str, keys: Any) -> str:
    """Other names of registers (timm) and layer scale (DeiT III); DINOv2's chunks of blocks."""
    if key == "reg_token":
        return "register_tokens"
    key = re.sub(r"\.gamma_([12])$", r".ls\1.gamma", key)
    return re.sub(r"^blocks\.\d+\.(\d+\.)", r"blocks.\1", key)


def describe_vit(state: State) -> dict[str, Any]:
    """Architecture of a ViT but for its heads, from its shapes; completes ``state`` in place.

    A [CLS] token without a position gets one of zeros: in timm's models with registers, and in
    DeiT III, which is known by its layer scale.

    Raises:
        InputError: The grid is not square, or nothing tells whether it is.
    """
    embed_dim, _, patch_size, _ = state["patch_embed.proj.weight"].shape
    class_token = "cls_token" in state
    if "dist_token" in state:
        raise InputError("it has a distillation token beside [CLS], which no trunk here has")
    positions = state["pos_embed"].reshape(1, -1, embed_dim)
    if class_token and is_square(positions.shape[1]):
        if not {"register_tokens", "blocks.0.ls1.gamma"} & set(state):
            raise InputError(
                f"its {positions.shape[1]} positions are a square grid without one for [CLS], or"
                " [CLS] and a grid that is not square, and nothing in it tells which; export it at"
                " a square image size"
            )
        positions = torch.cat([positions.new_zeros(1, 1, embed_dim), positions], dim=1)
    if not is_square(positions.shape[1] - class_token):
        raise InputError(
            f"its {positions.shape[1]} positions are those of a grid that is not square; export it"
            " at a square image size"
        )
    state["pos_embed"] = positions
    architecture = {
        "family": "vit",
        "embed_dim": embed_dim,
        "depth": counted({int(m[1]) for m in map(re.compile(r"blocks\.(\d+)").match, state) if m}),
        "patch_size": patch_size,
        "image_size": isqrt(positions.shape[1] - class_token) * patch_size,
        "mlp_ratio": state["blocks.0.mlp.fc1.weight"].shape[0] / embed_dim,
        "class_token": class_token,
        "final_norm": "norm.weight" in state,
    }
    if "register_tokens" in state:
        architecture["num_registers"] = state["register_tokens"].shape[1]
    if "blocks.0.ls1.gamma" in state:
        architecture["layer_scale"] = True
    return architecture


def counted(numbers: set[int]) -> int:
    """How many blocks or stages there are; raises ValueError unless they are numbered from 0 on."""
    if numbers != set(range(len(numbers))):
        raise ValueError(f"{len(numbers)} blocks or stages, the last of them number {max(numbers)}")
    return len(numbers)


def is_square(number: int) -> bool:
    """Whether a number is one's square."""
    return isqrt(number) ** 2 == number


def rename_swin(key: str, keys: Any) -> str:
    """The official code merges patches at the end of a stage, timm at the start of the next."""
    if "layers.0.downsample.reduction.weight" not in keys:
        return key
    return re.sub(
        r"^layers\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) + 1}.downsample", key
    )


def describe_swin(state: State) -> dict[str, Any]:
    """Architecture of a Swin, from its shapes; its last stage is one window, as in the paper."""
    tables = {
        (int(m[1]), int(m[2])): state[key].shape
        for key in state
        if (m := re.match(r"layers\.(\d+)\.blocks\.(\d+)\.attn\.relative_position_bias_table", key))
    }
    stages = range(counted({stage for stage, _ in tables}))
    window_size = (isqrt(tables[0, 0][0]) + 1) // 2
    return {
        "family": "swin",
        "embed_dim": state["patch_embed.proj.weight"].shape[0],
        "depths": [sum(stage == own for own, _ in tables) for stage in stages],
        "num_heads": [tables[stage, 0][1] for stage in stages],
        "window_size": window_size,
        "image_size": 4 * 2 ** stages[-1] * window_size,
        "final_norm": "norm.weight" in state,
    }


def describe_resnet(state: State) -> dict[str, Any]:
    """Architecture of a ResNet: 50 layers, or nothing this suite knows."""
    if "layer1.0.conv3.weight" not in state or "layer3.5.conv1.weight" not in state:
        raise InputError("it is a ResNet, but not one with 50 layers")
    return {"family": "resnet", "depth": 50}


@dataclass(frozen=True)
class Family:
    """A kind of trunk: the keys it is known by, their names here, and what they say of it."""

    name: str
    known_by: set[str]
    rename: Callable[[str, Any], str]
    describe: Callable[[State], dict[str, Any]]


FAMILIES = [
    Family("ViT", {"pos_embed", "patch_embed.proj.weight"}, rename_vit, describe_vit),
    Family(
        "Swin", {"patch_embed.proj.weight", "patch_embed.norm.weight"}, rename_swin, describe_swin
    ),
    Family(
        "ResNet",
        {"conv1.weight", "layer1.0.conv1.weight"},
        lambda key, keys: key,
        describe_resnet,
    ),
]

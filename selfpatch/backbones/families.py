"""A trunk's weights under other people's names -> the same under ours, and its architecture.

What the shapes tell is read from them; what they do not tell is for
:mod:`selfpatch.backbones.published` to find out.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from selfpatch.backbones import names
from selfpatch.errors import InputError
from selfpatch.models.rotary import rotary_periods
from selfpatch.models.vit import grid_of

State = dict[str, Tensor]
Stated = dict[str, Any]


def join_vit(state: State) -> None:
    """Join what lies in several weights: queries, keys and values, the halves of a gated MLP.

    A bias that only some of them have is zero for the others. DINOv3 masks the bias of its keys.
    """
    for block in [name[: -len("norm1.weight")] for name in state if name.endswith("norm1.weight")]:
        attention, mlp = f"{block}attn.", f"{block}mlp."
        join(state, f"{attention}qkv", [f"{attention}{part}" for part in "qkv"])
        if f"{mlp}gate.weight" in state:
            join(state, f"{mlp}fc1", [f"{mlp}gate", f"{mlp}up"])
        for kind in ("weight", "bias"):  # one that is not gated
            if f"{mlp}up.{kind}" in state:
                state[f"{mlp}fc1.{kind}"] = state.pop(f"{mlp}up.{kind}")
        if state.pop(f"{attention}qkv.bias_mask", None) is not None:
            queries, keys, values = state[f"{attention}qkv.bias"].chunk(3)
            state[f"{attention}qkv.bias"] = torch.cat([queries, torch.zeros_like(keys), values])


def join(state: State, whole: str, parts: list[str]) -> None:
    """Put the weights of several linear layers of one input one below the other."""
    weights = [state.pop(f"{part}.weight", None) for part in parts]
    biases = [state.pop(f"{part}.bias", None) for part in parts]
    if any(weight is None for weight in weights):
        return
    state[f"{whole}.weight"] = torch.cat([weight for weight in weights if weight is not None])
    if any(bias is not None for bias in biases):
        state[f"{whole}.bias"] = torch.cat(
            [
                weight.new_zeros(len(weight)) if bias is None else bias
                for weight, bias in zip(weights, biases, strict=True)
                if weight is not None
            ]
        )


def describe_vit(state: State, stated: Stated) -> dict[str, Any]:
    """Architecture of a ViT as far as its shapes tell it; completes ``state`` in place.

    A distillation token becomes a register that has taken up its position. A [CLS] token without
    a position gets one of zeros, as in timm's models with registers, and in DeiT III, which is
    known by its layer scale.

    Raises:
        InputError: The grid is not square and nothing states it, or nothing tells whether it is.
    """
    join_vit(state)
    embed_dim, _, patch_size, _ = state["patch_embed.proj.weight"].shape
    class_token, rotary = "cls_token" in state, "pos_embed" not in state
    if class_token:
        state["cls_token"] = state["cls_token"].reshape(1, 1, embed_dim)
    image_size = stated.get("image_size", 224)
    if not rotary:
        fold_distillation_token(state)
        image_size = settle_positions(state, patch_size, stated.get("image_size"))
    hidden = state["blocks.0.mlp.fc2.weight"].shape[1]
    architecture = {
        "family": "vit",
        "embed_dim": embed_dim,
        "depth": counted({int(m[1]) for m in map(re.compile(r"blocks\.(\d+)").match, state) if m}),
        "patch_size": patch_size,
        "image_size": image_size,
        "mlp_ratio": hidden / embed_dim,
        "qkv_bias": "blocks.0.attn.qkv.bias" in state,
        "patch_bias": "patch_embed.proj.bias" in state,
        "class_token": class_token,
        "final_norm": "norm.weight" in state,
        "layer_scale": "blocks.0.ls1.gamma" in state,
        "pre_norm": "norm_pre.weight" in state,
        "rotary": rotary,
    }
    if "register_tokens" in state:
        architecture["num_registers"] = state["register_tokens"].shape[1]
    if state["blocks.0.mlp.fc1.weight"].shape[0] == 2 * hidden:
        architecture["activation"] = "swiglu"
    if rotary:
        if "rotary_periods" not in state:  # Hugging Face computes them
            if not {"num_heads", "rotary_base"} <= set(stated):
                raise InputError(
                    "it holds neither positions nor rotary periods, and no config.json beside it"
                    " states rope_theta; give the whole folder"
                )
            head_dim = embed_dim // stated["num_heads"]
            state["rotary_periods"] = rotary_periods(head_dim, stated["rotary_base"])
        state["rotary_periods"] = state["rotary_periods"].float()
        architecture["num_heads"] = embed_dim // (4 * len(state["rotary_periods"]))
    return architecture


def fold_distillation_token(state: State) -> None:
    """Make a distillation token, with its position, a register, which has none."""
    token = state.pop("dist_token", None)
    if token is None:
        return
    own, distilled, patches = state["pos_embed"].split([1, 1, state["pos_embed"].shape[1] - 2], 1)
    state["register_tokens"] = token + distilled
    state["pos_embed"] = torch.cat([own, patches], dim=1)


def settle_positions(state: State, patch_size: int, image_size: Any) -> int | list[int]:
    """Bring positions into the form (1, [CLS] + rows * columns, D); returns the image's size.

    Raises:
        InputError: They are not those of the stated size; or none is stated and the grid is not
            square, or may not be.
    """
    class_token = "cls_token" in state
    embed_dim = state["patch_embed.proj.weight"].shape[0]
    positions = state["pos_embed"].reshape(1, -1, embed_dim)
    count = positions.shape[1]
    if image_size is None:
        grid, without = square_grid(count, state, class_token)
    else:
        grid = grid_of(image_size, patch_size)
        without = class_token and count == grid[0] * grid[1]
    if without:
        positions = torch.cat([positions.new_zeros(1, 1, embed_dim), positions], dim=1)
    if positions.shape[1] != grid[0] * grid[1] + class_token:
        raise InputError(
            f"its {count} positions are not those of {grid[0]} x {grid[1]} patches, as an image of"
            f" {image_size} has"
        )
    state["pos_embed"] = positions
    sides = [side * patch_size for side in grid]
    return sides[0] if sides[0] == sides[1] else sides


def square_grid(count: int, state: State, class_token: bool) -> tuple[tuple[int, int], bool]:
    """The square grid of so many positions, and whether [CLS] has none among them."""
    without = class_token and is_square(count)
    if without and not {"register_tokens", "blocks.0.ls1.gamma"} & set(state):
        raise InputError(
            f"its {count} positions are a square grid without one for [CLS], or [CLS] and a grid"
            " that is not square, and nothing in it tells which; import it with"
            " --set image_size=[HEIGHT,WIDTH]"
        )
    patches = count - (class_token and not without)
    if not is_square(patches):
        raise InputError(
            f"its {count} positions are those of a grid that is not square; import it with"
            " --set image_size=[HEIGHT,WIDTH]"
        )
    return (isqrt(patches), isqrt(patches)), without


def counted(numbers: set[int]) -> int:
    """How many blocks or stages there are; raises ValueError unless they are numbered from 0 on."""
    if numbers != set(range(len(numbers))):
        raise ValueError(f"{len(numbers)} blocks or stages, the last of them number {max(numbers)}")
    return len(numbers)


def is_square(number: int) -> bool:
    """Whether a number is one's square."""
    return isqrt(number) ** 2 == number


def describe_swin(state: State, stated: Stated) -> dict[str, Any]:
    """Architecture of a Swin, from its shapes; completes ``state`` in place.

    Its authors, and with them all but timm and torchvision, merge patches at the end of a stage
    instead of at the start of the next one. Its last stage is one window, as in the paper.
    """
    merges = [name for name in state if re.match(r"layers\.\d+\.(downsample|unfolded)\.", name)]
    if any(name.startswith("layers.0.") for name in merges):
        moved = {name: state.pop(name) for name in merges}
        for name, value in moved.items():
            _, stage, place, rest = name.split(".", 3)
            ordered = value if place == "downsample" else from_unfolded(value)
            state[f"layers.{int(stage) + 1}.downsample.{rest}"] = ordered
    for name in [name for name in state if name.endswith("relative_position_bias_table")]:
        attention = name.removesuffix("relative_position_bias_table")
        join(state, f"{attention}qkv", [f"{attention}{part}" for part in "qkv"])
    tables = {
        (int(m[1]), int(m[2])): state[key].shape
        for key in state
        if (m := re.match(r"layers\.(\d+)\.blocks\.(\d+)\.attn\.relative_position_bias_table", key))
    }
    stages = range(counted({stage for stage, _ in tables}))
    window_size = (isqrt(tables[0, 0][0]) + 1) // 2
    last_window = (isqrt(tables[stages[-1], 0][0]) + 1) // 2
    return {
        "family": "swin",
        "embed_dim": state["patch_embed.proj.weight"].shape[0],
        "depths": [sum(stage == own for own, _ in tables) for stage in stages],
        "num_heads": [tables[stage, 0][1] for stage in stages],
        "window_size": window_size,
        "image_size": 4 * 2 ** stages[-1] * last_window,
        "final_norm": "norm.weight" in state,
    }


def from_unfolded(value: Tensor) -> Tensor:
    """Weights (..., 4 * C) of mmcv's patch merging, which orders by channel, row and column.

    Swin's own code orders by column, row and channel.
    """
    return value.unflatten(-1, (-1, 2, 2)).transpose(-3, -1).flatten(-3)


def describe_resnet(state: State, stated: Stated) -> dict[str, Any]:
    """Architecture of a ResNet, from its blocks; completes ``state`` in place."""
    blocks = Counter(m[1] for m in map(re.compile(r"(layer\d\.\d+)\.").match, state) if m)
    counts = Counter(name.split(".")[0] for name in blocks)
    bottlenecks = "layer1.0.conv3.weight" in state
    found = tuple(counts[f"layer{stage}"] for stage in (1, 2, 3, 4))
    for name in [name for name in state if name.endswith("running_mean")]:
        state.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    for depth, (expected, kind) in DEPTHS.items():
        if (found, bottlenecks) == (expected, kind):
            return {"family": "resnet", "depth": depth}
    raise InputError(f"it is a ResNet of {found} blocks per stage, and none that is known here")


DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}
"""Layers of a ResNet -> blocks per stage, and whether they are bottlenecks."""


@dataclass(frozen=True)
class Family:
    """A kind of trunk: the keys it is known by, their names here, and what they say of it."""

    name: str
    known_by: set[str]
    names: names.Names
    describe: Callable[[State, Stated], dict[str, Any]]


FAMILIES = [
    Family(
        "Swin", {"patch_embed.proj.weight", "patch_embed.norm.weight"}, names.SWIN, describe_swin
    ),
    Family("ResNet", {"conv1.weight", "layer1.0.conv1.weight"}, names.RESNET, describe_resnet),
    Family("ViT", {"patch_embed.proj.weight", "blocks.0.norm1.weight"}, names.VIT, describe_vit),
]

"""The state dict of a published checkpoint -> the trunk in it, every key accounted for.

First the training method is recognised, which says where the trunk lies and what lies beside it;
then the family of the trunk, which says how its keys are called here. Key names are those of the
methods' own repositories, named below.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from selfpatch.errors import InputError
from selfpatch.models.trunks import VARIANTS
from selfpatch.models.vit import sine_cosine_positions

State = dict[str, Tensor]


@dataclass(frozen=True)
class Method:
    """How a training method stores its networks; ``module.`` before a key never matters.

    Attributes:
        name: What results and tables call it.
        known_by: Regular expression that this method's keys match, and those of no method below.
        prefixes: What precedes the trunk's keys -> what to put there; the first that fits.
        ignored: Regular expression -> what such keys are, which are no part of the trunk.
        num_heads: Width -> attention heads, where they are not the usual ones.
    """

    name: str
    known_by: str
    prefixes: dict[str, str] = field(default_factory=lambda: {"": ""})
    ignored: dict[str, str] = field(default_factory=dict)
    num_heads: dict[int, int] = field(default_factory=dict)


BESIDE_AN_ENCODER = {
    r"encoder_q\.1\.|neck\.": "neck",
    r"encoder_q\.fpn_": "feature pyramid",
    r"backbone\.": "the encoder's trunk once more",
    r"encoder_k\.": "momentum encoder",
    r"queue": "queue",
}
"""What lies beside the trunk in MoCo-v2 and in what builds on it."""

METHODS = [
    Method(  # SelfPatch's reference; its trunk's last norm lies in the aggregation head
        "dino+selfpatch",
        r"ca_head\.",
        {"backbone.": "", "ca_head.norm.": "norm."},
        {r"ca_head\.(?!norm\.)": "aggregation head", r"[cp]_head\.": "projection head"},
    ),
    Method(  # facebookresearch/moco-v3; 12 heads in its ViT-S
        "mocov3",
        r"base_encoder\.",
        {"base_encoder.": ""},
        {r"momentum_encoder\.": "momentum encoder", r"predictor\.": "predictor"},
        {384: 12},
    ),
    Method(  # WXinlong/DenseCL: its neck has a second, dense branch
        "densecl", r"encoder_q\.1\.mlp2\.", {"encoder_q.0.": ""}, BESIDE_AN_ENCODER
    ),
    Method(  # Tete-Xiao/ReSim: its encoder has a feature pyramid
        "resim", r"encoder_q\.fpn_", {"encoder_q.": ""}, BESIDE_AN_ENCODER
    ),
    Method(  # facebookresearch/moco, and in OpenSelfSup, where the trunk is the encoder's part 0
        "mocov2", r"encoder_q\.", {"encoder_q.0.": "", "encoder_q.": ""}, BESIDE_AN_ENCODER
    ),
    Method(  # SwinTransformer/Transformer-SSL
        "moby",
        r"encoder\.",
        {"encoder.": ""},
        {
            r"encoder_k\.": "momentum encoder",
            r"projector(_k)?\.": "projector",
            r"predictor\.": "predictor",
            r"queue": "queue",
        },
    ),
    Method(  # facebookresearch/swav
        "swav",
        r"(projection_head|prototypes)\.",
        ignored={r"projection_head\.": "projection head", r"prototypes\.": "prototypes"},
    ),
    Method(  # bytedance/ibot: DINO's names, and an embedding in the place of masked patches
        "ibot", r"(backbone\.)?masked_embed$|head\.last_layer2\.", {"backbone.": "", "": ""}
    ),
    Method("mae", r"decoder_", ignored={r"decoder_": "decoder"}),  # facebookresearch/mae
    Method(  # facebookresearch/dinov2; timm's copy of it lacks both and could be DeiT III as well
        "dinov2",
        r"(backbone\.)?(mask_token|register_tokens)$",
        {"backbone.": "", "": ""},
        {r"(dino|ibot)_head\.": "projection head"},
    ),
    Method(  # facebookresearch/dino
        "dino", r"head\.(mlp|last_layer)\.", {"backbone.": "", "": ""}
    ),
    Method("unknown", r"", {"backbone.": "", "": ""}),
]

BESIDE_A_TRUNK = {
    r"head(_dist)?\.|fc\.|fc_norm\.": "classifier or projection head",
    r"mask_token$|masked_embed$": "stands in for masked patches",
    r".*(relative_position_index|attn_mask)$": "follows from the window size",
}
"""What the file of any trunk may hold, too."""


@dataclass
class Report:
    """What became of every key of a file.

    Attributes:
        method: Name of the method that was recognised.
        used: Key in the file -> key in the trunk.
        ignored: Key in the file -> what it is.
    """

    method: str
    used: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)


def extract(
    state: dict[str, Any], num_heads: int | None = None, method: str | None = None
) -> tuple[State, dict[str, Any], Report]:
    """The trunk in a state dict, under this suite's names, with its architecture and a report.

    Args:
        state: Keys and values as a file has them.
        num_heads: Attention heads of a ViT, which do not show in its weights; the method's, if
            left out.
        method: How it was trained; what the keys or positions tell, if left out.

    Raises:
        InputError: There is no trunk of a known family, or nothing tells its heads.
    """
    keys = {key: str(key).removeprefix("module.") for key in state}
    layout = next(m for m in METHODS if any(re.match(m.known_by, key) for key in keys.values()))
    report, found = Report(method or layout.name), {}
    for key, inner in keys.items():
        reason = explanation(inner, layout.ignored)
        for prefix, replacement in layout.prefixes.items():
            if reason is None and inner.startswith(prefix):
                inner = replacement + inner.removeprefix(prefix)
                break
        reason = reason or explanation(inner, BESIDE_A_TRUNK)
        if reason is None and not torch.is_tensor(state[key]):
            reason = f"no tensor but {type(state[key]).__name__}"
        if reason is None:
            found[inner] = key
        else:
            report.ignored[key] = reason
    family = next((f for f in FAMILIES if f.known_by <= set(found)), None)
    if family is None:
        names = ", ".join(sorted({str(key).split(".")[0] for key in state})[:6]) or "nothing"
        raise InputError(f"it holds no ViT, Swin or ResNet-50 trunk; it holds: {names}")
    report.used = {key: family.rename(inner, found) for inner, key in found.items()}
    trunk: State = {name: state[key] for key, name in report.used.items()}
    try:
        architecture = family.describe(trunk)
        if architecture["family"] == "vit":
            if report.method == "unknown":
                report.method = method_of_positions(trunk["pos_embed"])
            architecture["num_heads"] = num_heads or heads_of(report.method, architecture)
        return trunk, architecture, report
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            f"its {family.name} is of another kind than those here ({error})"
        ) from None


def method_of_positions(positions: Tensor) -> str:
    """The method whose fixed positions (1, 1 + n * n, D) are, if they are one's; else ``unknown``.

    MoCo-v3's begin with the row, MAE's with the column.
    """
    side, embed_dim = isqrt(positions.shape[1] - 1), positions.shape[2]
    if 1 + side**2 != positions.shape[1] or embed_dim % 4:
        return "unknown"
    by_row = sine_cosine_positions(side, side, embed_dim)
    by_column = by_row.unflatten(0, (side, side)).transpose(0, 1).flatten(0, 1)
    for method, fixed in (("mocov3", by_row), ("mae", by_column)):
        if torch.allclose(positions[0, 1:].float(), fixed, atol=1e-3):
            return method
    return "unknown"


def heads_of(method: str, architecture: dict[str, Any]) -> int:
    """Attention heads of a method's ViT, whose architecture is known but for them.

    Raises:
        InputError: It is no known width, or the method is not known and methods differ.
    """
    embed_dim = architecture["embed_dim"]
    special = {m.name: m.num_heads[embed_dim] for m in METHODS if embed_dim in m.num_heads}
    vits = [variant for variant in VARIANTS.values() if variant["family"] == "vit"]
    usual = {vit["embed_dim"]: vit["num_heads"] for vit in vits}.get(embed_dim)
    if usual is None:
        raise InputError(
            f"its width {embed_dim} is that of no known variant, and nothing in it tells its heads;"
            " import it with --num-heads"
        )
    # A layer scale is none of the special methods', which are from before there was one.
    if special and method == "unknown" and not architecture.get("layer_scale"):
        others = ", ".join(f"{heads} with {name}" for name, heads in special.items())
        raise InputError(
            f"nothing in it tells how it was trained, and a ViT of width {embed_dim} has {usual}"
            f" heads, but {others}; import it with --method or --num-heads"
        )
    return special.get(method, usual)


def explanation(key: str, reasons: dict[str, str]) -> str | None:
    """What a key is, if one of the regular expressions knows it."""
    return next((reason for known, reason in reasons.items() if re.match(known, key)), None)


def rename_vit(key: str, keys: Any) -> str:
    """Other names of registers (timm) and layer scale (DeiT III); DINOv2's chunks of blocks."""
    if key == "reg_token":
        return "register_tokens"
    key = re.sub(r"\.gamma_([12])$", r".ls\1.gamma", key)
    return re.sub(r"^blocks\.\d+\.(\d+\.)", r"blocks.\1", key)


def describe_vit(state: State) -> dict[str, Any]:
    """Architecture of a ViT but for its heads, from its shapes; completes ``state`` in place.

    A [CLS] token without a position, as in timm's models with registers, gets one of zeros.
    """
    embed_dim, _, patch_size, _ = state["patch_embed.proj.weight"].shape
    class_token = "cls_token" in state
    positions = state["pos_embed"].reshape(1, -1, embed_dim)
    if class_token and isqrt(positions.shape[1]) ** 2 == positions.shape[1]:
        positions = torch.cat([positions.new_zeros(1, 1, embed_dim), positions], dim=1)
    state["pos_embed"] = positions
    architecture = {
        "family": "vit",
        "embed_dim": embed_dim,
        "depth": 1 + max(int(m[1]) for m in map(re.compile(r"blocks\.(\d+)").match, state) if m),
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
    stages = range(1 + max(stage for stage, _ in tables))
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

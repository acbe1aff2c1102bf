"""The state dict of a published checkpoint -> the trunk in it, every key accounted for.

First the training method is recognised, which says where the trunk lies and what lies beside it;
then the family of the trunk (:mod:`selfpatch.backbones.families`), which says how its keys are
called here. Key names are those of the methods' own repositories.
"""

import re
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from selfpatch.backbones.families import FAMILIES, State
from selfpatch.backbones.methods import METHODS
from selfpatch.errors import InputError
from selfpatch.models.variants import VARIANTS
from selfpatch.models.vit import sine_cosine_positions

WRAPPERS = re.compile(r"^((module|_orig_mod|_fsdp_wrapped_module|model)\.)+")
"""What data-parallel, compiled and sharded models, and modules around them, put before a key."""

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
    keys = {key: WRAPPERS.sub("", str(key)) for key in state}
    known = (m for m in METHODS if any(re.match(m.known_by, key) for key in keys.values()))
    layout = next(known, METHODS[-1])
    report, found = Report(method or layout.name), {}
    for key, inner in keys.items():
        reason = explanation(inner, layout.ignored)
        prefix = next((prefix for prefix in layout.prefixes if inner.startswith(prefix)), None)
        if reason is None and prefix is not None:
            inner = layout.prefixes[prefix] + inner.removeprefix(prefix)
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
    except (LookupError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
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

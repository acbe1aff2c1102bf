"""Keys of a file -> those of the trunk that is meant, and what all the others are."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from selfpatch.backbones.families import FAMILIES, Family
from selfpatch.backbones.methods import BOTH, Method
from selfpatch.backbones.names import renamed
from selfpatch.errors import InputError

PATCHES = re.compile(
    r"((?:.*?\.)?)(patch_embed\.proj(ection)?|embeddings\.patch_embeddings?(\.projection)?"
    r"|conv_proj|(stem\.)?conv1|features\.0\.0)\.weight"
)
"""The first layer of a trunk, and whatever stands before it."""

EARLIER_NORMS = {r"norm[012]\.": "norm of an earlier stage"}

BESIDE_A_TRUNK = {
    r"(heads?(_\w+)?|fc|stem\.fc|fc_norm|classifier|pooler|attn_pool)\.": (
        "classifier, pooling or projection head"
    ),
    r"proj$": "projection to the features of text",
    r"(embeddings\.)?mask_token$|masked_embed$": "stands in for masked patches",
    r"local_cls_norm\.": "norm of [CLS] in training",
    r".*(relative_position_index|attn_mask|position_ids)$": "follows from the sizes",
}
"""What the file of any trunk may hold, too."""

TEXT = re.compile(r"(.*\.)?(word_embeddings|token_embedding|embed_tokens|wte)\.weight$")
ADAPTER = re.compile(r".*\.?lora_[AB]\b")
QUANTISED = re.compile(r".*\.(qweight|qzeros|SCB|absmax|quant_state.*|weight_scale|scales)$")


@dataclass
class Report:
    """What became of every key of a file, and where every value comes from.

    Attributes:
        method: Name of the method that was recognised or stated.
        used: Key in the file -> key in the trunk.
        ignored: Key in the file -> what it is.
        values: What the weights do not tell -> where it was found.
        network: ``teacher`` or ``student``, where the file has both.
    """

    method: str
    used: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    network: str = ""


def trunks_in(keys: list[str]) -> list[str]:
    """What precedes the keys of every trunk that lies among these."""
    prefixes = dict.fromkeys(m[1] for m in map(PATCHES.fullmatch, keys) if m)
    return [
        prefix
        for prefix in prefixes
        if family_of([key.removeprefix(prefix) for key in keys if key.startswith(prefix)])
    ]


def distinct(prefixes: list[str], values: Mapping[str, Any]) -> list[str]:
    """The trunks that are no copy of one before."""
    found: dict[str, dict[str, Any]] = {}
    for prefix in sorted(prefixes, key=len):
        own = {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
        if not any(equal(own, other) for other in found.values()):
            found[prefix] = own
    return list(found)


def equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two state dicts hold the same weights."""
    if one.keys() != other.keys():
        return False
    tensors = ((one[k], other[k]) for k in one if torch.is_tensor(one[k]))
    return all(torch.is_tensor(b) and a.shape == b.shape and a.equal(b) for a, b in tensors)


def family_of(keys: Iterable[str]) -> Family | None:
    """The family whose keys these are."""
    listed = list(keys)
    for family in FAMILIES:
        if family.known_by <= {renamed(key, family.names) for key in listed}:
            return family
    return None


def choose(
    prefixes: list[str], method: Method, network: str, values: Mapping[str, Any]
) -> tuple[str | None, str]:
    """The trunk that is meant, and which network it is where there are two.

    Raises:
        InputError: It is not there, or nothing tells which of several is meant.
    """
    networks = {} if len(method.trunks) == 1 else method.trunks or BOTH
    of = {
        p: next((n for n, known in networks.items() if re.search(known, p)), "") for p in prefixes
    }
    if any(of.values()):
        meant = [p for p in prefixes if of[p] == network]
        if not meant and network == "student":  # VISSL's lies where other methods have their one
            meant = [p for p in prefixes if not of[p]]
        if not meant:
            raise InputError(f"it holds no {network} network; ask for the other one")
    else:
        if network == "student" and prefixes:
            raise InputError("it holds one network; leave out --network")
        network = ""
        wanted = method.trunks.get("", "")
        meant = [p for p in prefixes if re.search(wanted, p)] if wanted else prefixes
        meant = meant or prefixes
    if len(meant := distinct(meant, values)) > 1:
        listed = ", ".join(prefix.rstrip(".") or "the file itself" for prefix in meant)
        raise InputError(f"it holds several trunks ({listed}); save the one you mean alone")
    return (meant[0] if meant else None), network


def sort_out(values: dict[str, Any], prefix: str, method: Method, report: Report) -> dict[str, str]:
    """Key within the trunk -> key in the file; what is no part of the trunk goes to the report."""
    found, outer = {}, re.sub(r"[^.]+\.$", "", prefix)
    staged = any(key.startswith(f"{prefix}stages.0.") for key in values)  # mmcv's Swin
    known = {**BESIDE_A_TRUNK, **(EARLIER_NORMS if staged else {})}
    siblings = {outer + name: inner for name, inner in method.siblings.items()}
    for key, value in values.items():
        sibling = next((name for name in siblings if key.startswith(name)), None)
        if sibling is not None:
            inner: str | None = siblings[sibling] + key.removeprefix(sibling)
        else:
            inner = key.removeprefix(prefix) if key.startswith(prefix) else None
        reason = None if sibling else explanation(key, method.beside, re.search)
        if reason is None and inner is None:
            reason = "lies beside the trunk"
        if reason is None and inner is not None:
            reason = explanation(inner, known, re.match)
        if reason is None and not torch.is_tensor(value):
            reason = f"no tensor but {type(value).__name__}"
        if reason is None and inner is not None:
            found[inner] = key
        else:
            report.ignored[key] = reason or ""
    return found


def explanation(key: str, reasons: dict[str, str], look: Callable[..., Any]) -> str | None:
    """What a key is, if one of the regular expressions knows it."""
    return next((reason for known, reason in reasons.items() if look(known, key)), None)


def check_kind(keys: Iterable[str]) -> None:
    """Raise InputError for what is no model, or none with weights to compute with."""
    for key in keys:
        if ADAPTER.match(key):
            raise InputError("it is an adapter (LoRA); merge it into its model and save that")
        if QUANTISED.match(key):
            raise InputError("its weights are quantised; fetch the model in full precision")


def no_trunk(keys: Iterable[str]) -> InputError:
    """Why nothing can be made of a file without a trunk."""
    if any(map(TEXT.match, keys)):
        return InputError("it is a text encoder without an image tower; give the image model")
    names = ", ".join(sorted({key.split(".")[0] for key in keys})[:6]) or "nothing"
    return InputError(f"it holds no ViT, Swin or ResNet trunk; it holds: {names}")

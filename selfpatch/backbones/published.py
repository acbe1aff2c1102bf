"""What a published file holds -> the trunk in it; every key and value is accounted for.

First the training method is recognised, which says which of several trunks counts and what its
authors published beside the weights; then the family of the trunk
(:mod:`selfpatch.backbones.families`), which says how its keys are called here. Key names are those
of the methods' own repositories.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from selfpatch.backbones.contents import Contents
from selfpatch.backbones.families import FAMILIES, Family, State
from selfpatch.backbones.methods import IMAGENET, METHODS, Method
from selfpatch.backbones.names import renamed
from selfpatch.backbones.statements import Statement, statement_of
from selfpatch.backbones.timm_folder import kept_names
from selfpatch.errors import InputError
from selfpatch.models.vit import sine_cosine_positions

PATCHES = re.compile(
    r"((?:.*?\.)?)(patch_embed\.proj(ection)?|embeddings\.patch_embeddings?(\.projection)?"
    r"|conv_proj|(stem\.)?conv1|features\.0\.0)\.weight"
)
"""The first layer of a trunk, and whatever stands before it."""

EARLIER_NORMS = r"norm[012]\."

BESIDE_A_TRUNK = {
    r"(heads?(_\w+)?|fc|stem\.fc|fc_norm|classifier|pooler|attn_pool)\.": (
        "classifier, pooling or projection head"
    ),
    r"proj$": "projection to the features of text",
    r"(embeddings\.)?mask_token$|masked_embed$": "stands in for masked patches",
    r"local_cls_norm\.": "norm of [CLS] in training",
    EARLIER_NORMS: "norm of an earlier stage",
    r".*(relative_position_index|attn_mask|position_ids)$": "follows from the sizes",
}
"""What the file of any trunk may hold, too."""

NEEDED = ("num_heads", "norm_eps", "activation", "resizing", "mean", "std")
"""What the weights of a ViT do not tell."""

AUTHORS = {"moco": "mocov2", "densecl": "densecl", "detco": "detco", "resim": "resim"}
"""What converters to detectron2 and some papers call the author of a file -> the method."""

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


def extract(
    contents: Contents,
    network: str = "teacher",
    told: Mapping[str, Any] | None = None,
    method: str | None = None,
) -> tuple[State, dict[str, Any], Report]:
    """The trunk in a file, under this suite's names, with its architecture and a report.

    Args:
        contents: What the file holds.
        network: Which one, where there are a student and a teacher.
        told: Values of the architecture that the user knows.
        method: How it was trained; what the keys or positions tell, if left out.

    Raises:
        InputError: There is no trunk of a known family, or nothing tells how it computes.
    """
    keys = [key for key, value in contents.values.items() if torch.is_tensor(value)]
    if any(map(ADAPTER.match, contents.values)):
        raise InputError("it is an adapter (LoRA), no model; merge it into its model and save that")
    if any(map(QUANTISED.match, contents.values)):
        raise InputError("its weights are quantised; fetch the model in full precision")
    try:
        statement = statement_of(contents.stated, contents.values)
    except InputError:
        raise
    except Exception as error:  # whatever values of other types lead to
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"what it states of itself cannot be read ({reason})") from None
    author = contents.values.get("author", contents.values.get("__author__"))
    if statement.network:
        return extract_network(contents, statement, method)
    layout = method_of(keys, method or statement.method, AUTHORS.get(str(author).lower()))
    prefix, network = choose(trunks_in(keys), layout, network, contents.values)
    if prefix is None:
        raise InputError(no_trunk(contents))
    report = Report(method or layout.name, network=network)
    found = sort_out(contents.values, prefix, layout, report)
    family = family_of(found)
    if family is None:
        raise InputError(no_trunk(contents))
    state: State = {}
    for inner, key in found.items():
        report.used[key] = renamed(inner, family.names)
        state[report.used[key]] = contents.values[key]
    told = dict(told or {})
    try:
        architecture = family.describe(state, {**statement.values, **told})
        settle(architecture, state, report, told, statement, layout)
    except InputError:
        raise
    except Exception as error:  # whatever shapes and values of other kinds lead to
        raise InputError(
            f"its {family.name} is of another kind than those here ({error})"
        ) from None
    return state, architecture, report


def extract_network(
    contents: Contents, statement: Statement, method: str | None
) -> tuple[State, dict[str, Any], Report]:
    """A network of timm that is none of this suite's families, as timm names its weights."""
    name, options = statement.network or ("", {})
    kept = kept_names(name, options)
    prefix = "visual.trunk." if any(k.startswith("visual.trunk.") for k in contents.values) else ""
    report, state = Report(method or statement.method or "unknown"), {}
    for key, value in contents.values.items():
        inner = key.removeprefix(prefix)
        reason = None if inner in kept else explanation(inner, BESIDE_A_TRUNK, re.match)
        if reason is None and prefix and not key.startswith(prefix):
            reason = "lies beside the trunk"
        if reason is None:
            report.used[key] = f"model.{inner}"
            state[f"model.{inner}"] = value
        else:
            report.ignored[key] = reason
    architecture: dict[str, Any] = {"family": "timm", "name": name, "options": options}
    for fact in ("mean", "std"):
        if fact not in statement.values:
            raise InputError(f"its {statement.source} does not state the {fact} of images")
        architecture[fact] = statement.values[fact]
        report.values[fact] = f"stated by {statement.source}"
    return state, architecture, report


def method_of(keys: list[str], name: str | None, author: str | None = None) -> Method:
    """The method of a name, or the one whose keys these are, or else the author's.

    A name that is not in the list has no published values; its keys still tell the layout.
    """
    by_name = {method.name: method for method in METHODS}
    if name in by_name:
        return by_name[name]
    known = (m for m in METHODS if m.known_by and any(re.search(m.known_by, k) for k in keys))
    unknown = Method(name or "unknown", "torchvision, timm and others")
    return next(known, by_name.get(str(author), unknown))


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


def family_of(keys: Any) -> Family | None:
    """The family whose keys these are."""
    for family in FAMILIES:
        if family.known_by <= {renamed(key, family.names) for key in keys}:
            return family
    return None


def choose(
    prefixes: list[str], method: Method, network: str, values: Mapping[str, Any]
) -> tuple[str | None, str]:
    """The trunk that is meant, and which network it is where there are two.

    Raises:
        InputError: It is not there, or nothing tells which of several is meant.
    """
    networks = method.trunks if len(method.trunks) > 1 else {}
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
            reason = explanation(inner, BESIDE_A_TRUNK, re.match)
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


def no_trunk(contents: Contents) -> str:
    """Why nothing can be made of a file without a trunk."""
    keys = list(contents.values)
    if any(map(TEXT.match, keys)):
        return "it is a text encoder without an image tower; give the image model"
    names = ", ".join(sorted({key.split(".")[0] for key in keys})[:6]) or "nothing"
    return f"it holds no ViT, Swin or ResNet trunk; it holds: {names}"


def settle(
    architecture: dict[str, Any],
    state: State,
    report: Report,
    told: dict[str, Any],
    statement: Statement,
    method: Method,
) -> None:
    """Complete an architecture by what the user says, else the file, else the method's authors.

    Raises:
        InputError: None of them says a value that the trunk cannot do without, or a value that the
            user told is none of this trunk.
    """
    values, authors = dict(method.values), method
    if architecture["family"] == "vit":
        if not values and "pos_embed" in state:
            authors = method_of([], method_of_positions(state["pos_embed"]))
            values = dict(authors.values)
            if report.method == "unknown":
                report.method = authors.name
        if authors.name == "dinov2" and "num_registers" in architecture:
            values["resizing"] = "antialiased"
        values["num_heads"] = authors.heads(architecture["embed_dim"]) if values else None
        needed: tuple[str, ...] = NEEDED
    else:  # every published Swin and ResNet takes images as ImageNet's are
        values, needed = dict(IMAGENET), ("mean", "std")
        if architecture["family"] == "swin":
            values |= {"norm_eps": method.swin_eps, "small_grids": small_grids_of(report)}
            needed += ("norm_eps", "small_grids")
    for source, found in (
        ("told", told),
        (f"stated by {statement.source}", statement.values),
        (f"published by {authors.origin}", values),
    ):
        for name, value in found.items():
            if name in needed and value is not None and name not in report.values:
                if name in architecture:  # the weights tell it
                    continue
                architecture[name], report.values[name] = value, source
    unknown = [name for name in needed if name not in architecture]
    if unknown:
        known = ", ".join(dict.fromkeys(m.name for m in METHODS if m.values))
        raise InputError(
            f"nothing in it tells its {', '.join(unknown)}; import it with --method (one of"
            f" {known}) or with --set {unknown[0]}=..."
        )
    foreign = set(told) - set(needed) - {"image_size"}
    if foreign:
        raise InputError(f"{foreign.pop()} is nothing that this trunk has to be told")


def small_grids_of(report: Report) -> str:
    """How a Swin treats grids no longer than a window, by whose names its weights have."""
    if any("features.1.0." in key for key in report.used):
        return "by side"  # torchvision
    dense = any(reason == BESIDE_A_TRUNK[EARLIER_NORMS] for reason in report.ignored.values())
    return "shifted" if dense else "unshifted"  # a detector's or segmenter's


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

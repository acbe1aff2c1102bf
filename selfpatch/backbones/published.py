"""What a published file holds -> the trunk in it; every key and value is accounted for.

First the training method is recognised, which says which of several trunks counts
(:mod:`selfpatch.backbones.keys`) and what its authors published beside the weights; then the
family of the trunk (:mod:`selfpatch.backbones.families`), which says how its keys are called here.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from selfpatch.backbones.contents import Contents
from selfpatch.backbones.families import State
from selfpatch.backbones.keys import (
    BESIDE_A_TRUNK,
    EARLIER_NORMS,
    Report,
    check_kind,
    choose,
    explanation,
    family_of,
    no_trunk,
    sort_out,
    trunks_in,
)
from selfpatch.backbones.methods import IMAGENET, METHODS, Method
from selfpatch.backbones.names import renamed
from selfpatch.backbones.statements import Statement, statement_of
from selfpatch.backbones.timm_folder import kept_names
from selfpatch.errors import InputError
from selfpatch.models.vit import sine_cosine_positions

NEEDED = ("num_heads", "norm_eps", "activation", "resizing", "mean", "std")
"""What the weights of a ViT do not tell."""

BY_NAME = {method.name: method for method in METHODS}

AUTHORS = {"moco": "mocov2", "densecl": "densecl", "detco": "detco", "resim": "resim"}
"""What converters to detectron2 and some papers call the author of a file -> the method."""

UNKNOWN = Method("unknown", "torchvision, timm and others")


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
    values, told = contents.values, dict(told or {})
    check_kind(values)
    statement = stated_by(contents)
    if statement.network:
        return extract_network(contents, statement, method, told)
    keys = [key for key, value in values.items() if torch.is_tensor(value)]
    layout = layout_of(keys)
    authors = authors_of(layout, method or statement.method, values)
    structure = authors if layout is UNKNOWN else layout
    prefix, network = choose(trunks_in(keys), structure, network, values)
    report = Report(authors.name, network=network)
    found = {} if prefix is None else sort_out(values, prefix, structure, report)
    family = family_of(found)
    if family is None:
        raise no_trunk(values)
    report.used = {key: renamed(inner, family.names) for inner, key in found.items()}
    state: State = {name: values[key] for key, name in report.used.items()}
    if twice := [name for name, count in Counter(report.used.values()).items() if count > 1]:
        raise InputError(f"several of its keys are {twice[0]} here; none is taken")
    try:
        architecture = family.describe(state, {**statement.values, **told})
        settle(architecture, state, report, told, statement, authors)
    except InputError:
        raise
    except Exception as error:  # whatever shapes and values of other kinds lead to
        raise InputError(
            f"its {family.name} is of another kind than those here ({error})"
        ) from None
    return state, architecture, report


def stated_by(contents: Contents) -> Statement:
    """What a file or what lies beside it states, whatever values it has.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return statement_of(contents.stated, contents.values)
    except InputError:
        raise
    except Exception as error:  # whatever values of other types lead to
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"what it states of itself cannot be read ({reason})") from None


def layout_of(keys: list[str]) -> Method:
    """The method whose keys these are."""
    for method in METHODS:
        patterns = (method.known_by, method.known_with)
        if method.known_by and all(any(re.search(p or "", k) for k in keys) for p in patterns):
            return method
    return UNKNOWN


def authors_of(layout: Method, name: str | None, values: Mapping[str, Any]) -> Method:
    """The method whose published values count, called as the user or the file calls it.

    A name that nobody knows here changes the name alone: the keys tell by whose code it was made.
    """
    if name == layout.name:
        return layout
    if name is not None:
        return BY_NAME.get(name, replace(layout, name=name))
    author = str(values.get("author", values.get("__author__"))).lower()
    return BY_NAME.get(AUTHORS.get(author, ""), layout) if layout is UNKNOWN else layout


def extract_network(
    contents: Contents, statement: Statement, method: str | None, told: dict[str, Any]
) -> tuple[State, dict[str, Any], Report]:
    """A network of timm that is none of this suite's families, as timm names its weights.

    Raises:
        InputError: Nothing tells how its images are normalised, or something else is told.
    """
    name, options = statement.network or ("", {})
    kept = kept_names(name, options)
    first = min(kept)
    prefix = next((k.removesuffix(first) for k in contents.values if k.endswith(first)), "")
    report, state = Report(method or statement.method or "unknown"), {}
    for key, value in contents.values.items():
        inner = key.removeprefix(prefix)
        reason = None if inner in kept else explanation(inner, BESIDE_A_TRUNK, re.match)
        if reason is None and (not key.startswith(prefix) or not torch.is_tensor(value)):
            reason = "lies beside the trunk"
        if reason is None:
            report.used[key] = f"model.{inner}"
            state[f"model.{inner}"] = value
        else:
            report.ignored[key] = reason
    architecture: dict[str, Any] = {"family": "timm", "name": name, "options": options}
    authors = BY_NAME.get(report.method, UNKNOWN)
    complete(architecture, report, ("mean", "std"), told, statement, authors, authors.values)
    return state, architecture, report


def settle(
    architecture: dict[str, Any],
    state: State,
    report: Report,
    told: dict[str, Any],
    statement: Statement,
    authors: Method,
) -> None:
    """Complete an architecture by what the user says, else the file, else the method's authors.

    Raises:
        InputError: None of them says a value that the trunk cannot do without, or a value that the
            user told is none of this trunk.
    """
    if architecture["family"] == "vit":
        if not authors.values and "pos_embed" in state:
            name = method_of_positions(state["pos_embed"])
            if name in BY_NAME:
                report.method = name if report.method == UNKNOWN.name else report.method
                origin = f"{BY_NAME[name].origin}, whose fixed positions it has"
                authors = replace(BY_NAME[name], origin=origin)
        values = {**authors.values, "num_heads": authors.num_heads.get(architecture["embed_dim"])}
        if authors.name == "dinov2" and "num_registers" in architecture:
            values["resizing"] = "antialiased"
        complete(architecture, report, NEEDED, told, statement, authors, values)
        return
    check_resnet(report, authors)
    # As of every published Swin and ResNet, but for those whose own config is silent.
    common: dict[str, Any] = {} if statement.is_config else dict(IMAGENET)
    common |= {name: authors.values[name] for name in IMAGENET if name in authors.values}
    needed: tuple[str, ...] = ("mean", "std")
    if architecture["family"] == "swin":
        of_a_host = any(re.search(r"features\.1\.0\.|stages\.0\.", key) for key in report.used)
        eps = authors.swin_eps or (1e-5 if of_a_host else None)  # torchvision's and mmcv's norms
        common |= {"norm_eps": eps, "small_grids": small_grids_of(report)}
        needed += ("norm_eps", "small_grids")
    complete(architecture, report, needed, told, statement, authors, common)


def complete(
    architecture: dict[str, Any],
    report: Report,
    needed: tuple[str, ...],
    told: dict[str, Any],
    statement: Statement,
    authors: Method,
    published: dict[str, Any],
) -> None:
    """Take each value that is needed from the first who says it, and report who that is."""
    places = {"image_size"} if "pos_embed" in report.used.values() else set()
    if places:
        said = "told" if "image_size" in told else f"stated by {statement.source}"
        stated = "image_size" in {**statement.values, **told}
        report.values["image_size"] = said if stated else "a square, as its positions may be"
    if foreign := sorted(set(told) - set(needed) - places):
        raise InputError(f"{foreign[0]} is nothing that this trunk has to be told")
    for name in needed:
        if name in architecture:
            for values in (told, statement.values):
                if values.get(name, architecture[name]) != architecture[name]:
                    raise InputError(
                        f"its weights show that {name} is {architecture[name]}, not {values[name]}"
                    )
            report.values[name] = "shown by the weights"
            continue
        for source, values in (
            ("told", told),
            (f"stated by {statement.source}", statement.values),
            (f"published by {authors.origin}", published),
        ):
            if values.get(name) is not None:
                architecture[name], report.values[name] = values[name], source
                break
    unknown = [name for name in needed if name not in architecture]
    if unknown:
        known = ", ".join(name for name, method in BY_NAME.items() if method.values)
        raise InputError(
            f"nothing in it tells its {', '.join(unknown)}; import it with --method (one of"
            f" {known}) or with --set {unknown[0]}=..."
        )


def check_resnet(report: Report, authors: Method) -> None:
    """Raise InputError for ResNets that may compute something else, and nothing tells."""
    everything = [*report.used, *report.ignored]
    if any(key.startswith("classifier.4.") for key in everything):
        raise InputError("it is a segmenter of torchvision, whose ResNet is dilated")
    if authors is UNKNOWN and any("res2." in key for key in report.used):
        raise InputError(
            "it has detectron2's names, and nothing tells whether its colours and strides are"
            " those of Caffe; if they are torchvision's, import it with --method"
        )


def small_grids_of(report: Report) -> str:
    """How a Swin treats grids no longer than a window, by whose names its weights have."""
    if any("features.1.0." in key for key in report.used):
        return "by side"  # torchvision
    dense = bool(set(EARLIER_NORMS.values()) & set(report.ignored.values()))
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

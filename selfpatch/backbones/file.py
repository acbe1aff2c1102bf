"""File -> weights and what they are: backbone files, training and published checkpoints."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from selfpatch.atomic import atomic_write
from selfpatch.backbones.checks import check_stored, check_weights, without_memory
from selfpatch.backbones.contents import (
    WEIGHTS,
    Contents,
    flat,
    read_folder,
    read_pickle,
    read_safetensors,
    statements_in,
)
from selfpatch.backbones.doors import fetched, from_torch_hub, is_elsewhere
from selfpatch.backbones.families import State
from selfpatch.backbones.fingerprint import fingerprint
from selfpatch.backbones.keys import Report
from selfpatch.backbones.lean import bytes_of, let_go, write_safetensors
from selfpatch.backbones.published import extract
from selfpatch.errors import InputError

SUMMARY = "summary."
"""What precedes the names of the aggregation head, beside those of the trunk."""

NOTE = "backbone._extra_state"
"""How a host's checkpoint ends the key below which one of our backbones says what it is."""

SEED = "randomness.seed"
"""What a recipe calls the seed; where it gives none, the run has drawn one."""


@dataclass(frozen=True)
class BackboneInfo:
    """What a backbone is and where it comes from.

    Attributes:
        architecture: What :func:`selfpatch.models.trunks.trunk_from` takes, every value of it.
        method: How it was trained, such as ``dino+selfpatch``; ``unknown`` if the file is silent.
        source: Name of the file the weights were read from.
        network: ``teacher`` or ``student``, where the run had both.
        recipe: The configuration of the training run, or an empty string.
        weights: SHA-256 of names, shapes and values of the weights.
        seed: Seed of the training run, if one is known.
        settings: Whatever else the weights depend on, by dotted name: the recipe, the images, the
            steps done. Two backbones that differ in nothing but the seed have equal ones. Empty
            where the file does not say.
    """

    architecture: dict[str, Any]
    method: str
    source: str
    network: str = ""
    recipe: str = ""
    weights: str = ""
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise TypeError for a value of another type, as a damaged file may have."""
        texts = (self.method, self.source, self.network, self.recipe, self.weights)
        mappings = (self.architecture, self.settings)
        if (
            not all(isinstance(text, str) for text in texts)
            or not all(isinstance(mapping, dict) for mapping in mappings)
            or not isinstance(self.seed, int | None)
        ):
            raise TypeError("a value of another type")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of weights and architecture: equal weights with other heads are another one."""
        return fingerprint(self.weights, self.architecture) if self.weights else ""

    def described(self) -> dict[str, Any]:
        """All of it but the recipe's text, in plain types, as results and checkpoints keep it."""
        described = {**asdict(self), "fingerprint": self.fingerprint}
        del described["recipe"]
        return described

    @classmethod
    def from_described(cls, described: dict[str, Any]) -> "BackboneInfo":
        """The inverse of :meth:`described`."""
        return cls(**{name: value for name, value in described.items() if name != "fingerprint"})


def digest(state: State) -> str:
    """SHA-256 over the names, shapes, types and values of a state dict, whatever its order."""
    found = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        found.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        found.update(bytes_of(value))
        let_go(value)
    return found.hexdigest()


def save_backbone(path: str | os.PathLike[str], state: State, info: BackboneInfo) -> BackboneInfo:
    """Write a backbone file atomically; returns ``info`` with the weights' fingerprint.

    The file is safetensors: weights under the names of the trunk's class, those of SelfPatch's
    aggregation head after ``summary.``, everything else as JSON in the header. Reading it runs no
    code.
    """
    info = replace(
        info,
        weights=digest(state),
        recipe=without_paths(info.recipe),
        settings=json.loads(without_paths(json.dumps(info.settings))),
    )
    with atomic_write(path) as file:
        write_safetensors(file, state, {"selfpatch": json.dumps(asdict(info))})
    return info


def without_paths(recipe: str) -> str:
    """A recipe in which only the last part of each local, absolute path is left."""
    return re.sub(r"""(?<=['"])(?:/|~/)[^'"\n]*?([^/'"\n]+)/*(?=['"])""", r"\1", recipe)


def read_backbone(
    path: str | os.PathLike[str], network: str = "teacher"
) -> tuple[State, BackboneInfo]:
    """Read a trunk's weights from whatever says what it holds, see :func:`read_file`."""
    return read_file(path, network)[:2]


def read_file(
    path: str | os.PathLike[str],
    network: str = "teacher",
    told: Mapping[str, Any] | None = None,
    method: str | None = None,
) -> tuple[State, BackboneInfo, Report]:
    """Read a trunk's weights, and say what became of every key of the file.

    Known are: backbone files, training checkpoints of this suite, models that were fine-tuned with
    it, and the checkpoints of the methods in :data:`selfpatch.backbones.methods.METHODS`, as
    PyTorch files, safetensors, pickles of arrays, or folders of Hugging Face and timm. No code of a
    file is run, see :mod:`selfpatch.backbones.pickles`.

    Args:
        path: The file or folder, or ``timm:NAME``, ``hf:ORG/NAME`` or ``hub:REPO:NAME``.
        network: ``teacher`` or ``student``, for files that hold both.
        told: Values of the architecture, such as ``num_heads``, for files that do not say.
        method: How it was trained, for files that do not say.

    Raises:
        InputError: The file is missing, is no checkpoint, holds no trunk of a known kind, does not
            say how it computes, or its weights are not those of the trunk it describes.
    """
    path = Path(path)
    if not path.exists() and not is_elsewhere(path):
        raise InputError(f"{path} does not exist; give a backbone file or a checkpoint")
    state, info, report = _read(path, network, told, method)
    check_weights(path, info.architecture, trunk_weights(state))
    return state, replace(info, weights=info.weights or digest(state)), report


def _read(
    path: Path, network: str, told: Mapping[str, Any] | None, method: str | None
) -> tuple[State, BackboneInfo, Report]:
    """What a file, a folder or something elsewhere holds, whatever kind it is of."""
    if str(path).startswith("hub:"):
        contents, known = from_torch_hub(str(path))
        return _read_foreign(path, contents, network, told, method or known)
    if is_elsewhere(path):
        contents = replace(read_folder(fetched(str(path))), name=str(path))
        return _read_foreign(path, contents, network, told, method)
    if path.is_dir():
        return _read_foreign(path, read_folder(path), network, told, method)
    size, stated = path.stat().st_size, {}
    if path.name in WEIGHTS:
        stated = statements_in(path.parent)
    if path.suffix == ".safetensors":
        state, metadata = read_safetensors(path)
        if "selfpatch" in metadata:
            check_nothing_told(path, told, method)
            info = _stated_info(path, state, metadata["selfpatch"])
            return state, info, Report(info.method, {name: name for name in state})
        contents = Contents(path.name, dict(state), stated, size)
        return _read_foreign(path, contents, network, told, method)
    content = read_pickle(path)
    if isinstance(content.get("selfpatch"), dict):
        check_nothing_told(path, told, method)
        return _read_own(path, content, network)
    contents = Contents(path.name, flat(content, path), stated, size)
    if any(key.endswith(NOTE) for key in contents.values):
        check_nothing_told(path, told, method)
        return _read_finetuned(path, contents)
    return _read_foreign(path, contents, network, told, method)


def check_nothing_told(path: Path, told: Mapping[str, Any] | None, method: str | None) -> None:
    """Raise InputError for whatever is told of a file that states everything itself."""
    if told or method:
        raise InputError(f"{path} says itself what it is; leave out --method and --set")


def trunk_weights(state: State) -> State:
    """The trunk's part of what a file holds."""
    return {name: value for name, value in state.items() if not name.startswith(SUMMARY)}


def _stated_info(path: Path, state: State, header: str) -> BackboneInfo:
    """What a backbone file says of its weights."""
    try:
        info = BackboneInfo(**json.loads(header))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} has a header this version cannot read ({error})") from None
    if digest(state) != info.weights:
        raise InputError(f"{path} is damaged: its weights do not have the SHA-256 it states")
    return info


def _read_own(
    path: Path, content: dict[str, Any], network: str
) -> tuple[State, BackboneInfo, Report]:
    """A training checkpoint; the aggregation head's norm becomes the trunk's."""
    own, trunk = content["selfpatch"], {}
    prefixes = {
        f"{network}.trunk.": "",
        f"{network}.aggregation_head.norm.": "norm.",
        f"{network}.aggregation_head.": SUMMARY,
    }
    try:
        report = Report(own["method"])
        check_stored(path, content["state_dict"], path.stat().st_size)
        for key, value in content["state_dict"].items():
            prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
            if prefix is None:
                report.ignored[key] = "head, other network or state of a loss"
            elif not torch.is_tensor(value):
                raise TypeError(f"{key} is no tensor")
            else:
                report.used[key] = prefixes[prefix] + key.removeprefix(prefix)
                trunk[report.used[key]] = value
        architecture = {**own["architecture"], "final_norm": "norm.weight" in trunk}
        info = BackboneInfo(
            architecture, own["method"], path.name, network, own["recipe"], **run_of(content)
        )
    except (KeyError, TypeError, AttributeError, ValueError, ZeroDivisionError) as error:
        raise InputError(f"{path} is no training checkpoint of this version ({error!r})") from None
    return trunk, info, report


def run_of(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """``seed`` and ``settings`` of the run that a training checkpoint is of, as far as it says."""
    own, meta = checkpoint["selfpatch"], checkpoint.get("meta", {})
    if not own.get("settings"):
        return {}
    settings = {name: value for name, value in own["settings"].items() if name != SEED}
    settings["steps"] = meta["iter"] // own["accumulative_counts"]
    return {"seed": meta["seed"], "settings": json.loads(json.dumps(settings))}


def _read_finetuned(path: Path, contents: Contents) -> tuple[State, BackboneInfo, Report]:
    """The trunk of a detector or segmenter that was trained with a backbone of this suite.

    Blocks and the norm that no level of its pyramid needed are not there.
    """
    note = next(key for key in contents.values if key.endswith(NOTE))
    prefix = f"{note.removesuffix(NOTE)}backbone.trunk."
    report, state = Report(""), {}
    for key, value in contents.values.items():
        if key.startswith(prefix) and torch.is_tensor(value):
            report.used[key] = key.removeprefix(prefix)
            state[report.used[key]] = value
        else:
            report.ignored[key] = "lies beside the trunk"
    check_stored(path, state, contents.size)
    try:
        info = BackboneInfo.from_described(json.loads(bytes(contents.values[note].tolist())))
        architecture = {**info.architecture, "final_norm": "norm.weight" in state}
        if "depth" in architecture and architecture["family"] == "vit":
            architecture["depth"] = sum(name.endswith(".norm1.weight") for name in state)
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise InputError(f"{path} does not say what its backbone is ({error!r})") from None
    report.method = f"{info.method}, fine-tuned"
    whole = without_memory(path, architecture, len(state)).architecture
    return state, BackboneInfo(whole, report.method, path.name), report


def _read_foreign(
    path: Path,
    contents: Contents,
    network: str,
    told: Mapping[str, Any] | None,
    method: str | None,
) -> tuple[State, BackboneInfo, Report]:
    """The trunk in somebody else's file or folder."""
    check_stored(path, contents.values, contents.size)
    try:
        trunk, architecture, report = extract(contents, network, told, method)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from None
    # What the weights do not tell, too.
    whole = without_memory(path, architecture, len(trunk)).architecture
    return trunk, BackboneInfo(whole, report.method, contents.name, report.network), report

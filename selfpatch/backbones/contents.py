"""A file or folder that somebody else wrote -> every value in it, and what it states of itself.

Read are PyTorch files, safetensors, pickles of numpy arrays (detectron2) and the folders of Hugging
Face and timm, whose weights may lie in several files. No code of a file is run.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from torch import Tensor

from selfpatch.backbones.pickles import unpickle, unpickle_arrays
from selfpatch.backbones.torchscript import is_torchscript, read_torchscript
from selfpatch.errors import InputError

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors",
           "open_clip_pytorch_model.bin")  # fmt: skip
"""Names of the weights in a folder; ``NAME.index.json`` lists the parts of one in several files."""

STATEMENTS = ("config.json", "preprocessor_config.json", "open_clip_config.json")
"""Files of a folder that say what the weights do not."""

BESIDE_WEIGHTS = (
    "optimizer", "optimizers", "opt", "lr_scheduler", "scheduler", "scaler", "fp16_scaler", "amp"
)  # fmt: skip
"""Entries of a checkpoint whose values are of no concern, and not looked into."""

MOST_LEVELS = 8
"""How deep containers may lie within one another."""


@dataclass(frozen=True)
class Contents:
    """What a file or folder holds.

    Attributes:
        name: Of the file or folder.
        values: Key -> value; keys of containers within containers are joined by dots.
        stated: Name of a file of statements -> its JSON.
        size: Bytes of the weights' files.
    """

    name: str
    values: dict[str, Any]
    stated: dict[str, dict[str, Any]] = field(default_factory=dict)
    size: int = 0


def read_folder(folder: Path) -> Contents:
    """What a folder of Hugging Face's or timm's holds.

    Raises:
        InputError: It holds no weights, or not all of them, or only a part to be added to others.
    """
    if (folder / "adapter_config.json").is_file():
        raise InputError(
            f"{folder} holds an adapter (LoRA), which is no model by itself; merge it into its"
            " model with peft's merge_and_unload() and save that"
        )
    stated = statements_in(folder)
    files = weight_files(folder)
    values: dict[str, Any] = {}
    for file in files:
        values |= read_values(file)
    return Contents(folder.name, values, stated, sum(file.stat().st_size for file in files))


def statements_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Name of each file of statements in a folder -> its JSON."""
    stated = {name: read_json(folder / name) for name in STATEMENTS if (folder / name).is_file()}
    if "quantization_config" in stated.get("config.json", {}):
        raise InputError(f"{folder} holds quantised weights; fetch the model in full precision")
    return stated


def weight_files(folder: Path) -> list[Path]:
    """The files of a folder that hold its weights."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            return parts_of(index)
    raise InputError(f"{folder} holds no weights; expected one of {', '.join(WEIGHTS)}")


def parts_of(index: Path) -> list[Path]:
    """The files that an index lists."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError(f"{index} lists no weights; fetch it again")
    files = [index.parent / Path(str(name)).name for name in dict.fromkeys(weight_map.values())]
    for file in files:
        if not file.is_file():
            raise InputError(f"{file} is missing, which {index.name} lists; fetch it, too")
    return files


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object."""
    try:
        content = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}); fetch it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__} instead of a JSON object")
    return content


def read_values(path: Path) -> dict[str, Any]:
    """Key -> value of one file of weights."""
    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    return flat(read_pickle(path), path)


def read_pickle(path: Path) -> dict[str, Any]:
    """A checkpoint's dict, whether PyTorch or pickle itself has written it."""
    if path.suffix == ".pkl" and not zipfile.is_zipfile(path):
        return unpickle_arrays(path)
    return read_torchscript(path) if is_torchscript(path) else unpickle(path)


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights and metadata of a safetensors file."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return weights, file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is not a complete safetensors file ({error}); fetch it again"
        ) from None


def flat(content: Mapping[Any, Any], path: Path) -> dict[str, Any]:
    """Containers within containers -> one dict, keys joined by dots, arrays as tensors."""
    return dict(_flat(content, "", path, 1))


def _flat(
    content: Mapping[Any, Any], prefix: str, path: Path, level: int
) -> Iterator[tuple[str, Any]]:
    if level > MOST_LEVELS:
        raise InputError(f"{path} holds containers within containers without an end")
    for key, value in content.items():
        if isinstance(value, np.ndarray):
            yield f"{prefix}{key}", torch.from_numpy(value)
        elif isinstance(value, Mapping) and value and str(key) not in BESIDE_WEIGHTS:
            yield from _flat(value, f"{prefix}{key}.", path, level + 1)
        else:
            yield f"{prefix}{key}", value

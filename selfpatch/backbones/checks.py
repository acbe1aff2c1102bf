"""Weights, and the trunk that a file says they are of -> a sentence if they do not fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfpatch.backbones.families import State
from selfpatch.backbones.lean import let_go
from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk, trunk_from


def check_weights(path: Path, architecture: dict[str, Any], weights: State) -> None:
    """Refuse weights that are not those of the trunk that their file describes, or no numbers."""
    wanted = without_memory(path, architecture, len(weights)).state_dict()
    for name, value in weights.items():
        numbers = value.is_floating_point() and value.itemsize > 1
        if name in wanted and wanted[name].is_floating_point() and not numbers:
            raise InputError(
                f"{path} holds {name} as {value.dtype}: its weights are quantised; fetch the model"
                " in full precision"
            )
    if problems := misfit(weights, wanted):
        raise InputError(f"{path} does not fit the trunk that it describes: {problems}")
    wrong = [name for name, value in weights.items() if not is_finite(value)]
    if wrong:
        raise InputError(
            f"{path} holds weights that are infinite or no numbers, in {wrong[0]} and"
            f" {len(wrong) - 1} others; take an earlier checkpoint of that run"
        )


def is_finite(value: Tensor) -> bool:
    """Whether a weight holds numbers only, none of them infinite."""
    finite = not value.is_floating_point() or bool(value.isfinite().all())
    let_go(value)
    return finite


def without_memory(path: Path, architecture: dict[str, Any], num_weights: int) -> Trunk:
    """The trunk that a file describes, without memory for its weights.

    It is built only if it is no deeper than there are weights: a small file may state any depth.
    """
    try:
        depths = architecture.get("depths", architecture.get("depth", 0))
        depth = int(np.sum(depths))
        if depth > num_weights:
            raise ValueError(f"{depth} blocks, and {num_weights} weights")
        with torch.device("meta"):
            trunk = trunk_from(architecture)
        shares = np.array([trunk.mean, trunk.std], dtype=float)
        if (
            shares.shape != (2, 3)
            or not ((shares >= 0) & (shares <= 1)).all()
            or not min(trunk.std)
        ):
            raise ValueError(f"mean {trunk.mean} and std {trunk.std}, which are three shares of 1")
        if not 0 < (eps := trunk.architecture.get("norm_eps", 1e-6)) < 1:
            raise ValueError(f"norm_eps {eps}")
    except Exception as error:  # whatever a constructor does with values of any kind
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path} describes no trunk that can be built ({reason[:200]})") from None
    return trunk


def check_stored(path: Path, state: Mapping[str, Any], size: int) -> None:
    """Refuse weights far larger than their ``size`` in bytes: one number stands for many in them.

    A few may lie there once and have several names.
    """
    tensors = {name: value for name, value in state.items() if torch.is_tensor(value)}
    for name, value in tensors.items():
        plain = value.layout == torch.strided and not (value.is_meta or value.is_quantized)
        if not plain or value.is_complex():
            raise InputError(f"{path} holds {name} as {value.type()}, not as plain numbers")
    stored = sum(value.nbytes for value in tensors.values())
    if stored > 4 * size:
        raise InputError(f"{path} of {size:,} bytes states weights of {stored:,}; save it anew")


def misfit(given: State, wanted: State, most: int = 8) -> str:
    """What is missing, left over or of another shape, the first few; nothing if all fits."""
    problems = [f"missing {name}" for name in wanted if name not in given]
    problems += [f"left over {name}" for name in given if name not in wanted]
    problems += [
        f"{name} is {tuple(given[name].shape)} instead of {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    more = [f"and {len(problems) - most} more"] if len(problems) > most else []
    return "; ".join(problems[:most] + more)

"""A PyTorch file -> the tensors and containers in it, without running what else it may hold."""

import argparse
import os
import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

from selfpatch.errors import InputError

HARMLESS: list[Any] = [
    argparse.Namespace,
    (OrderedDict, "yacs.config.CfgNode"),
    *(
        (kind, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")  # until Python 3.12, and since
        for name, kind in (("PosixPath", PurePosixPath), ("WindowsPath", PureWindowsPath))
    ),
    # How numpy pickles an array, and a scalar: functions and types of its own.
    *(np.array(0).__reduce__()[0], np.float64(0).__reduce__()[0], np.ndarray, np.dtype),
    *{type(np.dtype(kind)) for kind in "?bhilqBHILQefdSU"},
]
"""What a pickle may hold beside tensors and containers: a training script's arguments, with paths
among them, the configuration that Swin's and MoBY's code stores, which is read as a plain dict,
without yacs, and numpy's arrays."""


class Unread:
    """Stands for an object of which nothing is wanted, whatever it is made with."""

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        """Forget it."""


PASSED_OVER: list[Any] = [
    (Unread, f"{module}.{name}")
    for module, name in (
        ("mmengine.logging.history_buffer", "HistoryBuffer"),
        ("builtins", "getattr"),  # a buffer keeps its own methods by name
        ("builtins", "slice"),
        ("omegaconf.dictconfig", "DictConfig"),
    )
]
"""What mmengine's checkpoints and others hold beside weights, of which an import reads nothing."""


def unpickle(
    path: str | os.PathLike[str], map_location: Any = "cpu", allowed: list[Any] | None = None
) -> dict[str, Any]:
    """Read a checkpoint's dict.

    Args:
        path: A file that ``torch.save`` wrote.
        map_location: As in ``torch.load``.
        allowed: Types that may stand in it beside tensors and plain containers; those that an
            import knows, if left out.

    Raises:
        InputError: It holds anything else, is not whole, or is no PyTorch file.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; give a checkpoint")
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6):
        raise InputError(f"{path} can be read with torch 2.6 or newer only; export it there first")
    check_packing(path)
    try:
        with (
            torch.serialization.safe_globals(allowed or [*HARMLESS, *PASSED_OVER]),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # of pickles that are then refused
            mapped = None if map_location != "cpu" else zipfile.is_zipfile(path)
            content = torch.load(path, map_location, weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        blocked = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it wants to run {blocked[1]}" if blocked else "no tensors can be read from it"
        raise InputError(f"{path} is not a safe checkpoint: {reason}") from None
    except Exception as error:  # a damaged pickle leads torch's reader to errors of any kind
        if isinstance(error, OSError) and error.filename:  # the machine's
            raise
        raise InputError(f"{path} is no PyTorch file, or not all of one; fetch it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__} instead of a checkpoint's dict")
    return content


def unpickle_arrays(path: str | os.PathLike[str], what: str = "checkpoint") -> dict[str, Any]:
    """Read a plain pickle of numpy arrays, as detectron2's converters write it.

    Args:
        path: The file.
        what: What it ought to be, for the sentence that says that it is not.

    Raises:
        InputError: It holds anything else, or is not whole.
    """
    try:
        with open(path, "rb") as file:
            content = ArrayUnpickler(file, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        reason = str(error) if "wants to run" in str(error) else "it is no whole pickle"
        raise InputError(f"{path} is not a safe {what}: {reason}") from None
    except Exception as error:  # as above
        if isinstance(error, OSError) and error.filename:
            raise
        raise InputError(f"{path} is no pickle, or not all of one; fetch it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__} instead of a {what}'s dict")
    return content


def empty_array(kind: Any, shape: Any, code: Any) -> np.ndarray:
    """An array that its pickled state then fills; whatever shape is claimed, it takes no memory."""
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def encoded(text: str, encoding: str) -> bytes:
    """Bytes as pickles for Python 2 spell them."""
    return text.encode("latin1")


class ArrayUnpickler(pickle.Unpickler):
    """Takes numpy's arrays and numbers, and nothing else that is made by calling something."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may call, by the names that numpy has given it over time."""
        known = {
            "multiarray._reconstruct": empty_array,
            "multiarray.scalar": np.float64(0).__reduce__()[0],
            "numpy.ndarray": object,  # the argument of the first, which does not look at it
            "numpy.dtype": np.dtype,
            "_codecs.encode": encoded,
            "collections.OrderedDict": OrderedDict,
        }
        short = re.sub(r"^numpy\.(_?core)\.", "", f"{module}.{name}")
        if short not in known:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}")
        return known[short]


def check_packing(path: str | os.PathLike[str]) -> None:
    """Raise InputError for a compressed archive, which may be a bomb: ``torch.save`` packs none."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            packed = any(entry.compress_type for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        # torch is less strict, and would unpack what cannot be looked into.
        raise InputError(f"{path} is no PyTorch file, or not all of one; fetch it again") from None
    if packed:
        raise InputError(f"{path} is a compressed archive; save it again with torch.save")


def run_no_code_of_checkpoints() -> None:
    """Let mmengine read files with :func:`unpickle`; it would run what is planted in them.

    What the hosts' own checkpoints hold is allowed by name. PyTorch is told the same for whatever
    else loads a file in this process, such as mmengine's downloads.
    """
    from mmengine.logging import HistoryBuffer
    from mmengine.runner import CheckpointLoader

    def statistic(owner: Any, name: str) -> Any:
        """The only use of ``getattr`` in these files: a buffer keeps its own methods by name."""
        if owner is not HistoryBuffer or name not in vars(HistoryBuffer):
            raise pickle.UnpicklingError("GLOBAL builtins.getattr")
        return getattr(owner, name)

    allowed = [*HARMLESS, slice, HistoryBuffer, (statistic, "builtins.getattr")]

    def load_from_local(filename: str, map_location: Any = None) -> dict[str, Any]:
        return unpickle(os.path.expanduser(filename), map_location, allowed)

    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    CheckpointLoader.register_scheme(prefixes="", loader=load_from_local, force=True)

"""A TorchScript archive -> its weights, without the code in it, which is what OpenAI's CLIP is."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from selfpatch.errors import InputError

STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


class Module:
    """Stands for a module of an archive: its attributes, and none of its methods."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive with code in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Every weight and buffer of an archive's module, by its dotted name.

    Raises:
        InputError: It is not whole, or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            (pickled,) = (n for n in names if n.count("/") == 1 and n.endswith("/data.pkl"))
            with archive.open(pickled) as file:
                return weights_of(ModuleUnpickler(file, archive, pickled.split("/")[0]).load())
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} is not a safe checkpoint: {error}") from None
    except Exception as error:  # a damaged archive leads to errors of any kind
        if isinstance(error, OSError) and error.filename:
            raise
        raise InputError(f"{path} is no TorchScript archive, or not all of one") from None


def weights_of(module: Any, prefix: str = "") -> dict[str, Tensor]:
    """The tensors among a module's attributes, and among those of the modules in it."""
    found: dict[str, Tensor] = {}
    for name, value in vars(module).items():
        if isinstance(value, Module):
            found |= weights_of(value, f"{prefix}{name}.")
        elif torch.is_tensor(value):
            found[f"{prefix}{name}"] = value
    return found


class ModuleUnpickler(pickle.Unpickler):
    """Takes modules, tensors and plain values; calls nothing else."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may call."""
        if module.startswith("__torch__"):
            return Module
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if module == "torch.jit._pickle":  # lists of numbers and of other things
            return list
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuilt
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        raise pickle.UnpicklingError(f"it wants to run {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        """A storage, as a tensor of one dimension; archives keep those as they are."""
        _, dtype, key, _, count = pid
        entry = self.archive.getinfo(f"{self.root}/data/{key}")
        if entry.compress_type:
            raise pickle.UnpicklingError("its weights are compressed")
        stored = bytearray(self.archive.read(entry))
        return torch.frombuffer(stored, dtype=dtype) if count else torch.empty(0, dtype=dtype)


def rebuilt(storage: Tensor, offset: int, shape: Any, stride: Any, *_: Any) -> Tensor:
    """A tensor of a part of a storage."""
    return storage.as_strided(shape, stride, offset)

"""Weights mapped from a file -> read and written without all of them in memory at once."""

import ctypes
import json
from typing import IO

import torch
from torch import Tensor

DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"""What safetensors call a type of numbers."""

MADV_PAGEOUT = 21
"""Linux's advice to keep pages elsewhere: a mapped file's are read again when they are needed. What
lies in no file stays where it is, and other systems do not know it: nothing is ever lost."""


def bytes_of(value: Tensor) -> memoryview:
    """The bytes of a tensor, copied only if they do not lie in a row."""
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def let_go(value: Tensor) -> None:
    """Keep a tensor that was read from a mapped file out of memory until it is needed again."""
    page = 4096
    start = -(-value.data_ptr() // page) * page
    length = value.data_ptr() + value.nbytes - start
    if value.device.type == "cpu" and length > page:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), MADV_PAGEOUT)


def write_safetensors(
    file: IO[bytes], weights: dict[str, Tensor], metadata: dict[str, str]
) -> None:
    """Write what ``safetensors.torch.save`` makes of weights, one after the other.

    That function makes two copies of all of them before it writes the first.
    """
    order = sorted(weights, key=lambda name: (-weights[name].itemsize, name))
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name in order:
        start, end = end, end + weights[name].nbytes
        dtype = DTYPES[weights[name].dtype]
        shape = list(weights[name].shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        file.write(bytes_of(weights[name]))
        let_go(weights[name])

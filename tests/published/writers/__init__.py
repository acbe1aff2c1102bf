"""One function per layout that writes its file with its authors' code; registered by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Writer:
    """A function that writes one layout's file with its authors' code.

    Attributes:
        name: See :class:`tests.published.Written`.
        repository: ``owner/name``, put first on the module path; or the name of a package.
        write: Folder to write to -> the network, its tokens, sizes and what is known of the file.
    """

    name: str
    repository: str
    write: Callable[[Path], dict[str, Any]]


WRITERS: dict[str, Writer] = {}


def writer(name: str, repository: str) -> Callable[[Callable[[Path], dict[str, Any]]], Any]:
    """Register a function as the writer of a layout."""

    def register(write: Callable[[Path], dict[str, Any]]) -> Any:
        WRITERS[name] = Writer(name, repository, write)
        return write

    return register


def output_of(forward: Callable[[Tensor], Any], part: nn.Module) -> Callable[[Tensor], Tensor]:
    """Images -> what a part of a network returns when the network's forward function runs."""
    found: list[Tensor] = []
    part.register_forward_hook(lambda module, given, result: found.append(result))

    def output(images: Tensor) -> Tensor:
        found.clear()
        forward(images)
        return found[-1]

    return output

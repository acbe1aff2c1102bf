"""What a check found, and what every check needs: folders, counts, samples of images."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from selfpatch.data import images as image_files
from selfpatch.data.images import EXTENSIONS, read_image
from selfpatch.errors import InputError

SAMPLES = 48
"""Images per folder that are decoded, spread evenly over it."""

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        level: ``error`` where a run would fail or be worth nothing, else ``note``.
        text: What was found; for an error, with the remedy.
    """

    level: str
    text: str


Findings = Iterator[Finding]


def error(text: str) -> Finding:
    """Something that would spoil a run."""
    return Finding("error", text)


def note(text: str) -> Finding:
    """Something to know that spoils nothing."""
    return Finding("note", text)


def counted(what: str, found: int, official: int) -> Finding:
    """Say how much there is; less than the official data set is fine for a trial only."""
    if found == official:
        return note(f"{found:,} {what}, as in the official data set")
    return note(
        f"{found:,} {what}; the official data set has {official:,}, and published numbers need it"
    )


def some_of(names: Iterable[str], shown: int = 3) -> str:
    """The first names, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def sample(things: Sequence[T], number: int = SAMPLES) -> list[T]:
    """At most ``number`` of ``things``, spread evenly, the first and the last among them."""
    if len(things) <= number:
        return list(things)
    last = len(things) - 1
    return [things[index * last // max(number - 1, 1)] for index in range(number)]


def image_names(folder: Path) -> list[str]:
    """Names of the image files that lie directly in ``folder``, sorted; not the hidden ones."""
    with os.scandir(folder) as entries:
        names = (entry.name for entry in entries)
        return sorted(n for n in names if n.lower().endswith(EXTENSIONS) and n[:2] != "._")


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in ``folder``, sorted; hidden ones are left out."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def missing_folder(root: Path, inner: str) -> Finding | None:
    """Say that ``root/inner`` is missing; name the folder that was meant, if one below has it."""
    if (root / inner).is_dir():
        return None
    meant = [name for name in subfolders(root) if (root / name / inner).is_dir()]
    if meant:
        return error(f"{root} has no {inner}, but {root / meant[0]} has: give that folder")
    return error(f"{root / inner} does not exist; unpack it there (docs/data.md)")


def undecodable(paths: Sequence[Path]) -> Findings:
    """An error for each of a sample of ``paths`` that is no whole image."""
    for path in sample(paths):
        try:
            read_image(path)
        except InputError as problem:
            yield error(str(problem))


def size_of(path: Path) -> tuple[int, int] | None:
    """(height, width) as the file's header says, or None if it says nothing."""
    try:
        return image_files.size_of(path)
    except InputError:
        return None

"""Masks on disk -> whether they are all there, and made of the same frames, masks and settings."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from davis_eval.masks import read_mask
from davis_eval.sequences import Sequence
from davis_eval.settings import Settings
from selfpatch.atomic import atomic_write
from selfpatch.backbones.file import BackboneInfo
from selfpatch.errors import InputError


@dataclass(frozen=True)
class Stamp:
    """What a video's masks were made of, kept beside them.

    Attributes:
        fingerprint: The backbone's, which covers weights and architecture.
        inputs: SHA-256 of the frames' names and sizes in bytes and of the given masks' content.
        settings: Settings of features and propagation.
    """

    fingerprint: str
    inputs: str
    settings: Settings

    def content(self) -> dict[str, Any]:
        """The stamp as it comes back from JSON."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content


@dataclass(frozen=True)
class Finished:
    """How it went with a video whose masks are all there.

    Attributes:
        seconds: Seconds that the masks took.
        too_small: Names of the objects that won no patch.
    """

    seconds: float
    too_small: tuple[str, ...] = ()


def stamp(sequence: Sequence, info: BackboneInfo, settings: Settings) -> Stamp:
    """The stamp of this video, backbone and settings."""
    found = hashlib.sha256()
    for frame in sequence.frames:
        found.update(f"{frame.name} {frame.stat().st_size};".encode())
    for mask in sequence.starts:
        found.update(mask.name.encode() + mask.read_bytes())
    return Stamp(info.fingerprint, found.hexdigest(), settings)


def find_finished(out: Path, sequence: Sequence, wanted: Stamp) -> Finished | None:
    """What is noted beside these masks; None if they are not all there or not made of this.

    A mask that cannot be read is not there.
    """
    try:
        found = json.loads((out / sequence.name / "finished.json").read_text())
        noted = Finished(float(found.pop("seconds")), tuple(map(str, found.pop("too_small"))))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    if found != wanted.content():
        return None
    try:
        for path in sequence.results(out):
            read_mask(path)
    except InputError:
        return None
    return noted


def mark_finished(out: Path, sequence: Sequence, made_of: Stamp, finished: Finished) -> None:
    """Note beside the masks what they were made of, and how that went."""
    with atomic_write(out / sequence.name / "finished.json", "w") as file:
        json.dump({**made_of.content(), **asdict(finished)}, file)

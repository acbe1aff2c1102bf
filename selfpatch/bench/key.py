"""A job's command and given files -> what tells it from another, wherever its work dir lies."""

import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import safetensors


def portable(work_dir: Path, part: Any) -> Any:
    """A command or variables, with the work dir's own path as a dot."""
    if isinstance(part, dict):
        return {name: portable(work_dir, value) for name, value in part.items()}
    if isinstance(part, list):
        return [portable(work_dir, value) for value in part]
    return re.sub(rf"(^|=){re.escape(str(work_dir))}(?=/|$)", r"\g<1>.", part)


def content_of(path: Path) -> str:
    """What tells a file from another: its text, what its header says, or its size and time."""
    if path.is_dir():
        listed = [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in sorted(path.iterdir())]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    facts = path.stat()
    if facts.st_size < 2**16:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with contextlib.suppress(OSError, safetensors.SafetensorError):
        if stated := header_of(path):
            return stated
    return f"{facts.st_size} {facts.st_mtime_ns}"


def header_of(path: Path) -> str:
    """What a backbone file says of its weights; nothing if it is someone else's."""
    with safetensors.safe_open(path, framework="np") as file:
        stated = file.metadata()
    return json.dumps(stated, sort_keys=True) if stated and "selfpatch" in stated else ""

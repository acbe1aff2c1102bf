"""setuptools' build backend, and two files more: what gives mmcv its operators at start-up.

A wheel of setuptools cannot hold a ``.pth`` file, which is what Python reads when it starts.
Both kinds of wheel, for ``pip install .`` and for an editable install, get one here.
"""

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 (the hooks that stay as they are)

STARTUP = Path(__file__).parents[1] / "selfpatch" / "hosts" / "startup.py"


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Name of the wheel built in ``wheel_directory`` (PEP 517)."""
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    add_startup(Path(wheel_directory, name))
    return name


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Name of the editable wheel built in ``wheel_directory`` (PEP 660)."""
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    add_startup(Path(wheel_directory, name))
    return name


def add_startup(wheel: Path) -> None:
    """Write the wheel anew with the start-up module, its ``.pth`` file and their records."""
    added = {
        "selfpatch_startup.py": STARTUP.read_bytes(),
        "selfpatch_startup.pth": b"import selfpatch_startup\n",
    }
    partial = wheel.with_suffix(".partial")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                content += "".join(record(*item) for item in added.items()).encode()
            new.writestr(entry, content)
        for name, content in added.items():
            new.writestr(name, content)
    partial.replace(wheel)


def record(name: str, content: bytes) -> str:
    """A file's line in the wheel's RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"

"""pins.txt -> requirement lines."""

import re
from pathlib import Path

BUILD_TOOLS = ("pip", "setuptools", "wheel", "ninja", "packaging", "psutil")


def read(file: Path) -> list[str]:
    """Every requirement line, markers included, without comments."""
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return [line for line in lines if line]


def name(line: str) -> str:
    """``onedl-mmcv==2.3.6`` -> ``onedl-mmcv``."""
    return line.partition("==")[0].strip()


def version(lines: list[str], wanted: str) -> str:
    """The pinned version of one distribution that has no marker."""
    match = next(re.match(r"\S+==(\S+)$", line) for line in lines if name(line) == wanted)
    assert match is not None, f"{wanted} must be pinned without a marker"
    return match[1]

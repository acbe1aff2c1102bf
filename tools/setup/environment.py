"""The folder .venv: created, looked at, filled, stamped."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.setup import machine, pins
from tools.setup.console import SetupError
from tools.setup.process import child_environment, run

INPUTS = ("pins.txt", "setup.cfg", "tools/setup/*.py")
STAMP = "setup.json"
PACKAGE = "selfpatch"


@dataclass
class Inspection:
    """What :mod:`tools.setup.verify` found: requirements to install, folders to drop first."""

    missing: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Environment:
    """The project's virtual environment.

    Args:
        root: The project's folder; the environment is its ``.venv``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self.log = self.folder / "setup.log"
        self.pins = pins.read(root / "pins.txt")
        self.wanted = [*self.pins, PACKAGE]

    def stamp(self) -> dict[str, Any]:
        """What a finished set-up depends on; a difference means that there is work to do."""
        digest = hashlib.sha256()
        for pattern in INPUTS:
            for file in sorted(self.root.glob(pattern)):
                digest.update(file.read_bytes())
        return {
            "inputs": digest.hexdigest(),
            "python": [sys.version, sys.base_prefix],
            "project": str(self.root),
            "gpu_and_nvcc": machine.has_gpu_and_nvcc(),
        }

    def is_stamped(self) -> bool:
        """Whether a set-up with the present inputs came to its end here."""
        try:
            return json.loads((self.folder / STAMP).read_text()) == self.stamp()
        except (OSError, ValueError):
            return False

    def write_stamp(self) -> None:
        """Say, last and in one move, that everything is installed and was tried."""
        partial = self.folder / f"{STAMP}.partial"
        partial.write_text(json.dumps(self.stamp(), indent=1))
        partial.replace(self.folder / STAMP)

    def remove_stamp(self) -> None:
        """From here on an interruption leaves no stamp behind."""
        (self.folder / STAMP).unlink(missing_ok=True)

    def inspect(self) -> Inspection | None:
        """What is missing or broken; None where there is no environment of this Python at all."""
        command = [str(self.python), "-I", str(self.root / "tools/setup/verify.py"), *self.wanted]
        try:
            result = subprocess.run(
                command, capture_output=True, check=True, env=child_environment({})
            )
            report = json.loads(result.stdout)
        except (OSError, ValueError, subprocess.CalledProcessError):
            return None
        if report.pop("python") != [sys.version, sys.base_prefix]:
            return None
        found = Inspection(**report)
        return None if any(Path(path).name.startswith("pip-") for path in found.broken) else found

    def create(self) -> None:
        """Start from an empty environment."""
        if self.folder.is_symlink():
            self.folder.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)
        base = getattr(sys, "_base_executable", sys.executable)
        self.folder.mkdir()
        run([base, "-m", "venv", str(self.folder)], self.log)

    def drop(self, broken: list[str]) -> None:
        """Forget half-installed packages, so that pip installs them anew over their remains."""
        for path in map(Path, broken):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def pip(self, *arguments: str, **environment: str) -> None:
        """Run the environment's pip; large temporary files go into the environment's disk."""
        temporary = self.folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        options = ["--disable-pip-version-check", "--no-input", "--no-color"]
        command = [str(self.python), "-m", "pip", *options, *arguments]
        try:
            run(command, self.log, {"TMPDIR": str(temporary), **environment})
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def install(self, *arguments: str) -> None:
        """``pip install`` what is named, without resolving: the pins are complete."""
        self.pip("install", "--progress-bar=off", "--no-deps", "--no-build-isolation", *arguments)

    def evaluate(self, code: str, failure: str) -> str:
        """Standard output of a few lines run by the environment's Python.

        Raises:
            SetupError: They failed; the sentence is ``failure`` and the last line of the error.
        """
        command = [str(self.python), "-c", code]
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=child_environment({}),
            cwd=self.folder,
        )
        if result.returncode:
            last = (result.stderr.strip().splitlines() or [f"status {result.returncode}"])[-1]
            raise SetupError(f"{failure} ({last})")
        return result.stdout


def user_cache() -> Path:
    """Where things that outlive a clone are kept: ``$XDG_CACHE_HOME/selfpatch``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "selfpatch"

"""A step: a command that a user would type, what it needs and what it leaves."""

import hashlib
import json
import shlex
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes:
        name: What it does, in a few words; unique.
        command: The arguments after ``python``, as a user would type them.
        folder: Folder it writes to; emptied before the command runs.
        output: The file that it must leave.
        inputs: Files and folders that its result depends on.
        after: Names of the steps that have to be finished first.
        environment: Variables to set for the command.
        expected: Seconds it should take beside another one on two cores; for the estimate.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    output: Path
    inputs: tuple[Path, ...] = ()
    after: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    expected: float = 1.0

    @property
    def log(self) -> Path:
        """Everything the command prints."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def record(self) -> Path:
        """Which inputs the step is finished for, and how long it took."""
        return self.folder.with_name(f"{self.folder.name}.done.json")

    @property
    def typed(self) -> str:
        """The command line."""
        variables = "".join(f"{name}={shlex.quote(value)} " for name, value in self.environment)
        return variables + shlex.join(("python", *self.command))

    def key(self) -> str:
        """SHA-256 of the command and of all inputs."""
        digest = hashlib.sha256(self.typed.encode())
        for path in self.inputs:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    digest.update(f"{file} {identity(file)}".encode())
        return digest.hexdigest()

    def finished_seconds(self) -> float | None:
        """How long it took, if it is finished for exactly these inputs; else None."""
        try:
            record = json.loads(self.record.read_text())
        except (OSError, ValueError):
            return None
        current = self.output.exists() and record.get("key") == self.key()
        return float(record["seconds"]) if current else None


def identity(file: Path) -> str:
    """What changes when a file does: its content if it is small, else its size and time."""
    facts = file.stat()
    if facts.st_size < 2**16:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{facts.st_size} {facts.st_mtime_ns}"


@dataclass
class Running:
    """A step's process, when it began, and the key of the inputs as they were then."""

    step: Step
    key: str
    process: BaseProcess
    began: float

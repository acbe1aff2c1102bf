"""Python programs as processes of their own that need not import everything again.

Most of what a command takes is importing torch. A :class:`Parent` has imported it, and
runs each program in a fork of itself: with arguments, folder, environment and output of its own,
and nothing that another program left. What a fork cannot show is that a program starts from
nothing; for each command there is a test with :func:`subprocess.run`, too.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import ROOT


@dataclass
class Done:
    """What a program left; as :class:`subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


class Program:
    """One that was started; it leads a session of processes."""

    def __init__(self, parent: "Parent", **request: Any) -> None:
        self.parent, self.folder = parent, tempfile.TemporaryDirectory()
        self.out, self.err = Path(self.folder.name, "out"), Path(self.folder.name, "err")
        self.pid = parent.ask(**request, out=str(self.out), err=str(self.err))

    def wait(self) -> Done:
        """What it left when it ended."""
        with self.folder:
            code = self.parent.ask(wait=self.pid)
            return Done(code, self.out.read_text(), self.err.read_text())

    def is_alive(self) -> bool:
        """Whether it has not ended; one that has is kept until :meth:`wait`."""
        return ") Z" not in Path(f"/proc/{self.pid}/stat").read_text()

    def send(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to it and to no other process, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def children(self) -> list[int]:
        """Processes of its group that are left, but for itself."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid and fields[0] != "Z":  # its session
                    found.append(int(path.parent.name))
        return [pid for pid in found if pid != self.pid]


class Parent:
    """A process that has imported ``modules``, and forks."""

    def __init__(self, modules: Sequence[str]) -> None:
        line = [sys.executable, "-m", "tests.programs", *modules]
        # Asking NVML leaves CUDA uninitialised, as it must be in a process that forks.
        environment = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            line, cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, **request: Any) -> int:
        """Hand over a request; the answer is one number."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, *line: object, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Program:
        """Start a script, or ``-m`` and a module, with its arguments."""
        own = {**os.environ, **(env or {})}
        return Program(self, argv=[str(part) for part in line], cwd=str(cwd), env=own)

    def run(self, *line: object, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Done:
        """Run a program to its end."""
        return self.start(*line, cwd=cwd, env=env).wait()

    def close(self) -> None:
        """End the process; its programs have ended before."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def serve(modules: Sequence[str]) -> dict[str, Any] | None:
    """Import and answer requests; in a fork, give back the one that it was made for."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What imports print is no answer.
    for name in modules:
        __import__(name)
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            return request
        print(answer, file=answers, flush=True)
    return None


def become(request: dict[str, Any]) -> None:
    """Be the program that the request names, until its end."""
    os.setsid()
    for descriptor, path in enumerate((os.devnull, request["out"], request["err"])):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(path, flags), descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    as_module = request["argv"][0] == "-m"
    name, *arguments = request["argv"][as_module:]
    sys.argv = [name, *arguments]
    if as_module:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(name).resolve().parent)
        runpy.run_path(name, run_name="__main__")


if __name__ == "__main__" and (program := serve(sys.argv[1:])) is not None:
    become(program)


def processes_of(programs: "Parent", number: int, line: list[str], **env: str) -> list[Done]:
    """Run ``number`` processes that find each other as those of torchrun do."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    group = {**env, "WORLD_SIZE": str(number), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    started = [
        programs.start(*line, env={**group, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(number)
    ]
    return [program.wait() for program in started]

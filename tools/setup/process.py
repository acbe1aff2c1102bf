"""Commands that set-up starts: their output goes to a log, their failure becomes a sentence."""

import ctypes
import fcntl
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.setup import console
from tools.setup.console import SetupError

_DISK = re.compile(r"No space left on device|Disk quota exceeded")
_UNKNOWN = re.compile(r"No matching distribution found for ([^\s;]+)")
_NO_CONNECTION = re.compile(r"after connection broken by|Could not fetch URL|is not a trusted")
_LOST_CONNECTION = re.compile(
    r"Read timed out|IncompleteRead|incomplete-download|ConnectionResetError|ConnectionError|"
    r"ProtocolError|RemoteDisconnected|Max retries exceeded"
)
_REASON = re.compile(r"\[Errno -?\d+\] ([^)'\"]+)|\[SSL: (\w+)|(timed out)|(not a trusted \w+)")
_PR_SET_PDEATHSIG = 1


def run(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a command to its end, appending its output to ``log``.

    It is killed, with what it started, when set-up is interrupted, and dies with set-up when
    that is killed: nothing goes on writing behind the back of the next attempt.

    Raises:
        SetupError: The command failed; the sentence comes from :func:`explain`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output:
        print("$", *command, file=output, flush=True)
        start = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_environment(environment or {}),
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        try:
            code = _wait(process)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if code:
        raise SetupError(explain(log.read_bytes()[start:].decode(errors="replace"), log))


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment, without what would make another Python's packages visible."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    return kept | {"PYTHONNOUSERSITE": "1"} | dict(changes)


def explain(output: str, log: Path) -> str:
    """Output of a failed command -> one sentence with the remedy."""
    if match := _DISK.search(output):
        return f"the disk is full ({match[0]}): free some space and run `make setup` again"
    unknown = _UNKNOWN.search(output)
    if _NO_CONNECTION.search(output) if unknown else _LOST_CONNECTION.search(output[-2000:]):
        reasons = _REASON.search(output)
        reason = next(filter(None, reasons.groups())) if reasons else "no reason given"
        return (
            f"the package index cannot be reached ({reason}): check the network, the proxy and"
            " pip's settings (pip config list), and run `make setup` again"
        )
    if unknown:
        return (
            f"the package index has no {unknown[1]} for this Python and machine: look at pip's"
            " settings (pip config list) and at the versions in pins.txt"
        )
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
    last = (errors or lines or ["it printed nothing"])[-1].strip()
    return f"a command failed, its last word was {last!r}: the whole output is in {log}"


@contextmanager
def locked(folder: Path, busy: str) -> Iterator[None]:
    """Hold a folder for this process alone; say ``busy`` where that means waiting."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say(f"      {busy}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(process: "subprocess.Popen[bytes]") -> int:
    start = time.monotonic()
    while True:
        try:
            code = process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            console.clock(time.monotonic() - start)
        else:
            console.clear_clock()
            return code

"""Repositories of the methods -> fixtures: ``python -m tests.published.write FOLDER [NAME ...]``.

FOLDER holds checkouts called ``owner+name``. Each writer runs in a process of its own: many of
these repositories have a ``utils`` or ``models`` of their own.
"""

import importlib
import pkgutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.published import Written, keep, writers
from tests.published.writers import WRITERS, Writer


def run(writer: Writer, repositories: Path) -> None:
    """Write one layout's file, and keep it with its tokens.

    A writer returns ``file``, ``method``, ``code``, ``parameters``, ``tokens`` (a function),
    ``sizes`` and, where they say something, ``options`` and ``note``.
    """
    checkout = repositories / writer.repository.replace("/", "+")
    if "/" in writer.repository:
        sys.path.insert(0, str(checkout))
        command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
        commit = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        repository = writer.repository
    else:
        commit, repository = "", f"{writer.repository} {version(writer.repository)}"
    with tempfile.TemporaryDirectory() as folder:
        known = writer.write(Path(folder))
        tokens, sizes = known.pop("tokens"), known.pop("sizes")
        written = Written(name=writer.name, repository=repository, commit=commit, **known)
        keep(written, Path(folder), tokens, *sizes)


def main(folder: str, *names: str) -> None:
    """Write the layouts of these names, or all."""
    for module in pkgutil.iter_modules(writers.__path__):
        importlib.import_module(f"{writers.__name__}.{module.name}")
    if len(names) == 1:
        run(WRITERS[names[0]], Path(folder))
        return
    for name in names or WRITERS:
        subprocess.run([sys.executable, "-m", "tests.published.write", folder, name], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

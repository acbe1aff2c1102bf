"""Random changes of the code: which of them does no test notice?

Example:
    python -m tests.mutants --number 200 --seed 0

The changes are cosmic-ray's: another operator, number or comparison, a condition turned round, a
loop that does not run, a decorator left out. Each is tried in a fork of a process that has imported
torch and OpenMMLab, so that it takes seconds; nothing on disk changes. A change that no test
notices is printed with its place; the exit status is 1 if fewer than the least share were noticed.
"""

import argparse
import importlib
import importlib.machinery
import io
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tests import ROOT

HEAVY = ("torch", "timm", "torchvision", "mmengine.runner", "scipy.ndimage", "safetensors.torch")
"""Libraries that are imported once."""

TESTS = {
    "selfpatch/models": ["tests/models", "tests/objectives", "tests/engine/test_pretrainer.py",
                         "tests/engine/test_golden_train_steps.py",
                         "tests/hosts/test_stage_backbones.py"],
    "selfpatch/objectives": ["tests/objectives", "tests/engine/test_golden_train_steps.py",
                             "tests/engine/test_pretrainer.py", "tests/engine/test_refusals.py"],
    "selfpatch/engine/schedules.py": ["tests/engine/test_schedules.py",
                                      "tests/engine/test_published_recipes.py",
                                      "tests/engine/test_refusals.py"],
    "selfpatch/backbones": ["tests/backbones/test_file.py", "tests/backbones/test_published.py",
                            "tests/backbones/test_exports.py", "tests/backbones/test_pickles.py"],
    **{
        f"davis_eval/{name}.py": ["tests/davis_eval"]
        for name in ("features", "propagation", "masks", "scores", "sequences", "keypoints",
                     "matlab")
    },
}  # fmt: skip
"""What is changed -> where it should be noticed, nearest first."""

OF_SLOW_TESTS = ("selfpatch/backbones/onnx.py",)
"""What slow tests look at; for all else they are left out."""

LEFT_OUT = ("BitOr", "VariableReplacer", "VariableInserter")
"""``|`` stands in types only; the others want the names of variables."""

WITHOUT_RESULT = re.compile(r"lru_cache|indent=|frozen=True|strict=True|@property")
"""Lines whose change no result shows: sizes of caches, layout of files, asserted lengths, and the
declarations of a protocol. The properties of classes are left out with these."""

SECONDS = 300
"""Tests that take longer have noticed it, too."""


@dataclass(frozen=True)
class Mutant:
    """A changed file.

    Attributes:
        path: The file, relative to the project.
        line: Number of the changed line.
        operator: Name of cosmic-ray's operator.
        occurrence: Which of the operator's places in the file.
        tests: Tests that should notice.
    """

    path: str
    line: int
    operator: str
    occurrence: int
    tests: tuple[str, ...]

    def source(self) -> str:
        """The changed text."""
        text = mutate_code(
            (ROOT / self.path).read_text(), get_operator(self.operator)(), self.occurrence
        )
        assert text is not None
        return text

    def __str__(self) -> str:
        """Place, what was done, and the new line."""
        old = (ROOT / self.path).read_text().splitlines()
        new = self.source().splitlines()
        changed = next((b for a, b in zip(old, new, strict=False) if a != b), "")
        name = self.operator.removeprefix("core/")
        return f"{self.path}:{self.line} {name}: {changed.strip()}"


def mutants_of(path: Path, tests: list[str]) -> Iterator[Mutant]:
    """Every change that can be made in a file."""
    text = path.read_text()
    tree, lines = get_ast(text), text.splitlines()
    for name in operator_names():
        if any(part in name for part in LEFT_OUT):
            continue
        operator, occurrence = get_operator(name)(), 0
        for node in ast_nodes(tree):
            for (line, _), _ in operator.mutation_positions(node):
                if not WITHOUT_RESULT.search(lines[line - 1]):
                    yield Mutant(str(path.relative_to(ROOT)), line, name, occurrence, tuple(tests))
                occurrence += 1


def drawn(number: int, seed: int) -> list[Mutant]:
    """So many changes, of different lines if there are enough: lines are drawn, then changes."""
    by_line: dict[tuple[str, int], list[Mutant]] = {}
    for place, tests in TESTS.items():
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for mutant in mutants_of(file, tests):
                by_line.setdefault((mutant.path, mutant.line), []).append(mutant)
    chance = random.Random(seed)
    lines = chance.sample(sorted(by_line), min(number, len(by_line)))
    return [chance.choice(by_line[line]) for line in lines]


def is_noticed(mutant: Mutant, source: str) -> bool:
    """Run the tests in a fork that reads ``source`` in the place of the file."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os._exit(tests_fail(mutant, source))
    limit = time.monotonic() + SECONDS
    while time.monotonic() < limit:
        if (ended := os.waitpid(pid, os.WNOHANG))[0]:
            return os.waitstatus_to_exitcode(ended[1]) != 0
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def tests_fail(mutant: Mutant, source: str) -> int:
    """1 if a test fails, or the changed file cannot be imported."""
    loader = importlib.machinery.SourceFileLoader
    read = loader.get_code

    def changed(self: importlib.machinery.SourceFileLoader, name: str) -> object:
        path = self.get_filename(name)
        if path == str(ROOT / mutant.path):
            return compile(source, path, "exec")
        return read(self, name)

    loader.get_code = changed  # type: ignore[method-assign,assignment]
    chosen = "slow" if mutant.path in OF_SLOW_TESTS else "not slow"
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", chosen]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # cosmic-ray's own imports
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            return int(pytest.main([*options, *mutant.tests]) != 0)
        except BaseException:
            return 1


def main() -> None:
    """Read the command line, try the changes, print those that nothing notices."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--least", type=float, default=0.92, help="share that must be noticed")
    args = parser.parse_args()
    os.chdir(ROOT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in HEAVY:
        importlib.import_module(name)
    found = drawn(args.number, args.seed)
    for mutant in {mutant.tests: mutant for mutant in found}.values():
        if is_noticed(mutant, (ROOT / mutant.path).read_text()):
            sys.exit(f"error: {' '.join(mutant.tests)} fail without any change; mend them first")
    survivors = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        noticed = pool.map(lambda mutant: is_noticed(mutant, mutant.source()), found)
        for number, (mutant, was_noticed) in enumerate(zip(found, noticed, strict=True), start=1):
            if not was_noticed:
                survivors.append(mutant)
                print(f"{number}: {mutant}", flush=True)
        if sys.stderr.isatty():
            print(
                f"\r{number} of {len(found)}, {len(survivors)} unnoticed ", end="", file=sys.stderr
            )
    share = 1 - len(survivors) / len(found)
    print(f"{len(found)} changes, {len(survivors)} unnoticed: {100 * share:.1f} % were noticed")
    sys.exit(int(share < args.least))


if __name__ == "__main__":
    main()

"""Name the configs, plans, tasks, layouts, checkpoints and variants there are, one line each.

Examples:
    selfpatch list
    selfpatch list configs --json
"""

import argparse
import ast
import json
from collections.abc import Iterator
from pathlib import Path

from selfpatch.shipped import CONFIGS, files_of

TOPICS = ("configs", "plans", "tasks", "layouts", "checkpoints", "variants")
Entry = tuple[str, str]
"""A name, and what it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("topic", nargs="?", choices=TOPICS, help="all of them, if left out")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Print."""
    wanted = [args.topic] if args.topic else TOPICS
    found = {topic: list(globals()[topic]()) for topic in wanted}
    if args.json:
        print(json.dumps({topic: dict(entries) for topic, entries in found.items()}, indent=1))
        return
    for topic, entries in found.items():
        print(topic)
        width = max(len(name) for name, _ in entries)
        for name, text in entries:
            print(f"  {name:<{width}}  {text}".rstrip())


def configs() -> Iterator[Entry]:
    """Every config's name, and the first line of its docstring."""
    for package, purpose in CONFIGS.items():
        for path in files_of(package, ".py"):
            yield path.stem, f"{purpose}: {first_line(path)}"


def plans() -> Iterator[Entry]:
    """Every plan's name, and the comment at its top."""
    for path in files_of("selfpatch.plans", ".yaml"):
        yield path.stem, path.read_text().partition("\n")[0].removeprefix("# ")


def first_line(path: Path) -> str:
    """What a Python file says it is."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def tasks() -> Iterator[Entry]:
    """What results files are of, and the metrics."""
    from selfpatch.results.file import TASKS

    for name, metrics in TASKS.items():
        yield name, ", ".join(metrics)


def layouts() -> Iterator[Entry]:
    """The tables that `selfpatch table --layout` arranges."""
    from selfpatch.results.layouts import LAYOUTS

    yield from LAYOUTS.items()


def checkpoints() -> Iterator[Entry]:
    """Whose checkpoints `selfpatch import` reads, by the method they are of."""
    from selfpatch.backbones.methods import METHODS

    for name in dict.fromkeys(method.name for method in METHODS):
        origins = [method.origin for method in METHODS if method.name == name]
        yield name, f"checkpoints of {', '.join(origins)}"


def variants() -> Iterator[Entry]:
    """The trunks by name, for `model.trunk.variant` of a config."""
    from selfpatch.models.variants import VARIANTS

    for name, facts in VARIANTS.items():
        yield name, ", ".join(f"{key} {value}" for key, value in facts.items())

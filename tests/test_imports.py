"""What a part of the package brings along when it is imported, and what it may import."""

import ast
import subprocess
import sys

import pytest

from tests import ROOT

SCIENCE = ("selfpatch.data.views", "selfpatch.models.networks", "selfpatch.objectives.selfpatch",
           "selfpatch.backbones.file", "davis_eval.run")  # fmt: skip
READING = ("selfpatch.commands.table", "selfpatch.check.coco", "selfpatch.check.ade20k")
HOSTS = ("selfpatch.hosts.backbones", "selfpatch.hosts.results_file", "selfpatch.hosts.linear_head")

FLOORS = (
    {"errors", "atomic", "parent"},
    {"data", "models", "processes", "shipped"},
    {"objectives", "check", "visualize", "backbones", "probes"},
    {"results"},
    {"report"},
    {"engine", "hosts", "demo"},
    {"bench"},
    {"commands"},
    {"cli"},
)
"""The packages of ``selfpatch``, from the ground up: each imports from lower floors only."""


def imported_with(modules: tuple[str, ...]) -> set[str]:
    """The modules that a new process has after importing these."""
    program = f"import sys, {', '.join(modules)}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("modules", "unneeded"),
    [
        (SCIENCE, {"mmengine", "mmcv", "mmdet", "mmseg"}),
        (READING, {"torch", "timm", "mmengine"}),
        pytest.param(
            HOSTS,
            {"selfpatch.engine", "selfpatch.objectives", "selfpatch.data", "davis_eval"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=[
        "the science needs no OpenMMLab",
        "tables and checks need no torch",
        "the hosts' parts need no training code",
    ],
)
def test_importing_brings_nothing_that_is_not_needed(modules, unneeded):
    found = imported_with(modules)
    assert set(modules) <= found
    assert not found & unneeded


def imports_of(file) -> set[str]:
    """The project's packages that a file's import statements name."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [name.split(".") for name in names]
    return {p[1] if p[0] == "selfpatch" and len(p) > 1 else p[0] for p in parts}


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_no_import_points_upwards(floor):
    above = set().union(*FLOORS[floor + 1 :], {"davis_eval", "tools"})
    for package in FLOORS[floor]:
        folder = ROOT / "selfpatch" / package
        files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
        assert files
        for file in files:
            imported = imports_of(file) - {package}
            assert not imported & above, f"{file} imports {imported & above}"
            assert not imported & (FLOORS[floor] - {package}), file


def test_every_package_has_its_floor():
    entries = [path for path in (ROOT / "selfpatch").iterdir() if not path.name.startswith("_")]
    assert {path.stem for path in entries} - {"configs", "plans"} == set().union(*FLOORS)

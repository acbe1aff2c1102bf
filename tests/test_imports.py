"""What a part of the package brings along when it is imported."""

import subprocess
import sys

import pytest

from tests import ROOT

SCIENCE = ("selfpatch.data.views", "selfpatch.models.networks", "selfpatch.objectives.selfpatch",
           "selfpatch.checkpoint", "davis_eval.run")  # fmt: skip
READING = ("selfpatch.table", "selfpatch.check.coco", "selfpatch.check.ade20k")


def imported_with(modules: tuple[str, ...]) -> set[str]:
    """Top-level packages that a new process has after importing these modules."""
    program = f"import sys, {', '.join(modules)}\nprint(*{{n.split('.')[0] for n in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("modules", "unneeded"),
    [(SCIENCE, {"mmengine", "mmcv", "mmdet", "mmseg"}), (READING, {"torch", "timm", "mmengine"})],
    ids=["the science needs no OpenMMLab", "tables and checks need no torch"],
)
def test_importing_brings_nothing_that_is_not_needed(modules, unneeded):
    found = imported_with(modules)
    assert "selfpatch" in found
    assert not found & unneeded

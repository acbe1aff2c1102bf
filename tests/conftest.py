"""Golden values and real data: read from outside the repository, skipped where missing."""

import os

# Before torch. The tests' models are so small that threads only wait for each other; several
# tests at once (pytest -n) use the cores better. Processes that a test starts inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests import ROOT
from tests.data.drawn_images import draw_images
from tests.programs import Parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a shell's background, whence processes that a test starts would never hear of Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no process of pytest-xdist ends with them alone."""
    slow = {item.path for item in items if "slow" in item.keywords}
    items.sort(key=lambda item: item.path not in slow)


def _folder(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable, ROOT.parent / "shared" / default))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; set {variable} to run this test")
    return folder.resolve()


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder of golden values."""
    return _folder("SELFPATCH_GOLDEN", "golden")


@pytest.fixture(scope="session")
def golden_meta(golden_dir: Path) -> dict[str, Any]:
    """Every size and setting of the golden values."""
    return json.loads((golden_dir / "meta.json").read_text())


@pytest.fixture(scope="session")
def golden(golden_dir: Path) -> Callable[[str], dict[str, torch.Tensor]]:
    """Name of a golden file -> its tensors."""
    return lambda name: load_file(golden_dir / f"{name}.safetensors")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of small real data sets."""
    return _folder("SELFPATCH_DATA", "data")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test draws the same random numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen small images, see :func:`tests.data.drawn_images.draw_images`."""
    return draw_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def programs() -> Iterator[Parent]:
    """Runs the project's programs, see :mod:`tests.programs`."""
    parent = Parent(["selfpatch.engine.launch", "selfpatch.backbones.timm", "davis_eval.run"])
    yield parent
    parent.close()

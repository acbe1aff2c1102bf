"""`selfpatch curves` draws the logs of runs."""

import subprocess
import sys

import pytest
from PIL import Image

from tests import ROOT
from tests.engine.tiny_pretraining import train


@pytest.mark.slow
def test_curves_are_drawn_of_several_runs(images, tmp_path, programs):
    for config in ("demo_dino.py", "demo_selfpatch.py"):
        train(config, images, tmp_path / config)
    line = [sys.executable, "-m", "selfpatch", "curves", str(tmp_path / "demo_dino.py")]
    line += [str(tmp_path / "demo_selfpatch.py"), "--out", str(tmp_path / "c.png")]
    subprocess.run(line, cwd=ROOT, check=True)
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size == (990, 572)  # image and patch loss, similarity and rank
    line[4] = str(tmp_path)
    done = programs.run(*line[1:])
    assert done.returncode == 2
    assert "holds no" in done.stderr

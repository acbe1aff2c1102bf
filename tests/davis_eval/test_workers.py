"""Several processes share the videos."""

import multiprocessing
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from davis_eval.masks import read_mask
from davis_eval.settings import Reading, Settings
from davis_eval.workers import Job, Worker, segment_all
from selfpatch import build_trunk
from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.backbones.loading import load_backbone


@pytest.fixture
def job(youtube_vos, tmp_path) -> Job:
    vit = build_trunk("vit_tiny", depth=1, patch_size=8, image_size=64)
    weights = tmp_path / "b.safetensors"
    save_backbone(weights, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    settings = Settings(reading=Reading(layer=1, short_side=64))
    return Job(youtube_vos, "youtube-vos", str(weights), tmp_path / "out", settings, "cpu")


@pytest.mark.slow
def test_two_workers_give_the_masks_of_one(job, youtube_vos, tmp_path):
    for kind in ("JPEGImages", "Annotations"):
        (youtube_vos / kind / "w").symlink_to(youtube_vos / kind / "v")
    (youtube_vos / "JPEGImages/x").mkdir()
    for workers in (1, 2):
        own = replace(job, out=tmp_path / str(workers), workers=workers)
        worker = Worker(own, *load_backbone(own.weights))
        found = list(segment_all(own, ["v", "w", "x"], worker))
        outcomes = {outcome.name: outcome.error for outcome in found}
        assert outcomes["v"] is outcomes["w"] is None
        assert "holds no .jpg" in str(outcomes["x"])
    for path in (tmp_path / "1").rglob("*.png"):
        other = tmp_path / "2" / path.relative_to(tmp_path / "1")
        assert np.array_equal(read_mask(path), read_mask(other))


@pytest.mark.slow
def test_a_killed_worker_is_one_sentence(job):
    def kill_one_of_both() -> None:
        while len(children := multiprocessing.active_children()) < 2:
            time.sleep(0.01)
        time.sleep(0.5)  # Both have been told what to do; importing torch takes them longer.
        # The older one: the pool may see another's end only when the first has done all the work.
        min(children, key=lambda child: child.pid or 0).kill()

    killer = threading.Thread(target=kill_one_of_both)
    killer.start()
    worker = Worker(job, *load_backbone(job.weights))
    outcomes = list(segment_all(replace(job, workers=2), ["v", "v"], worker))
    killer.join()
    assert [outcome.name for outcome in outcomes] == ["v", "v"]
    assert any("killed" in str(outcome.error) for outcome in outcomes)

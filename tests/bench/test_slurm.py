"""A plan on a Slurm cluster, where one answers: `tools/slurm_cluster.sh start` makes one."""

import shutil
import subprocess
import sys

import pytest

from selfpatch.results.file import read_results
from tests import ROOT


def partition() -> str | None:
    """The default partition of the cluster; None if there is none."""
    if not shutil.which("sinfo"):
        return None
    try:
        line = ["sinfo", "--noheader", "--format=%P"]
        found = subprocess.run(line, capture_output=True, text=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return None
    return next((name.rstrip("*") for name in found.stdout.split() if name.endswith("*")), None)


PLAN = """
data: generated
sizes: {pretraining: 32, coco_train: 2, coco_val: 2, ade_train: 1, ade_val: 1, frames: 3}
backbones:
  DINO + SelfPatch:
    pretrain: demo_selfpatch
    processes: 2
    cpus: 1
    options:
      train_cfg.max_epochs: 1
      train_cfg.schedule.warmup_epochs: 0.5
      train_dataloader.num_workers: 1
tasks:
  davis2017: {davis: {}, options: {short-side: 64}, cpus: 1}
"""


@pytest.mark.slow
@pytest.mark.skipif(partition() is None, reason="no Slurm cluster answers")
def test_a_plan_runs_on_slurm_and_pretrains_with_two_tasks(tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN)
    work_dir = tmp_path / "work"
    line = [sys.executable, "-m", "selfpatch", "bench", tmp_path / "p.yaml", "--work-dir", work_dir]
    line += ["--", "--executor", "slurm", "--slurm-no-account", "--slurm-status-command", "squeue"]
    line += ["--default-resources", f"slurm_partition='{partition()}'"]
    done = subprocess.run(list(map(str, line)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = read_results([work_dir]).values()
    assert result.backbone["method"] == "dino+selfpatch"
    log = (work_dir / "dino-selfpatch/seed-0/backbone.log").read_text()
    assert "16 images: 2 processes of 8" in log


@pytest.mark.slow
@pytest.mark.skipif(partition() is None, reason="no Slurm cluster answers")
def test_a_cluster_that_refuses_a_job_is_one_sentence(tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN)
    line = [sys.executable, "-m", "selfpatch", "bench", tmp_path / "p.yaml", "--work-dir"]
    line += [tmp_path / "work", "--", "--executor", "slurm", "--slurm-no-account"]
    line += ["--default-resources", "slurm_partition='no_such_partition'"]
    done = subprocess.run(list(map(str, line)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "FAILED pretrain DINO + SelfPatch, seed 0" in done.stdout
    assert "invalid partition specified: no_such_partition" in done.stdout

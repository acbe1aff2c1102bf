"""A plan is run: once, in parallel, gone on with after a kill; a failure costs what needs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.bench.finished import key_now
from selfpatch.bench.job import gpus, note
from selfpatch.bench.jobs import Batch, Job, assigned, jobs_of, read_batch, write_batch
from selfpatch.bench.key import content_of
from selfpatch.bench.plan import Resources
from selfpatch.bench.reading import read_plan
from selfpatch.bench.run import (
    check_gpus,
    clear_the_way,
    last_words,
    listed,
    run_jobs,
    visible_gpus,
)
from selfpatch.demo.data import Sizes, generate
from selfpatch.errors import InputError
from selfpatch.models.trunks import build_trunk
from tests import ROOT

PLAN = """
data: {davis: DAVIS}
seeds: [0, 1]
backbones:
  floor: {random: vit_tiny}
tasks:
  davis2017: {davis: {}, options: {short-side: 64, device: cpu}}
"""


@pytest.fixture(scope="module")
def davis(tmp_path_factory) -> Path:
    sizes = Sizes(pretraining=0, coco_train=2, coco_val=2, ade_train=0, ade_val=0, frames=3)
    return generate(tmp_path_factory.mktemp("data") / "tiny", sizes) / "davis"


@pytest.fixture
def plan(davis, tmp_path) -> Path:
    (tmp_path / "p.yaml").write_text(PLAN.replace("DAVIS", str(davis)))
    return tmp_path / "p.yaml"


def command(plan: Path, *more: str) -> list[str]:
    work_dir = str(plan.parent / "work")
    return [sys.executable, "-m", "selfpatch", "bench", str(plan), "--work-dir", work_dir, *more]


def bench(plan: Path, *more: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(plan, *more), cwd=ROOT, capture_output=True, text=True)


def test_the_jobs_of_a_plan(plan):
    jobs = {job.folder: job for job in jobs_of(read_plan(plan), Path("w"))}
    assert list(jobs) == [
        "floor/seed-0/backbone", "floor/seed-0/davis2017",
        "floor/seed-1/backbone", "floor/seed-1/davis2017",
    ]  # fmt: skip
    drawn, tracked = jobs["floor/seed-1/backbone"], jobs["floor/seed-1/davis2017"]
    weights = "w/floor/seed-1/backbone/backbone.safetensors"
    assert drawn.command == ["export", "random:vit_tiny", weights, "--seed", "1"]
    assert tracked.needs == [drawn.output] == ["floor/seed-1/backbone/backbone.safetensors"]
    assert tracked.command[:2] == ["davis", "run"]
    assert tracked.command[tracked.command.index("--weights") + 1] == weights
    assert tracked.output == "floor/seed-1/davis2017/results.json"
    assert len({job.key for job in jobs.values()}) == 4


def test_a_backbone_that_is_a_file_is_tracked_once_and_known_by_its_content(plan, tmp_path):
    file = tmp_path / "b.safetensors"
    file.write_bytes(b"1")
    plan.write_text(plan.read_text().replace("random: vit_tiny", f"file: {file}"))
    (before,) = jobs_of(read_plan(plan), Path("w"))
    file.write_bytes(b"12")
    (after,) = jobs_of(read_plan(plan), Path("w"))
    assert before.command == after.command
    assert before.key != after.key


def test_resources_of_the_command_line(plan):
    jobs = jobs_of(read_plan(plan, taken={"processes": 2, "gpus": 1}), Path("w"))
    assert [(j.resources.processes, j.resources.gpus) for j in jobs] == [(1, 0), (1, 1)] * 2


def test_a_fine_tuning_takes_a_gpu_for_each_process(plan):
    text = plan.read_text().replace("{davis: ", "{ade20k: .., davis: ", 1)
    config = "upernet_selfpatch-small_ade20k-128x128"
    plan.write_text(text + f"  segment: {{finetune: {config}}}\n")
    keys = set()
    for stated, processes in (({}, 1), ({"gpus": 2}, 2), ({"gpus": 8}, 4)):
        found = jobs_of(read_plan(plan, taken={"processes": 4, **stated}), Path("w"))
        tuned = [job for job in found if job.kind == "segment"]
        assert [job.resources.processes for job in tuned] == [processes] * 2
        keys |= {job.key for job in tuned}
    assert len(keys) == 6  # for a step's images are those of all processes


def test_resources_that_there_are_not_are_refused(plan):
    with pytest.raises(InputError, match="line has processes=0; give a whole number from 1 on"):
        read_plan(plan, taken={"processes": 0})


def test_nothing_and_zero_are_options_too(plan):
    options = "{short-side: 64, radius: 0, context-frames: 0}"
    plan.write_text(plan.read_text().replace("{short-side: 64, device: cpu}", options))
    command = jobs_of(read_plan(plan), Path("w"))[1].command
    assert command[-6:] == ["--short-side", "64", "--radius", "0", "--context-frames", "0"]
    assert assigned("it", {"train_cfg.max_epochs": None}) == ["train_cfg.max_epochs=None"]


@pytest.mark.parametrize("name", ["my dir", "a,b"])
def test_what_settings_cannot_hold_is_refused_before_anything_runs(name, plan):
    text = plan.read_text().replace("{davis: ", "{ade20k: .., davis: ", 1)
    plan.write_text(text + "  s: {finetune: upernet_selfpatch-small_ade20k-128x128}\n")
    with pytest.raises(InputError, match="settings hold no space and no comma; choose another"):
        jobs_of(read_plan(plan), Path(name))


def test_a_job_is_the_same_wherever_its_work_dir_lies_and_however_it_is_called(plan, tmp_path):
    keys = {
        tuple(job.key for job in jobs_of(read_plan(plan), tmp_path / name))
        for name in ("w", "é", "work", tmp_path.name)
    }
    assert len(keys) == 1


def test_a_backbone_file_that_was_copied_is_the_same_one(plan, tmp_path):
    vit = build_trunk("vit_tiny", depth=1)
    for name in ("a", "b"):
        path = tmp_path / name / "x.safetensors"
        path.parent.mkdir()
        save_backbone(path, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    os.utime(path, (1, 1))
    assert content_of(path) == content_of(tmp_path / "a/x.safetensors")


def test_more_gpus_than_there_are_is_one_sentence_and_costs_nothing(plan, monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    assert check_gpus(jobs_of(read_plan(plan, taken={"gpus": 2}), tmp_path)) == 2
    jobs = jobs_of(read_plan(plan, taken={"gpus": 3}), tmp_path)
    (tmp_path / jobs[0].folder).mkdir(parents=True)
    (tmp_path / jobs[0].output).touch()
    with pytest.raises(InputError, match="seed 0 asks for 3 GPUs, and this machine has 2; say"):
        run_jobs(tmp_path, jobs, 1, [])
    with pytest.raises(InputError, match="say --dry-run in front of --"):
        run_jobs(tmp_path, jobs, 1, ["-n"])
    assert (tmp_path / jobs[0].output).exists()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []


def test_arguments_that_snakemake_does_not_know_are_quoted(plan, tmp_path):
    said = run_jobs(tmp_path / "w", jobs_of(read_plan(plan), tmp_path / "w"), 1, ["--nonsense"])
    assert said.startswith("snakemake began no job; its log")
    assert said.endswith("error: unrecognized arguments: --nonsense")


def test_what_was_made_of_other_inputs_is_set_aside_and_not_deleted(plan, tmp_path, capsys):
    def made(job: Job) -> None:
        (tmp_path / "w" / job.folder).mkdir(parents=True)
        (tmp_path / "w" / job.output).write_text(job.name)
        note(tmp_path / "w" / job.folder, {"key": key_now(tmp_path / "w", job), "seconds": 1})

    before = jobs_of(read_plan(plan), tmp_path / "w")[0]
    made(before)
    plan.write_text(plan.read_text().replace("vit_tiny", "vit_small"))
    jobs = jobs_of(read_plan(plan), tmp_path / "w")
    assert listed(tmp_path / "w", jobs).startswith("  again  draw floor, seed 0")
    clear_the_way(tmp_path / "w", jobs)
    assert "again  draw floor, seed 0: other inputs than before; the old lies in" in (
        capsys.readouterr().out
    )
    old = tmp_path / "w/.replaced/floor/seed-0/backbone-1/backbone.safetensors"
    assert old.read_text() == before.name
    assert not (tmp_path / "w" / before.output).exists()
    made(jobs[0])
    plan.write_text(plan.read_text().replace("vit_small", "vit_tiny"))
    clear_the_way(tmp_path / "w", jobs_of(read_plan(plan), tmp_path / "w"))
    assert (tmp_path / "w/.replaced/floor/seed-0/backbone-2/backbone.safetensors").exists()


def test_what_is_left_is_as_long_as_the_like_that_is_done(plan, tmp_path):
    work_dir = tmp_path / "w"
    text = plan.read_text().replace("[0, 1]", "[0, 1, 2]")
    plan.write_text(
        text.replace("tasks:", "  other: {file: FILE}\ntasks:").replace("FILE", str(plan))
    )
    jobs = jobs_of(read_plan(plan), work_dir)
    assert "left" not in listed(work_dir, jobs)
    drawn = [job for job in jobs if job.kind == "draw floor"]
    for job, seconds in zip(drawn[:2], (60, 180), strict=True):
        folder = work_dir / job.folder
        folder.mkdir(parents=True)
        (work_dir / job.output).touch()
        (folder / "job.json").write_text(
            json.dumps({"key": key_now(work_dir, job), "seconds": seconds})
        )
    lines = listed(work_dir, jobs).splitlines()
    assert lines[0] == "  done   draw floor, seed 0; took 1:00"
    assert lines[4] == "  to do  draw floor, seed 2; about 2:00"
    assert lines[-1] == "left: 2:00 of computing, and 4 jobs of unknown length"


def test_a_log_is_quoted_by_its_error(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("begun\nerror: the disk is full\nbye\n")
    assert last_words(log) == f"its log {log} ends with: the disk is full"
    log.write_text("".join(f"line {number}\n\n" for number in range(20)))
    quoted = "\n    ".join(f"line {number}" for number in range(12, 20))
    assert last_words(log) == f"its log {log} ends with:\n    {quoted}\n "
    assert last_words(tmp_path / "y.log") == f"it left no log {tmp_path / 'y.log'}"


@pytest.mark.slow
def test_what_is_finished_is_not_run_again_and_what_changed_is(plan, tmp_path):
    first = bench(plan)
    assert first.returncode == 0, first.stderr[-2000:]
    assert first.stdout.count("  start ") == first.stdout.count("  done ") == 4
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "work").rglob("*.safetensors")}
    results = [json.loads(p.read_text()) for p in (tmp_path / "work").rglob("results.json")]
    assert len({result["backbone"]["fingerprint"] for result in results}) == len(results) == 2
    again = bench(plan)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "  start " not in again.stdout
    next((tmp_path / "work").rglob("seed-1/davis2017/results.json")).write_text("{")
    plan.write_text(plan.read_text().replace("seeds: [0, 1]", "seeds: [0, 1, 2]"))
    more = bench(plan)
    assert more.returncode == 0, more.stderr[-2000:]
    assert "again  davis2017 of floor, seed 1" in more.stdout
    assert more.stdout.count("  start ") == 3
    assert all(path.stat().st_mtime_ns == moment for path, moment in written.items())


@pytest.mark.slow
def test_a_task_follows_its_backbone_and_a_moved_plan_is_not_made_anew(plan, tmp_path):
    plan.write_text(plan.read_text().replace("seeds: [0, 1]", "seeds: [0]"))
    assert bench(plan).returncode == 0
    first = json.loads(next((tmp_path / "work").rglob("results.json")).read_text())
    plan.write_text(plan.read_text().replace("random: vit_tiny", "random: vit_small"))
    assert "  again  davis2017 of floor" in bench(plan, "--dry-run").stdout
    done = bench(plan)
    assert done.stdout.count("  start ") == 2, done.stdout + done.stderr
    (old,) = (tmp_path / "work/.replaced").rglob("results.json")
    assert json.loads(old.read_text()) == first
    shutil.rmtree(tmp_path / "work/.replaced")
    second = json.loads(next((tmp_path / "work").rglob("results.json")).read_text())
    assert first["backbone"]["fingerprint"] != second["backbone"]["fingerprint"]
    (tmp_path / "work").rename(tmp_path / "moved")
    line = command(plan, "--dry-run")
    line[line.index("--work-dir") + 1] = str(tmp_path / "moved")
    listed = subprocess.run(line, cwd=ROOT, capture_output=True, text=True).stdout
    assert listed.count("  done ") == 2


@pytest.mark.slow
def test_a_failure_leaves_the_others_running_and_is_named(plan, tmp_path):
    text = plan.read_text().replace("vit_tiny}", "vit_tiny, tasks: [davis2017]}")
    text = text.replace("tasks:\n", "  broken: {random: vit_tiny, tasks: [other]}\ntasks:\n")
    plan.write_text(text + "  other: {davis: {}, options: {layer: 99, device: cpu}}\n")
    done = bench(plan)
    assert done.returncode == 2
    assert len(list((tmp_path / "work/floor").rglob("results.json"))) == 2
    assert "2 of the jobs are not done: other of broken, seed 0 failed; its log" in done.stderr
    assert "layers 1 to 12, not 99; change --layer" in done.stderr


@pytest.mark.slow
def test_a_killed_bench_leaves_no_process_and_is_gone_on_with(plan, tmp_path):
    with subprocess.Popen(command(plan), cwd=ROOT, stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as running:  # fmt: skip
        assert running.stdout
        for line in running.stdout:
            if "start" in line:
                break
        running.send_signal(signal.SIGKILL)
    limit = time.monotonic() + 60
    while left := processes_of(running.pid):
        assert time.monotonic() < limit, left
        time.sleep(0.1)
    done = bench(plan)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((tmp_path / "work").rglob("results.json"))) == 2


def processes_of(session: int) -> list[str]:
    """Those of a session that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((path.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_gpus_are_shared_out(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    monkeypatch.setenv("SLURM_JOB_ID", "7")  # of an allocation, which several jobs share
    with gpus(tmp_path, 2) as first, gpus(tmp_path, 1) as second:
        assert sorted(first + second) == ["4", "5", "7"]
    with gpus(tmp_path, 3) as all_of_them:
        assert all_of_them == ["4", "5", "7"]
    with gpus(tmp_path, 0) as none:
        assert none == []


def test_a_job_knows_its_command_again(tmp_path):
    job = Job("a", "a", "job_a", ["list"], "a", "a/results.json", resources=Resources(gpus=2))
    batch = Batch([job], threads=3, on_cluster=True, folder="here")
    write_batch(tmp_path / "jobs.json", batch)
    assert read_batch(tmp_path / "jobs.json") == batch

"""Programs that are killed at any moment: what they had finished counts, and they go on to the end.

A program is started, killed after a random time, and started again with the same command, until it
has come to its end; what it then leaves is compared with what an undisturbed one left. ``make
torture`` kills each of them fifty times.
"""

import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mmengine.runner import CheckpointLoader

from davis_eval.masks import read_mask
from selfpatch import (
    hosts,  # noqa: F401 (how checkpoints are read)
    load_backbone,
)
from selfpatch.atomic import TEMPORARY
from selfpatch.engine.checkpoints import damage_of
from selfpatch.results.file import read_results
from tests.engine.tiny_pretraining import CONFIG_OPTIONS, arguments
from tests.faults import TORTURE
from tests.programs import Parent, Program

pytestmark = pytest.mark.slow

KILLS = TORTURE

HOSTS = ("datasets", "engine", "evaluation", "models", "visualization")


@dataclass
class Job:
    """A command that is given again after a kill.

    Attributes:
        parent: Starts its processes.
        lines: Folder of outputs, and whether it goes on -> the command of each process.
        ended: Folder of outputs -> what is compared at the end.
        whole: Looks, after each kill, at what lies there.
        environment: Variables of all processes.
    """

    parent: Parent
    lines: Callable[[Path, bool], Sequence[list[str]]]
    ended: Callable[[Path], Any]
    whole: Callable[[Path], None] = lambda folder: None
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, folder: Path, goes_on: bool) -> list[Program]:
        lines = self.lines(folder, goes_on)
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = str(free.getsockname()[1])
        group = {"WORLD_SIZE": str(len(lines)), "MASTER_ADDR": "localhost", "MASTER_PORT": port}
        return [
            self.parent.start(
                *line, env={**self.environment, **group, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            )
            for rank, line in enumerate(lines)
        ]


def undisturbed(job: Job, folder: Path) -> tuple[Any, float]:
    """What a run leaves that is not killed, and the seconds it takes."""
    began = time.monotonic()
    for program in job.start(folder, goes_on=False):
        done = program.wait()
        assert done.returncode == 0, done.stderr[-2000:]
    return job.ended(folder), time.monotonic() - began


def end(job: Job, folder: Path, goes_on: bool) -> Any:
    """Let it run to its end."""
    for program in job.start(folder, goes_on):
        done = program.wait()
        assert done.returncode == 0, done.stderr[-2000:]
    left = [path for path in folder.rglob(".*") if TEMPORARY.fullmatch(path.name)]
    assert left == []
    return job.ended(folder)


def survives(job: Job, folder: Path, kills: int) -> None:
    """Kill it so many times, now and then let it come to its end, and compare."""
    wanted, seconds = undisturbed(job, folder / "undisturbed")
    chance = random.Random(os.environ.get("TORTURE_SEED", "0"))
    killed, goes_on, out, rounds = 0, False, folder / "0", 0
    while killed < kills:
        started = job.start(out, goes_on)
        time.sleep(chance.uniform(0.05, seconds))
        for program in started:
            program.send(signal.SIGKILL)
        results = [program.wait() for program in started]
        assert all(done.returncode in (0, -signal.SIGKILL) for done in results), [
            done.stderr[-1000:] for done in results
        ]
        was_killed = any(done.returncode for done in results)
        killed += was_killed
        wait_for_the_end(started)
        job.whole(out)
        goes_on = True
        if not was_killed or killed == kills or chance.random() < 0.2:
            assert end(job, out, goes_on) == wanted
            shutil.rmtree(out)
            rounds += 1
            out, goes_on = folder / str(rounds), False
    print(f"{killed} kills in {rounds} runs")


def wait_for_the_end(started: list[Program], seconds: float = 60) -> None:
    """No process outlives the one that started it for long.

    A worker that is killed about while it imports torch notices after that, which may take a while.
    """
    limit = time.monotonic() + seconds
    while left := [pid for program in started for pid in program.children()]:
        said = [Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:3] for pid in left]
        assert time.monotonic() < limit, f"processes outlive their parent: {said}"
        time.sleep(0.1)


def weights(folder: Path) -> str:
    return load_backbone(folder / "backbone.safetensors")[1].weights


def checkpoints_are_whole(folder: Path) -> None:
    for path in folder.glob("*.pth"):
        assert damage_of(path) is None


@pytest.mark.parametrize("processes", [1, 2])
def test_pretraining(processes, programs, images, tmp_path):
    options = {
        **CONFIG_OPTIONS["demo_selfpatch.py"],
        "default_hooks.checkpoint.by_epoch": False,
        "default_hooks.checkpoint.interval": 2,
        "train_cfg.max_epochs": 8,
        "train_dataloader.num_workers": 1,
    }
    launcher = "pytorch" if processes > 1 else "none"

    def lines(folder: Path, goes_on: bool) -> list[list[str]]:
        one = arguments("demo_selfpatch.py", images, folder, options, launcher, goes_on)
        return [one] * processes

    survives(Job(programs, lines, weights, checkpoints_are_whole), tmp_path, KILLS)


def test_tracking_and_scoring_with_workers(programs, data, backbone, tmp_path):
    def lines(folder: Path, goes_on: bool) -> list[list[str]]:
        line = ["-m", "selfpatch", "davis", "run", "--davis", data / "davis", "--weights", backbone]
        return [
            [str(part) for part in (*line, "--out", folder, "--short-side", 96, "--workers", 2)]
        ]

    def ended(folder: Path) -> Any:
        (found,) = read_results([folder]).values()
        masks = sorted(folder.rglob("*.png"))
        return found.metrics, [(path.name, read_mask(path).tobytes()) for path in masks]

    def whole(folder: Path) -> None:
        for path in folder.rglob("[0-9]*.png"):
            assert read_mask(path).ndim == 2

    survives(Job(programs, lines, ended, whole), tmp_path, KILLS)


@pytest.fixture(scope="module")
def host(request) -> Iterator[Parent]:
    parent = Parent(["selfpatch.hosts", *(f"{request.param}.{part}" for part in HOSTS)])
    yield parent
    parent.close()


FINE_TUNING = {
    "mmdet": ("mask-rcnn_selfpatch-small_fpn_coco", ["train_cfg.max_epochs=3"]),
    "mmseg": (
        "semantic-fpn_selfpatch-small_ade20k-128x128",
        [
            "train_cfg.max_iters=6",
            "train_cfg.val_interval=6",
            "default_hooks.checkpoint.interval=2",
        ],
    ),
}


@pytest.mark.parametrize(
    ("host", "name"), [("mmdet", "mmdet"), ("mmseg", "mmseg")], indirect=["host"], ids=FINE_TUNING
)
def test_fine_tuning(host, name, data, backbone, tmp_path):
    config, options = FINE_TUNING[name]
    options += [f"model.backbone.init_cfg.checkpoint={backbone}", "randomness.seed=0"]

    def lines(folder: Path, goes_on: bool) -> list[list[str]]:
        line = ["-m", "selfpatch", "finetune", config, "--work-dir", str(folder)]
        return [line + ["--resume"] * goes_on + ["--cfg-options", *options]]

    def ended(folder: Path) -> Any:
        (found,) = read_results([folder]).values()
        return sorted(found.metrics)

    def whole(folder: Path) -> None:
        last = folder / "last_checkpoint"  # the one that a resumed run takes up
        if last.exists() and last.read_text():
            CheckpointLoader.load_checkpoint(last.read_text())

    roots = {"COCO_ROOT": str(data / "coco"), "ADE20K_ROOT": str(data / "ade20k")}
    survives(Job(host, lines, ended, whole, roots), tmp_path, KILLS)

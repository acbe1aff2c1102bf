"""Faults of the machine: what each command says, and what it keeps.

Each is given to the real commands: a full, read-only or missing folder, an output that is a file,
a reader that has gone, too few files, a killed loader, Ctrl-C, missing packages.
"""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from selfpatch import load_backbone
from selfpatch.engine.checkpoints import damage_of, newest
from tests import ROOT
from tests.engine.tiny_pretraining import CONFIG_OPTIONS, arguments
from tests.programs import Done, Parent, Program

pytestmark = pytest.mark.slow

OPTIONS = {
    **CONFIG_OPTIONS["demo_selfpatch.py"],
    "default_hooks.checkpoint.by_epoch": False,
    "default_hooks.checkpoint.interval": 1,
    "default_hooks.checkpoint.keep_last": 0,
    "train_cfg.max_epochs": 3,
}


def commands(data: Path, backbone: Path, images: Path, out: Path) -> dict[str, list[str]]:
    """Every command that writes, with ``out`` as what it writes."""
    lines: dict[str, list] = {
        "pretrain": arguments("demo_selfpatch.py", images, out, OPTIONS),
        "run": ["-m", "selfpatch", "davis", "run", "--davis", data / "davis", "--weights", backbone,
                "--short-side", 96, "--out", out],
        "score": ["-m", "selfpatch", "davis", "score", "--davis", data / "davis", "--results",
                  data / "davis/Annotations/480p", "--json", out / "scores.json"],
        "export": ["-m", "selfpatch", "export", backbone, out / "b.safetensors"],
        "timm": ["-m", "selfpatch", "export", backbone, out / "timm", "--format", "timm"],
        "import": ["-m", "selfpatch", "import", backbone, out / "b.safetensors"],
    }  # fmt: skip
    return {name: [str(part) for part in line] for name, line in lines.items()}


def said(done: Done) -> str:
    """The one sentence that a command ended with."""
    assert done.returncode == 2, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return sentence


NAMES = ["pretrain", "run", "score", "export", "timm", "import"]


@pytest.mark.parametrize("name", NAMES)
def test_an_output_below_a_file_is_one_sentence(name, programs, data, backbone, images, tmp_path):
    (tmp_path / "file").touch()
    line = commands(data, backbone, images, tmp_path / "file")[name]
    assert re.search(
        r"file.*: (a part of the path is a file|it is there already)", said(programs.run(*line))
    )


def in_small_file_system(line: list[str], place: Path, size: str, options: str = "") -> Done:
    """Run a command that sees a new file system of a few kilobytes at ``place``."""
    place.mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o size={size} none {place} && {options} exec {sys.executable} "
    words = " ".join(f"'{word}'" for word in line)
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount + words]
    done = subprocess.run(unshare, cwd=ROOT, capture_output=True, text=True)
    if done.returncode and "Traceback" not in done.stderr and "error: " not in done.stderr:
        pytest.skip(f"no file system of its own: {done.stderr.strip()[-200:]}")
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_one_sentence(name, data, backbone, images, tmp_path):
    line = commands(data, backbone, images, tmp_path / "small")[name]
    size = "8k" if name in ("run", "score") else "100k"
    assert "the disk is full; free some space" in said(
        in_small_file_system(line, tmp_path / "small", size)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_read_only_file_system_is_one_sentence(name, data, backbone, images, tmp_path):
    place = tmp_path / "small"
    line = commands(data, backbone, images, place)[name]
    sentence = said(in_small_file_system(line, place, "1m", f"mount -o remount,ro {place} &&"))
    assert "the file system is read-only; name another folder" in sentence


def test_a_full_disk_keeps_the_checkpoints_that_are_there(programs, images, tmp_path):
    """The disk is full as soon as some were written; then there is room, and the run goes on."""
    line = arguments("demo_selfpatch.py", images, tmp_path / "run", OPTIONS)
    program = (
        "import os, sys, runpy\nimport selfpatch.engine.checkpoints as c\n"
        "save, count = c.torch.save, []\n"
        "def full(content, file):\n"
        "    count.append(1)\n"
        "    if len(count) < 4: return save(content, file)\n"
        "    open('/dev/full', 'wb', buffering=0).write(b'x')\n"
        "c.torch.save = full\nname, *sys.argv = sys.argv[2:]\nsys.argv = [name, *sys.argv]\n"
        "runpy.run_module(name, run_name='__main__', alter_sys=True)\n"
    )
    (tmp_path / "program.py").write_text(program)
    assert "the disk is full" in said(programs.run(tmp_path / "program.py", *line))
    assert [path.name for path in newest(tmp_path / "run")] == [
        "iter_3.pth",
        "iter_2.pth",
        "iter_1.pth",
    ]
    assert all(damage_of(path) is None for path in newest(tmp_path / "run"))
    resumed = arguments("demo_selfpatch.py", images, tmp_path / "run", OPTIONS, resume=True)
    assert programs.run(*resumed).returncode == 0
    whole = arguments("demo_selfpatch.py", images, tmp_path / "whole", OPTIONS)
    assert programs.run(*whole).returncode == 0
    found = [
        load_backbone(tmp_path / n / "backbone.safetensors")[1].weights for n in ("run", "whole")
    ]
    assert found[0] == found[1]


def test_a_full_disk_in_the_middle_of_a_plan_keeps_what_is_finished(data, tmp_path):
    """There is room for one backbone of two."""
    plan = tmp_path / "p.yaml"
    plan.write_text(
        f"data: {{davis: {data / 'davis'}}}\nseeds: [0, 1]\n"
        "backbones: {floor: {random: vit_tiny}}\n"
        "tasks: {davis2017: {davis: {}, options: {short-side: 64, device: cpu}}}\n"
    )
    work_dir = str(tmp_path / "small/w")
    line = ["-m", "selfpatch", "bench", str(plan), "--work-dir", work_dir, "--jobs", "1"]
    done = in_small_file_system(line, tmp_path / "small", "34m")
    assert done.returncode == 2
    assert "done   davis2017 of floor, seed 0" in done.stdout
    assert f"report: {work_dir}/report.html" in done.stdout
    sentence = done.stderr.strip().splitlines()[-1]
    assert "2 of the jobs are not done: draw floor, seed 1 failed; its log" in sentence
    assert "backbone.safetensors: the disk is full; free some space" in sentence
    assert "snakemake" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["check", "table", "score"])
def test_a_reader_that_has_enough_ends_a_command_quietly(name, data, backbone, tmp_path):
    """As ``| head -1`` does."""
    results = tmp_path / "results.json"
    lines = {
        "check": ["-m", "selfpatch", "check-data", "coco", str(data / "coco")],
        "score": commands(data, backbone, tmp_path, tmp_path / "out")["score"],
        "table": ["-m", "selfpatch", "table", str(results)],
    }
    if name == "table":
        run = commands(data, backbone, tmp_path, tmp_path)["run"]
        subprocess.run([sys.executable, *run], cwd=ROOT, check=True, capture_output=True)
    start = [sys.executable, "-u", *lines[name]]
    with subprocess.Popen(start, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout
        assert done.stderr
        done.stdout.close()
        assert done.stderr.read() == b""
    assert done.returncode == 0


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))


def test_too_many_open_files_is_one_sentence(images, tmp_path):
    options = {**OPTIONS, "train_dataloader.num_workers": 8}
    line = [sys.executable, *arguments("demo_selfpatch.py", images, tmp_path / "run", options)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, preexec_fn=few_files)
    sentence = said(Done(done.returncode, done.stdout, done.stderr))
    assert "too many files are open; raise the limit (ulimit -n 4096)" in sentence


def long_training(programs: Parent, images: Path, out: Path) -> Program:
    """One that does not end by itself, begun."""
    options = {**OPTIONS, "train_cfg.max_epochs": 5000, "train_dataloader.num_workers": 1}
    options["default_hooks.checkpoint.keep_last"] = 1
    started = programs.start(*arguments("demo_selfpatch.py", images, out, options))
    limit = time.monotonic() + 60
    while not newest(out) and time.monotonic() < limit:
        time.sleep(0.05)
    return started


def test_a_killed_loader_is_one_sentence(programs, images, tmp_path):
    started = long_training(programs, images, tmp_path / "run")
    loaders = started.children()
    assert loaders
    for pid in loaders:
        os.kill(pid, signal.SIGKILL)
    assert "a process that loads data was killed" in said(started.wait())
    assert damage_of(newest(tmp_path / "run")[0]) is None


@pytest.mark.parametrize("seed", range(4))
def test_ctrl_c_at_any_moment_is_one_sentence(seed, programs, images, tmp_path):
    """Half of the time of so small a run goes into its checkpoints."""
    started = long_training(programs, images, tmp_path / "run")
    time.sleep(random.Random(seed).uniform(0, 0.5))
    os.killpg(started.pid, signal.SIGINT)
    done = started.wait()
    assert done.returncode == 130, done.stderr[-2000:]
    assert done.stderr.splitlines()[-1] == "interrupted; what was finished is kept"
    assert "Traceback" not in done.stderr
    assert started.children() == []
    assert all(damage_of(path) is None for path in newest(tmp_path / "run"))


@pytest.mark.parametrize("command", ["pretrain x.py", "davis run --davis . --weights x --out x"])
def test_ctrl_c_while_a_command_imports_is_one_sentence(command):
    start = [sys.executable, "-m", "selfpatch", *command.split()]
    with subprocess.Popen(start, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        limit = time.monotonic() + 20
        maps = Path(f"/proc/{done.pid}/maps")
        while "numpy" not in maps.read_text() and time.monotonic() < limit:
            time.sleep(0.01)
        done.send_signal(signal.SIGINT)
        assert done.stderr
        said = done.stderr.read().decode()
    assert said == "interrupted; what was finished is kept\n"
    assert done.returncode == 130


def test_a_memory_limit_is_one_sentence(images, tmp_path):
    options = {**OPTIONS, "model.selfpatch.patch_head.num_prototypes": 2**40}
    line = [sys.executable, *arguments("demo_selfpatch.py", images, tmp_path / "run", options)]

    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2**35, 2**35))

    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, preexec_fn=little_memory)
    assert "memory" in said(Done(done.returncode, done.stdout, done.stderr))


@pytest.mark.parametrize(
    ("package", "extra", "line"),
    [
        ("mmengine", "openmmlab", ["-m", "selfpatch", "pretrain", "x.py"]),
        (
            "mmengine",
            "openmmlab",
            ["-m", "selfpatch", "finetune", f"{ROOT}/mmdet_configs/_base_/coco.py"],
        ),
        ("matplotlib", "plots", ["-m", "selfpatch", "curves", "x", "--out", "x.png"]),
        (
            "av",
            "plots",
            ["-m", "selfpatch", "davis", "show", "--davis", ".", "--results", ".", "--out", "x"],
        ),
        ("onnx", "export", ["-m", "selfpatch", "export", "B", "x.onnx", "--format", "onnx"]),
    ],
)
def test_a_missing_package_is_one_sentence_with_what_brings_it(package, extra, line, backbone):
    program = (
        "import runpy, sys\n"
        f"sys.modules[{package!r}] = None\n"
        "as_module = sys.argv[1] == '-m'\n"
        "sys.argv = sys.argv[1 + as_module:]\n"
        "run = runpy.run_module if as_module else runpy.run_path\n"
        "run(sys.argv[0], run_name='__main__', **({'alter_sys': True} if as_module else {}))\n"
    )
    words = [str(backbone) if word == "B" else word for word in line]
    start = [sys.executable, "-c", program, *words]
    done = subprocess.run(start, cwd=ROOT, capture_output=True, text=True)
    sentence = said(Done(done.returncode, done.stdout, done.stderr))
    assert (
        sentence
        == f"error: {package} is not installed; `pip install 'selfpatch[{extra}]'` brings it"
    )


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("model.trunk.patch_sizes=8", "patch_size"),
        ("model.selfpatch.neighborhood=3", "neighbourhood"),
        ("train_cfg.schedule.wramup_epochs=1", "warmup_epochs"),
        ("default_hooks.checkpoint.intervall=1", "interval"),
        ("views.0.solarise=0.2", "solarize"),
        ("optim_wrapper.precison=bf16", "precision"),
    ],
)
def test_a_misspelt_setting_is_named_with_what_was_meant(
    setting, meant, programs, images, tmp_path
):
    line = arguments("demo_selfpatch.py", images, tmp_path / "run", OPTIONS)
    sentence = said(programs.run(*line, setting))
    assert sentence.endswith(f"did you mean {meant}?")


def planted(path: Path, trace: Path) -> Path:
    """A checkpoint of every layout at once that makes a folder where it is unpickled blindly."""

    class Planted:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(trace),)

    state = {"patch_embed.proj.weight": torch.zeros(1)}
    content = {"state_dict": state, "meta": {"iter": 1, "epoch": 1}, "optimizer": {},
               "message_hub": {}, "selfpatch": {}, "planted": Planted()}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def test_no_command_runs_what_is_planted_in_a_checkpoint(programs, data, images, tmp_path):
    trace = tmp_path / "was_run"
    path = planted(tmp_path / "planted.pth", trace)
    work = tmp_path / "work"
    planted(work / "epoch_1.pth", trace)
    (work / "last_checkpoint").write_text(str(work / "epoch_1.pth"))
    roots = {"COCO_ROOT": str(data / "coco"), "ADE20K_ROOT": str(data / "ade20k")}
    init = f"model.backbone.init_cfg.checkpoint={path}"
    det = "mmdet_configs/mask-rcnn_selfpatch-small_fpn_coco.py"
    seg = "mmseg_configs/semantic-fpn_selfpatch-small_ade20k-128x128.py"
    run = commands(data, path, images, tmp_path / "out")
    fine = ["--work-dir", str(tmp_path / "f"), "--cfg-options"]
    davis, read = ["-m", "selfpatch", "davis"], ["--weights", str(path), "--json"]
    lines = {
        "export": run["export"],
        "import": run["import"],
        "run": run["run"],
        "keypoints": [*davis, "keypoints", "--jhmdb", ".", *read, str(tmp_path / "k.json")],
        "sweep": [*davis, "sweep", "--davis", str(data / "davis"), *read, str(tmp_path / "s.json")],
        "pretrain, resumed": [*arguments("demo_selfpatch.py", images, work, OPTIONS, resume=True)],
        "pretrain, load_from": [*arguments("demo_selfpatch.py", images, tmp_path / "p", OPTIONS),
                                f"load_from={path}"],
        "mmdet": ["-m", "selfpatch", "finetune", det, *fine, init],
        "mmdet, load_from": ["-m", "selfpatch", "finetune", det, *fine, f"load_from={path}"],
        "mmseg": ["-m", "selfpatch", "finetune", seg, *fine, init],
        "mmseg, resumed": ["-m", "selfpatch", "finetune", seg, "--work-dir", str(work), "--resume"],
    }  # fmt: skip
    for name, line in lines.items():
        done = programs.run(*line, env=roots)
        assert done.returncode == 2, (name, done.stderr[-2000:])
        assert "error: " in done.stderr, name
        assert not trace.exists(), name

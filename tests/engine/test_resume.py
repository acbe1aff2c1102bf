"""A run that was killed goes on as if nothing had happened; several processes train as one."""

import shutil
import subprocess
import sys

import pytest
import torch

from selfpatch.backbones.file import digest
from selfpatch.engine.checkpoints import newest
from selfpatch.errors import InputError
from tests import ROOT
from tests.engine.tiny_pretraining import (
    ACCUMULATED,
    CONFIG_OPTIONS,
    EVERY_STEP,
    KEEP_ALL,
    arguments,
    train,
    weights,
)
from tests.programs import processes_of

pytestmark = pytest.mark.slow

MOBY = "selfpatch-moby_vit-s16_8xb64-300e_in1k.py"
MOBY_OPTIONS = {
    **{k: v for k, v in CONFIG_OPTIONS["demo_selfpatch.py"].items() if "views.2" not in k},
    "model.objective.out_dim": 8,
    "model.objective.queue_size": 12,
    "model.selfpatch.patch_head.hidden_dim": 16,
}
MOBY_OPTIONS.pop("model.objective.num_prototypes")


def run(programs, config, images, work_dir, options, processes=1, resume=False) -> None:
    launcher = "pytorch" if processes > 1 else "none"
    line = arguments(config, images, work_dir, options, launcher, resume)
    for done in processes_of(programs, processes, line):
        assert done.returncode == 0, done.stderr[-2000:]


def torchrun(programs, config, images, work_dir, options, processes) -> None:
    """The same with a command as users type it."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    line = [*start, f"--nproc-per-node={processes}"]
    line += arguments(config, images, work_dir, options, launcher="pytorch")
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def killed(programs, config, images, work_dir, options, processes, kill_at: int) -> None:
    """Run until every process SIGKILLs itself, or misses one that did."""
    loop = {"custom_imports.imports": "[selfpatch.engine,tests.engine.killed_loop]"}
    launcher = "pytorch" if processes > 1 else "none"
    line = arguments(config, images, work_dir, {**options, **loop}, launcher)
    done = processes_of(programs, processes, line, KILL_AT=str(kill_at))
    assert -9 in [process.returncode for process in done], done[0].stderr[-2000:]


@pytest.mark.parametrize(
    ("config", "options", "processes", "kill_at"),
    [
        ("demo_selfpatch.py", CONFIG_OPTIONS["demo_selfpatch.py"] | ACCUMULATED, 1, 9),
        (MOBY, MOBY_OPTIONS, 1, 4),
        (MOBY, MOBY_OPTIONS | {"optim_wrapper.precision": "bf16"}, 2, 7),
        ("demo_selfpatch.py", CONFIG_OPTIONS["demo_selfpatch.py"] | {"sharded": True}, 2, 2),
    ],
    ids=[
        "accumulated",
        "queues and batch norm",
        "two processes in bf16",
        "sharded, prototypes frozen",
    ],
)
def test_a_killed_run_resumes_to_the_same_weights(
    config, options, processes, kill_at, images, tmp_path, programs
):
    options = {**options, **EVERY_STEP}
    last = "iter_24.pth" if "optim_wrapper.accumulative_counts" in options else "iter_12.pth"
    stopped = tmp_path / "stopped"
    killed(programs, config, images, stopped, options, processes, kill_at)
    assert newest(stopped)[0].name == f"iter_{kill_at // 2 * 2}.pth"
    run(programs, config, images, stopped, options, processes, resume=True)
    run(programs, config, images, tmp_path / "whole", options, processes)
    whole, resumed = (weights(tmp_path / name, last) for name in ("whole", "stopped"))
    assert digest(resumed) == digest(whole)


@pytest.mark.parametrize(("config", "start"), [("demo_selfpatch.py", torchrun), (MOBY, run)])
def test_two_processes_train_as_one_with_the_same_images_per_step(
    config, start, images, tmp_path, programs
):
    """Weights agree within fp32 rounding; drop path differs by process, so it is off.

    A key's bias changes no attention, so that its gradient is rounding alone, which Adam blows up.
    """
    options = MOBY_OPTIONS if config == MOBY else CONFIG_OPTIONS[config]
    options = {**options, "model.trunk.drop_path_rate": 0.0}
    run(programs, config, images, tmp_path / "one", options)
    start(programs, config, images, tmp_path / "two", options, processes=2)
    one, two = (weights(tmp_path / name, "epoch_2.pth") for name in ("one", "two"))
    for name, value in one.items():
        if "attn.k.bias" not in name and "qkv.bias" not in name:
            torch.testing.assert_close(two[name], value, atol=1e-4, rtol=0, msg=name)


def test_a_sharded_model_trains_as_a_whole_one(images, tmp_path, programs):
    options = CONFIG_OPTIONS["demo_selfpatch.py"]
    for sharded in (False, True):
        work_dir = tmp_path / f"sharded={sharded}"
        run(
            programs,
            "demo_selfpatch.py",
            images,
            work_dir,
            options | {"sharded": sharded},
            processes=2,
        )
    whole, parts = (weights(tmp_path / f"sharded={s}", "epoch_2.pth") for s in (False, True))
    for name, value in whole.items():
        if "attn.k.bias" not in name and "qkv.bias" not in name:
            torch.testing.assert_close(parts[name], value, atol=1e-6, rtol=0, msg=name)


def test_accumulated_batches_train_as_one_batch(images, tmp_path):
    same = {"model.trunk.drop_path_rate": 0.0}
    accumulated = {**same, "optim_wrapper.accumulative_counts": 2}
    config = "demo_selfpatch.py"
    one = weights(train(config, images, tmp_path / "one", **same), "epoch_2.pth")
    two = weights(train(config, images, tmp_path / "two", **accumulated), "epoch_2.pth")
    for name, value in one.items():
        if "attn.k.bias" not in name and "qkv.bias" not in name:
            torch.testing.assert_close(two[name], value, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_run_in_low_precision_resumes_with_its_loss_scale(precision, images, tmp_path):
    # In fp16 all gradients of the first steps overflow, until the loss scale has fallen.
    options = {**KEEP_ALL, "optim_wrapper.precision": precision, "train_cfg.max_epochs": 6}
    whole = train("demo_selfpatch.py", images, tmp_path / "whole", **options)
    scaler = torch.load(whole / "epoch_5.pth", weights_only=True)["optimizer"]["scaler"]
    assert bool(scaler) == (precision == "fp16")
    resumed = tmp_path / "resumed"
    resumed.mkdir()
    shutil.copy(whole / "epoch_5.pth", resumed)
    train("demo_selfpatch.py", images, resumed, resume=True, **options)
    before = weights(whole, "epoch_5.pth")
    expected, found = (weights(folder, "epoch_6.pth") for folder in (whole, resumed))
    assert digest(found) == digest(expected)
    name = "student.trunk.blocks.0.mlp.fc1.weight"
    assert not found[name].equal(before[name])
    exact = weights(
        train("demo_selfpatch.py", images, tmp_path / "fp32", **{"train_cfg.max_epochs": 6}),
        "epoch_6.pth",
    )
    assert digest(exact) != digest(expected)


CHANGED = {"train_cfg.schedule.warmup_epochs": 0, "train_cfg.schedule.freeze_last_layer_epochs": 0}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"total_batch_size": 8}, "trained with total_batch_size=4, and this run has 8"),
        ({"train_cfg.schedule.lr": 1e-9}, "trained with train_cfg.schedule.lr=0.003, and this run"),
        (
            {"views.0.scale": (0.5, 1.0)},
            r"with views.0.scale=\[0.25, 1.0\], and this run has \[0.5",
        ),
        ({"randomness.seed": 7}, "trained with randomness.seed=0, and this run has 7"),
        (
            {"optim_wrapper.precision": "bf16"},
            "optim_wrapper.precision=fp32, and this run has bf16",
        ),
        ({"model.trunk.depth": 3}, "trained with model.trunk.depth=2, and this run has 3"),
    ],
)
def test_a_run_is_not_taken_up_with_what_would_make_it_another(changed, sentence, images, tmp_path):
    """A larger batch once resumed with no iteration left, and wrote a backbone as if finished."""
    train("demo_dino.py", images, tmp_path, train_cfg__max_epochs=1, **CHANGED)
    (tmp_path / "backbone.safetensors").unlink()
    with pytest.raises(InputError, match=sentence):
        train("demo_dino.py", images, tmp_path, resume=True, **{**CHANGED, **changed})
    assert not (tmp_path / "backbone.safetensors").exists()


def test_a_run_is_not_taken_up_on_other_images(images, tmp_path):
    train("demo_dino.py", images, tmp_path / "run", train_cfg__max_epochs=1, **CHANGED)
    fewer = tmp_path / "fewer"
    shutil.copytree(images, fewer)
    next(path for path in sorted(fewer.rglob("*")) if path.is_file()).unlink()
    with pytest.raises(InputError, match="was trained with images=14, and this run has 13"):
        train("demo_dino.py", fewer, tmp_path / "run", resume=True, **CHANGED)


@pytest.mark.parametrize(
    ("draws", "git", "code"),
    [(None, "c0ffee", "of commit c0ffee"), (1, "", "that wrote it"), (10**6, "", "that wrote it")],
)
def test_a_run_is_not_taken_up_by_code_that_draws_other_views(draws, git, code, images, tmp_path):
    """Checkpoints without a number of their draws were written before there was one."""
    train("demo_dino.py", images, tmp_path, train_cfg__max_epochs=1, **CHANGED)
    path = tmp_path / "epoch_1.pth"
    checkpoint = torch.load(path, weights_only=True)
    note = checkpoint["selfpatch"]
    assert note.pop("draws") > 1
    note |= {"git": git} | ({"draws": draws} if draws is not None else {})
    torch.save(checkpoint, path)
    sentence = f"epoch_1.pth was .* other views of each image; go on with the code {code}, or begin"
    with pytest.raises(InputError, match=sentence):
        train("demo_dino.py", images, tmp_path, resume=True, **CHANGED)
    assert not (tmp_path / "epoch_2.pth").exists()


def test_a_longer_run_goes_on_from_a_shorter_one_and_says_so(images, tmp_path):
    train("demo_dino.py", images, tmp_path, train_cfg__max_epochs=1, **CHANGED)
    other = {"train_dataloader.num_workers": 1, "default_hooks.logger.interval": 2}
    train("demo_dino.py", images, tmp_path, resume=True, **{**CHANGED, **other})
    logs = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert "the run goes on with train_cfg.max_epochs=2 in the place of 1" in logs
    assert (tmp_path / "epoch_2.pth").exists()


def test_a_run_may_be_taken_up_with_other_accumulation(images, tmp_path):
    """Two batches a step after the first epoch, as with half the processes: the same steps."""
    same = {**KEEP_ALL, "model.trunk.drop_path_rate": 0.0, "train_cfg.max_epochs": 3}
    whole = train("demo_selfpatch.py", images, tmp_path / "whole", **same)
    resumed = tmp_path / "resumed"
    resumed.mkdir()
    shutil.copy(whole / "epoch_1.pth", resumed)
    train("demo_selfpatch.py", images, resumed, resume=True, **same, **ACCUMULATED)
    expected, found = (weights(folder, "epoch_3.pth") for folder in (whole, resumed))
    for name, value in expected.items():
        if "attn.k.bias" not in name and "qkv.bias" not in name:
            torch.testing.assert_close(found[name], value, atol=1e-5, rtol=0, msg=name)

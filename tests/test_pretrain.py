"""The pretraining command: what it leaves, how it goes on, what it says of bad input."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from selfpatch import load_backbone
from selfpatch.checkpoint import fingerprint, read_backbone
from selfpatch.engine.launch import batch_per_process, pretrain, read_config
from selfpatch.engine.optimizer import clip_all, clip_each
from selfpatch.engine.schedules import cosine, linear_warmup, warmup_cosine
from selfpatch.errors import InputError

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "selfpatch/configs"
TINY = {
    "total_batch_size": 4,
    "train_dataloader.num_workers": 0,
    "train_dataloader.dataset.views.0.size": 32,
    "train_dataloader.dataset.views.1.size": 32,
    "train_dataloader.dataset.views.2.size": 16,
    "train_dataloader.dataset.views.2.count": 2,
    "model.backbone.embed_dim": 24,
    "model.backbone.num_heads": 2,
    "model.backbone.depth": 2,
    "model.backbone.patch_size": 8,
    "model.backbone.image_size": 32,
    "model.backbone.drop_path_rate": 0.2,
    "model.objective.num_prototypes": 32,
    "model.objective.hidden_dim": 16,
    "train_cfg.max_epochs": 2,
    "default_hooks.logger.interval": 1,
}
TINY_PATCHES = {"model.selfpatch.patch_head.num_prototypes": 16}
CONFIG_OPTIONS = {"demo_selfpatch.py": {**TINY, **TINY_PATCHES}, "demo_dino.py": TINY}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Fourteen images, in two class folders, of several sizes and modes."""
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for number in range(14):
        shape = (40 + number, 48, 3) if number % 3 else (40 + number, 48)
        path = folder / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return folder


def train(config: str, images: Path, work_dir: Path, resume: bool = False, **options) -> Path:
    options = {name.replace("__", "."): value for name, value in options.items()}
    overrides = {**CONFIG_OPTIONS[config], **options, "experiment_name": f"{work_dir} {resume}"}
    pretrain(str(CONFIGS / config), str(images), str(work_dir), resume=resume, options=overrides)
    return work_dir


def weights(work_dir: Path, name: str) -> dict[str, torch.Tensor]:
    return torch.load(work_dir / name, weights_only=True)["state_dict"]


@pytest.mark.parametrize("config", CONFIG_OPTIONS)
def test_a_run_leaves_a_backbone_file_that_is_the_last_teacher(config, images, tmp_path):
    work_dir = train(config, images, tmp_path)
    vit, info = load_backbone(work_dir / "backbone.safetensors")
    assert info.method == ("dino" if "dino" in config else "dino+selfpatch")
    assert "MultiViewDataset" in info.recipe
    saved = weights(work_dir, "epoch_2.pth")
    assert vit.pos_embed.equal(saved["teacher.backbone.pos_embed"])
    norm = "teacher.backbone.norm" if "dino" in config else "teacher.aggregation_head.norm"
    assert vit.norm.weight.equal(saved[f"{norm}.weight"])
    assert not vit.pos_embed.equal(saved["student.backbone.pos_embed"])
    student, _ = read_backbone(work_dir / "epoch_2.pth", network="student")
    assert student["pos_embed"].equal(saved["student.backbone.pos_embed"])


def test_a_run_stopped_in_the_middle_of_an_epoch_resumes_to_the_same_weights(images, tmp_path):
    every = {"default_hooks__checkpoint__by_epoch": False, "default_hooks__checkpoint__interval": 1}
    whole = train("demo_selfpatch.py", images, tmp_path / "whole", **every)
    stopped = tmp_path / "stopped"
    stop = {"train_cfg__type": "StopAfterFourSteps"}
    with pytest.raises(Interrupted):
        train("demo_selfpatch.py", images, stopped, **every, **stop)
    assert (stopped / "last_checkpoint").read_text().endswith("iter_4.pth")
    train("demo_selfpatch.py", images, stopped, resume=True, **every)
    assert fingerprint(weights(stopped, "iter_6.pth")) == fingerprint(weights(whole, "iter_6.pth"))


class Interrupted(Exception):
    """Stands for a killed run."""


@pytest.fixture(autouse=True)
def _stopping_loop():
    from mmengine.registry import LOOPS

    from selfpatch.engine.loop import PretrainLoop

    class StopAfterFourSteps(PretrainLoop):
        def run_iter(self, idx, data_batch) -> None:
            if self._iter == 4:
                raise Interrupted
            super().run_iter(idx, data_batch)

    LOOPS.register_module("StopAfterFourSteps", module=StopAfterFourSteps, force=True)


def test_views_depend_on_seed_epoch_and_index_alone(images):
    from selfpatch.data.views import MultiViewDataset, View

    views = [View(32, (0.25, 1.0)), View(16, (0.05, 0.25), count=2)]
    dataset = MultiViewDataset(str(images), views)
    first = dataset[1, 3]["views"]
    torch.rand(5)
    again = dataset[1, 3]["views"]
    other_epoch = dataset[2, 3]["views"]
    assert [tuple(view.shape) for view in first] == [(3, 32, 32), (3, 16, 16), (3, 16, 16)]
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not all(a.equal(b) for a, b in zip(first, other_epoch, strict=True))
    assert not first[1].equal(first[2])


def test_every_process_sees_its_share_and_together_they_see_each_image_once(monkeypatch):
    from selfpatch.engine import sampling

    seen = []
    for rank in range(3):
        monkeypatch.setattr(sampling, "get_dist_info", lambda rank=rank: (rank, 3))
        sampler = sampling.EpochSampler(range(11), seed=5)
        sampler.set_epoch(2)
        whole = list(sampler)
        sampler.start = 2
        assert list(sampler) == whole[2:]
        assert len(whole) == len(sampler) == 3
        seen += whole
    assert len(set(seen)) == 9
    assert {epoch for epoch, _ in seen} == {2}


def test_two_processes_train_as_one_with_the_same_images_per_step(images, tmp_path):
    """Losses and weights agree within fp32 rounding; drop path differs by process, so it is off."""
    same = {"model.backbone.drop_path_rate": 0.0}
    train("demo_selfpatch.py", images, tmp_path / "one", **same)
    options = [f"{k}={v}" for k, v in {**CONFIG_OPTIONS["demo_selfpatch.py"], **same}.items()]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "tools/pretrain.py", "selfpatch/configs/demo_selfpatch.py", "--launcher", "pytorch",
        "--data", str(images), "--work-dir", str(tmp_path / "two"), "--cfg-options",
        *options,
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (weights(tmp_path / name, "epoch_2.pth") for name in ("one", "two"))
    for name, value in one.items():
        if "attn.k.bias" not in name and "qkv.bias" not in name:
            torch.testing.assert_close(two[name], value, atol=1e-4, rtol=0, msg=name)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"optim_wraper.clip_norm": 1}, "did you mean optim_wrapper"),
        ({"model.backbone.patchsize": 8}, "patchsize"),
        ({"model.backbone.variant": "vit_huge"}, "no variant 'vit_huge'"),
        ({"train_cfg.max_epoch": 3}, "max_epoch"),
        ({"total_batch_size": 64}, "14 images do not fill one step of 64"),
    ],
)
def test_a_mistake_in_the_config_is_one_sentence(options, sentence, images, tmp_path):
    with pytest.raises(InputError, match=sentence) as caught:
        pretrain(
            str(CONFIGS / "demo_dino.py"),
            str(images),
            str(tmp_path),
            options={**TINY, **options, "experiment_name": str(tmp_path)},
        )
    assert "\n" not in str(caught.value)


def test_bad_images_are_named_and_end_the_command_without_traceback(images, tmp_path):
    broken = tmp_path / "images"
    broken.mkdir()
    whole = next(images.rglob("*.png")).read_bytes()
    for number in range(4):
        (broken / f"{number}.png").write_bytes(whole[: len(whole) // (1 + number // 3)])
    options = [f"{name}={value}" for name, value in TINY.items()]
    options.append("train_dataloader.num_workers=2")
    for data, sentence in [
        (tmp_path / "missing", "does not exist"),
        (broken, "3.png cannot be read as an image"),
    ]:
        command = [
            sys.executable, "tools/pretrain.py", "selfpatch/configs/demo_dino.py",
            "--data", str(data), "--work-dir", str(tmp_path / "work"), "--cfg-options", *options,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2
        assert sentence in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


def test_a_checkpoint_that_would_run_code_is_refused_on_resume(images, tmp_path):
    train("demo_dino.py", images, tmp_path, train_cfg__max_epochs=1)
    torch.save({"state_dict": {}, "meta": Interrupted}, tmp_path / "epoch_1.pth")
    with pytest.raises(InputError, match="cannot resume from"):
        train("demo_dino.py", images, tmp_path, resume=True)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_every_config_says_how_to_run_it_and_builds(path):
    from mmengine.registry import MODELS

    docstring = path.read_text().split('"""')[1]
    for part in ("Command:", "Source:", "Expect:"):
        assert part in docstring
    cfg = read_config(str(path), {})
    with torch.device("meta"):
        model = MODELS.build(cfg.model)
    trained = sum(p.numel() for p in model.student.backbone.parameters())
    assert trained > 1e6


def test_images_of_a_step_are_shared_out_over_processes_and_accumulation():
    cfg = read_config(str(CONFIGS / "demo_dino.py"), {"optim_wrapper.accumulative_counts": 2})
    cfg.total_batch_size = 48
    assert batch_per_process(cfg, world_size=4) == 6
    with pytest.raises(InputError, match="does not divide by 10"):
        batch_per_process(cfg, world_size=5)


def test_clipping_scales_each_gradient_by_itself():
    gradients = [torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])]
    norms = clip_each(gradients, clip_norm=1.0)
    assert norms.tolist() == pytest.approx([5.0, 0.5])
    assert gradients[0].tolist() == pytest.approx([0.6, 0.8])
    assert gradients[1].tolist() == pytest.approx([0.3, 0.4])


def test_clipping_all_scales_gradients_together():
    gradients = [torch.tensor([3.0]), torch.tensor([4.0])]
    assert float(clip_all(gradients, clip_norm=1.0)) == pytest.approx(5.0)
    assert torch.cat(gradients).tolist() == pytest.approx([0.6, 0.8])


def test_schedules_by_hand():
    assert [warmup_cosine(step, 8, 3, 2.0, 0.0) for step in (0, 1, 2, 3)] == [0.0, 1.0, 2.0, 2.0]
    assert cosine(2, 4, 1.0, 0.0) == pytest.approx(0.5)
    assert [linear_warmup(step, 3, 0.0, 4.0) for step in range(5)] == [0.0, 2.0, 4.0, 4.0, 4.0]

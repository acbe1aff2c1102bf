"""The pretraining command: what it leaves, how it goes on, what it says of bad input."""

import subprocess
import sys

import pytest
import torch

from selfpatch import load_backbone
from selfpatch.backbones.file import read_backbone
from selfpatch.engine.launch import read_config
from selfpatch.engine.runner import images_per_batch
from selfpatch.errors import InputError
from tests import ROOT
from tests.engine.tiny_pretraining import CONFIG_OPTIONS, CONFIGS, TINY, arguments, train, weights


@pytest.mark.parametrize("config", CONFIG_OPTIONS)
def test_a_run_leaves_a_backbone_file_that_is_the_last_teacher(config, images, tmp_path):
    work_dir = train(config, images, tmp_path)
    vit, info = load_backbone(work_dir / "backbone.safetensors")
    assert info.method == ("dino" if "dino" in config else "dino+selfpatch")
    assert "total_batch_size = 4" in info.recipe
    saved = weights(work_dir, "epoch_2.pth")
    assert vit.pos_embed.equal(saved["teacher.backbone.pos_embed"])
    norm = "teacher.backbone.norm" if "dino" in config else "teacher.aggregation_head.norm"
    assert vit.norm.weight.equal(saved[f"{norm}.weight"])
    assert not vit.pos_embed.equal(saved["student.backbone.pos_embed"])
    student, _ = read_backbone(work_dir / "epoch_2.pth", network="student")
    assert student["pos_embed"].equal(saved["student.backbone.pos_embed"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"optim_wraper.clip_norm": 1}, "did you mean optim_wrapper"),
        ({"model.backbone.patchsize": 8}, "patchsize"),
        ({"model.backbone.variant": "vit_huge"}, "no variant 'vit_huge'"),
        ({"train_cfg.max_epoch": 3}, "max_epoch"),
        ({"total_batch_size": 64}, "14 images do not fill one step of 64"),
        ({"train_cfg.max_epochs": 0}, "max_epochs=0; give 1 or more"),
        ({"train_dataloader.batch_size": 8}, "train_dataloader.batch_size; known are folder"),
        ({"optim_wrapper.precision": "bf17"}, "precision must be one of fp32, bf16, fp16"),
        ({"optim_wrapper.clip": "foo"}, "clip must be one of each, all"),
    ],
)
def test_a_mistake_in_the_config_is_one_sentence(options, sentence, images, tmp_path):
    with pytest.raises(InputError, match=sentence) as caught:
        train("demo_dino.py", images, tmp_path, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_missing_folder_ends_the_command_without_traceback(tmp_path):
    line = arguments("demo_dino.py", tmp_path / "missing", tmp_path / "work", TINY)
    done = subprocess.run([sys.executable, *line], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "does not exist" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_every_config_says_how_to_run_it_and_builds(path):
    from mmengine.registry import MODELS

    docstring = path.read_text().split('"""')[1]
    for part in ("Command:", "Source:", "Expect:"):
        assert part in docstring
    cfg = read_config(str(path))
    with torch.device("meta"):
        model = MODELS.build(cfg.model)
    trained = sum(p.numel() for p in model.student.backbone.parameters())
    assert trained > 1e6


def test_images_of_a_step_are_shared_out_over_processes_and_accumulation():
    cfg = read_config(str(CONFIGS / "demo_dino.py"), {"optim_wrapper.accumulative_counts": 2})
    cfg.total_batch_size = 48
    assert images_per_batch(cfg, num_processes=4) == 6
    with pytest.raises(InputError, match="does not divide by 10"):
        images_per_batch(cfg, num_processes=5)


def test_a_folder_with_an_earlier_runs_checkpoints_is_refused_without_resume(images, tmp_path):
    train("demo_dino.py", images, tmp_path, train_cfg__max_epochs=1)
    with pytest.raises(InputError, match="holds checkpoints of an earlier run; add --resume"):
        train("demo_dino.py", images, tmp_path)

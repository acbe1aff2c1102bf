"""The pretraining command: what it leaves, how it goes on, what it says of bad input."""

import subprocess
import sys
from inspect import signature

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from selfpatch import load_backbone
from selfpatch.backbones.file import read_backbone
from selfpatch.backbones.loading import load_features
from selfpatch.engine.launch import described, read_config
from selfpatch.engine.schedules import Schedule
from selfpatch.engine.summary import images_per_batch
from selfpatch.errors import InputError
from selfpatch.models.heads import ProjectionHead
from selfpatch.models.networks import SelfPatchNetwork
from selfpatch.objectives.dino import DINO
from selfpatch.objectives.objective import Objective
from selfpatch.objectives.selfpatch import SelfPatchLoss
from selfpatch.results.settings import flat
from tests import ROOT
from tests.engine.tiny_pretraining import CONFIG_OPTIONS, CONFIGS, TINY, arguments, train, weights


@pytest.mark.parametrize("config", CONFIG_OPTIONS)
def test_a_run_leaves_a_backbone_file_that_is_the_last_teacher(config, images, tmp_path):
    work_dir = train(config, images, tmp_path)
    vit, info = load_backbone(work_dir / "backbone.safetensors")
    assert info.method == ("dino" if "dino" in config else "dino+selfpatch")
    assert "total_batch_size = 4" in info.recipe
    saved = weights(work_dir, "epoch_2.pth")
    assert vit.pos_embed.equal(saved["teacher.trunk.pos_embed"])
    norm = "teacher.trunk.norm" if "dino" in config else "teacher.aggregation_head.norm"
    assert vit.norm.weight.equal(saved[f"{norm}.weight"])
    assert not vit.pos_embed.equal(saved["student.trunk.pos_embed"])
    student, _ = read_backbone(work_dir / "epoch_2.pth", network="student")
    assert student["pos_embed"].equal(saved["student.trunk.pos_embed"])


class KeepTeacher(Hook):
    """Looks at an image as the last teacher does."""

    def after_train(self, runner) -> None:
        torch.manual_seed(5)
        with torch.no_grad():
            KeepTeacher.seen = runner.model.teacher.eval().features(torch.randn(2, 3, 32, 32))


@pytest.mark.parametrize("config", CONFIG_OPTIONS)
def test_a_finished_backbone_sees_an_image_as_its_run_did(config, images, tmp_path):
    """The summary that stands for an image in training, and in its k-NN, is in the file."""
    HOOKS.register_module(module=KeepTeacher, force=True)
    work_dir = train(config, images, tmp_path, hooks=[{"type": "KeepTeacher"}])
    torch.manual_seed(5)
    pictures = torch.randn(2, 3, 32, 32)
    for file in ("backbone.safetensors", "epoch_2.pth"):
        features, _ = load_features(work_dir / file)
        with torch.no_grad():
            found = features(pictures)
        for ours, teachers in zip(found, KeepTeacher.seen, strict=True):
            assert ours.equal(teachers)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"optim_wraper.clip_norm": 1}, "did you mean optim_wrapper"),
        ({"model.trunk.patchsize": 8}, "patchsize"),
        ({"model.trunk.variant": "vit_huge"}, "no variant 'vit_huge'"),
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
    trained = sum(p.numel() for p in model.student.trunk.parameters())
    assert trained > 1e6


def test_a_view_that_says_no_count_is_described_as_one(images):
    cfg = read_config(str(CONFIGS / "demo_dino.py"), data=str(images))
    cfg.views = [{"size": 96, "scale": (0.4, 1.0)}, {"count": 3, "size": 48, "scale": (0.05, 0.4)}]
    assert "4 of an image: 1 x 96 + 3 x 48 pixels" in described(cfg)


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


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_every_number_of_a_recipe_stands_in_its_config(path):
    """No value of objective, heads, patch loss, schedule or optimiser comes from a default."""
    cfg = read_config(str(path))
    model = cfg.model
    objective = Objective.known[model.objective.name]
    expected = set(signature(objective).parameters) - {"head"}
    if objective is DINO:
        expected |= set(signature(ProjectionHead).parameters) - {"embed_dim"}
    assert set(model.objective) == expected | {"name"}
    with_prototypes = objective is DINO or "selfpatch" in model
    if "selfpatch" in model:
        parts = {*signature(SelfPatchNetwork).parameters, *signature(SelfPatchLoss).parameters}
        parts -= {"trunk", "image_head", "num_prototypes"}
        assert set(model.selfpatch) == parts | {"weight", "views"}
        heads = set(signature(ProjectionHead).parameters) - {"embed_dim"}
        assert set(model.selfpatch.patch_head) == heads
    facts_of_the_run = {"num_steps", "steps_per_epoch", "images_per_step"}
    of_prototypes = {"teacher_temp", "teacher_temp_warmup_epochs", "freeze_last_layer_epochs"}
    scheduled = set(signature(Schedule).parameters) - facts_of_the_run
    assert set(cfg.train_cfg.schedule) == scheduled - (set() if with_prototypes else of_prototypes)
    assert {"clip_norm", "precision", "optimizer"} <= set(cfg.optim_wrapper)
    assert "betas" in cfg.optim_wrapper.optimizer
    assert {"total_batch_size", "views", "randomness"} <= set(cfg)
    assert {"variant", "image_size", "drop_path_rate"} <= set(model.trunk)


PAIRS = {
    "dino-matched_vit-s16_8xb128-200e_in1k.py": "selfpatch_vit-s16_8xb128-200e_in1k.py",
    "dino_vit-t16_imagenette128.py": "selfpatch_vit-t16_imagenette128.py",
    "demo_dino.py": "demo_selfpatch.py",
    "moby_vit-s16_8xb64-300e_in1k.py": "selfpatch-moby_vit-s16_8xb64-300e_in1k.py",
    "moby_swin-t_8xb64-300e_in1k.py": "selfpatch-moby_swin-t_8xb64-300e_in1k.py",
    "mocov3_vit-s16_8xb512-300e_in1k.py": "selfpatch-mocov3_vit-s16_8xb512-300e_in1k.py",
}
"""A method alone -> the same with SelfPatch; what a difference between the two is read from."""

OF_THE_METHOD = (
    "model.selfpatch",
    "model.trunk.class_token",
    "model.trunk.final_norm",
    "model.objective.center_views",
    "train_cfg.schedule.teacher_temp",
    "train_cfg.schedule.freeze_last_layer_epochs",
)
"""What SelfPatch changes of a recipe."""


@pytest.mark.parametrize(("alone", "both"), PAIRS.items(), ids=list(PAIRS))
def test_a_method_differs_from_itself_with_selfpatch_in_nothing_else(alone, both):
    one, other = (flat(read_config(str(CONFIGS / name)).to_dict()) for name in (alone, both))
    differing = {n for n in {*one, *other} if one.get(n, "none") != other.get(n, "none")}
    assert {name for name in differing if not name.startswith(OF_THE_METHOD)} <= {"work_dir"}
    assert any(name.startswith("model.selfpatch") for name in differing)


def test_selfpatch_is_the_same_on_every_method_of_the_paper():
    papers = [name for name in PAIRS.values() if name.endswith("in1k.py")]
    found = {name: read_config(str(CONFIGS / name)).model.selfpatch.to_dict() for name in papers}
    layers = {name: options.pop("patch_layer") for name, options in found.items()}
    assert all(options == found[papers[0]] for options in found.values())
    assert {name: layer for name, layer in layers.items() if layer != -1} == {
        "selfpatch-moby_swin-t_8xb64-300e_in1k.py": 2
    }


def test_the_printed_config_is_the_one_that_the_checkpoint_keeps(images, tmp_path, programs):
    options = {**CONFIG_OPTIONS["demo_dino.py"], "train_cfg.max_epochs": 1}
    line = arguments("demo_dino.py", images, tmp_path / "run", options)
    printed = programs.run(*line, "--print-config")
    assert printed.returncode == 0, printed.stderr
    assert not (tmp_path / "run").exists()
    assert programs.run(*line).returncode == 0
    note = torch.load(tmp_path / "run/epoch_1.pth", weights_only=True)["selfpatch"]
    assert printed.stdout == note["recipe"]

"""What the configs of mmdet_configs and mmseg_configs say: recipes, tasks, data roots."""

import pytest
from mmengine.config import Config

from selfpatch.results.file import TASKS
from tests import ROOT
from tests.host_configs import CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_says_how_to_run_it_and_which_task_it_is(path):
    docstring = path.read_text().split('"""')[1]
    for part in ("Command:", "Source:", "Expect:"):
        assert part in docstring
    (hook,) = Config.fromfile(path).custom_hooks
    assert hook.task in TASKS


def config(name: str) -> Config:
    return Config.fromfile(ROOT / name)


def test_detection_recipe_is_the_references():
    cfg = config("mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py")
    assert cfg.optim_wrapper.optimizer == {
        "type": "AdamW", "lr": 5e-5, "betas": (0.9, 0.999), "weight_decay": 0.05
    }  # fmt: skip
    assert cfg.train_cfg.max_epochs == 12
    assert cfg.param_scheduler[0].end == 1000
    assert cfg.param_scheduler[1].milestones == [8, 11]
    assert cfg.train_dataloader.batch_size == 1
    assert cfg.model.backbone.drop_path_rate == 0.05
    variant = config("mmdet_configs/mask-rcnn_selfpatch-vit-s16-8heads_fpn_1x_coco.py")
    assert variant.model.backbone == {**cfg.model.backbone, "override": {"num_heads": 8}}


@pytest.mark.parametrize(
    ("name", "iterations", "batch_size"),
    [("upernet", 160_000, 2), ("semantic-fpn", 40_000, 4)],
)
def test_segmentation_recipes_are_the_references(name, iterations, batch_size):
    schedule = f"{iterations // 1000}k"
    cfg = config(f"mmseg_configs/{name}_selfpatch-vit-s16_{schedule}_ade20k-512x512.py")
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ("AdamW", 6e-5, 0.01)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == iterations
    assert cfg.param_scheduler[0].end == 1500
    assert cfg.train_dataloader.batch_size == batch_size
    assert cfg.model.data_preprocessor.size == (512, 512)
    assert cfg.model.test_cfg.mode == "whole"


def test_data_roots_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("COCO_ROOT", "elsewhere/coco")
    monkeypatch.setenv("ADE20K_ROOT", "elsewhere/ade")
    detection = config("mmdet_configs/mask-rcnn_selfpatch-small_fpn_coco.py")
    assert detection.train_dataloader.dataset.data_root == "elsewhere/coco"
    assert detection.test_dataloader.dataset.data_root == "elsewhere/coco"
    expected = "elsewhere/coco/annotations/instances_val2017.json"
    assert detection.val_evaluator.ann_file == detection.test_evaluator.ann_file == expected
    segmentation = config("mmseg_configs/upernet_selfpatch-small_ade20k-128x128.py")
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        assert segmentation[loader].dataset.data_root == "elsewhere/ade"

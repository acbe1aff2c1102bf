"""Every config of mmdet_configs and mmseg_configs: it builds, trains a step and predicts."""

import re
from pathlib import Path

import mmdet.utils
import mmseg.registry
import mmseg.utils
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from selfpatch.results import TASKS

ROOT = Path(__file__).parents[1]
CONFIGS = sorted([*ROOT.glob("mmdet_configs/*.py"), *ROOT.glob("mmseg_configs/*.py")])
SIDE = 128
"""Of the images, in pixels; half of it for segmentation."""


def detection_batch() -> dict:
    image = torch.randint(0, 256, (3, SIDE, SIDE), dtype=torch.uint8)
    masks = np.zeros((2, SIDE, SIDE), dtype=np.uint8)
    masks[0, 10:60, 20:90], masks[1, 70:110, 30:60] = 1, 1
    truth = InstanceData(
        bboxes=torch.tensor([[20.0, 10, 90, 60], [30, 70, 60, 110]]),
        labels=torch.tensor([0, 17]),
        masks=BitmapMasks(masks, SIDE, SIDE),
    )
    sample = DetDataSample(metainfo=metainfo(SIDE), gt_instances=truth)
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0))
    return {"inputs": [image] * 2, "data_samples": [sample, sample.clone()]}


def segmentation_batch() -> dict:
    side = SIDE // 2
    image = torch.randint(0, 256, (3, side, side), dtype=torch.uint8)
    truth = PixelData(data=torch.randint(0, 150, (1, side, side)))
    sample = SegDataSample(metainfo=metainfo(side), gt_sem_seg=truth)
    return {"inputs": [image] * 2, "data_samples": [sample, sample.clone()]}


def metainfo(side: int) -> dict:
    size = (side, side)
    return {"img_shape": size, "ori_shape": size, "batch_input_shape": size, "pad_shape": size,
            "scale_factor": (1.0, 1.0)}  # fmt: skip


def read(path: Path) -> Config:
    """A config from random weights, with small images and few regions, at its full width."""
    cfg = Config.fromfile(path)
    model = cfg.model
    model.backbone.init_cfg = None
    if path.parent.name == "mmseg_configs":
        model.data_preprocessor.size = (SIDE // 2, SIDE // 2)
        return cfg
    stages = model.train_cfg.rcnn
    for stage in stages if isinstance(stages, list) else [stages]:
        stage.sampler.num = 16
    for proposals in (model.train_cfg.rpn_proposal, model.test_cfg.rpn):
        proposals.max_per_img = 16
    if augments := model.data_preprocessor.get("batch_augments"):
        augments[0].size = (SIDE, SIDE)
    if "window_size" in model.backbone:
        model.backbone.window_size = 3  # so that 8 x 8 patches are several windows
    return cfg


@pytest.fixture
def scope(request):
    """Hosts build from their own scope, as their Runner does."""
    host = request.param
    register = {"mmdet": mmdet.utils, "mmseg": mmseg.utils}[host].register_all_modules
    register(init_default_scope=False)
    with DefaultScope.overwrite_default_scope(host):
        yield host


def in_scope(path: Path):
    return pytest.param(path.parent.name.removesuffix("_configs"), path, id=path.stem)


@pytest.mark.parametrize(("scope", "path"), [*map(in_scope, CONFIGS)], indirect=["scope"])
def test_config_trains_a_step_and_predicts(scope, path):
    model = revert_sync_batchnorm(MODELS.build(read(path).model))
    batch = detection_batch() if scope == "mmdet" else segmentation_batch()
    data = model.train().data_preprocessor(batch, training=True)
    loss, terms = model.parse_losses(model(**data, mode="loss"))
    loss.backward()
    assert loss.isfinite()
    assert len(terms) > 2
    trained = model.backbone.named_parameters()
    assert [name for name, p in trained if p.requires_grad and p.grad is None] == []
    with torch.no_grad():
        model.eval()
        data = model.data_preprocessor(batch, training=False)
        predictions = model(**data, mode="predict")
    assert len(predictions) == 2
    if scope == "mmseg":
        assert predictions[0].pred_sem_seg.data.shape == (1, SIDE // 2, SIDE // 2)
    else:
        assert predictions[0].pred_instances.masks.shape[1:] == (SIDE, SIDE)


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
    assert variant.model.backbone == {**cfg.model.backbone, "num_heads": 8}


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


def groups_of(path: str) -> dict[str, dict]:
    """What the config's own optimiser does with each parameter of its model."""
    cfg = read(ROOT / path)
    model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return {name: group_of[id(p)] for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("scope", ["mmdet"], indirect=True)
def test_vitdets_learning_rate_decays_layer_by_layer(scope):
    groups = groups_of("mmdet_configs/vitdet_selfpatch-vit-s16_lsj-100e_coco.py")
    depths = {name: re.match(r"backbone\.trunk\.(?:blocks\.(\d+)|)", name) for name in groups}
    for name, group in groups.items():
        if match := depths[name]:
            layer = 0 if match[1] is None else int(match[1]) + 1
            assert group["lr"] == pytest.approx(1e-4 * 0.7 ** (13 - layer)), name
        else:
            assert group["lr"] == 1e-4, name
        assert not ("norm" in name or "pos_embed" in name) or group["weight_decay"] == 0, name
    assert groups["backbone.trunk.blocks.3.mlp.fc1.weight"]["weight_decay"] == 0.1
    assert groups["neck.levels.0.1.weight"]["weight_decay"] == 0
    assert groups["backbone.pyramid.0.layers.norm1.weight"]["weight_decay"] == 0


@pytest.mark.parametrize(
    ("scope", "path"),
    [*map(in_scope, (p for p in CONFIGS if "_selfpatch-vit-s16_" in p.stem))],
    indirect=["scope"],
)
def test_no_recipe_decays_norms_of_the_backbone_or_positions(scope, path):
    groups = groups_of(str(path.relative_to(ROOT)))
    exempt = [n for n in groups if n.startswith("backbone") and ("norm" in n or "pos" in n)]
    assert {groups[name]["weight_decay"] for name in exempt} <= {0}
    decayed = {group["weight_decay"] for group in groups.values()} - {0}
    assert len(decayed) == 1


@pytest.mark.filterwarnings("ignore:The shape of value will convert")  # mmseg's own
@pytest.mark.parametrize("scope", ["mmseg"], indirect=True)
def test_the_multi_scale_test_averages_twelve_views(scope, tmp_path):
    cfg = read(ROOT / "mmseg_configs/linear_selfpatch-vit-s16_40k_ade20k-512x512.py")
    Image.new("RGB", (80, 64), "green").save(tmp_path / "a.jpg")
    Image.new("L", (80, 64), 1).save(tmp_path / "a.png")
    data = {"img_path": str(tmp_path / "a.jpg"), "seg_map_path": str(tmp_path / "a.png"),
            "seg_fields": [], "label_map": None, "reduce_zero_label": True}  # fmt: skip
    for scales in cfg.tta_pipeline[1].transforms[0]:
        scales.scale = tuple(side // 8 for side in scales.scale)
    views = Compose(cfg.tta_pipeline)(data)
    assert len(views["inputs"]) == 12
    assert len({view.shape for view in views["inputs"]}) == 6
    cfg.tta_model.module = cfg.model
    model = revert_sync_batchnorm(mmseg.registry.MODELS.build(cfg.tta_model)).eval()
    with torch.no_grad():
        (sample,) = model.test_step(
            {"inputs": [[view] for view in views["inputs"]],
             "data_samples": [[sample] for sample in views["data_samples"]]}
        )  # fmt: skip
    assert sample.pred_sem_seg.data.shape == (1, 64, 80)
    assert sample.gt_sem_seg.data.unique().tolist() == [0]


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

"""Every config of mmdet_configs and mmseg_configs: it builds, trains a step and predicts."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.dataset import Compose
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from PIL import Image

from tests import ROOT
from tests.host_configs import CONFIGS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hosts():
    """Both hosts, imported when the first test asks for them."""
    return importlib.import_module("tests.host_configs.small_inputs")


@pytest.fixture
def scope(request, hosts):
    with hosts.in_scope(request.param):
        yield request.param


def in_scope(path: Path):
    return pytest.param(path.parent.name.removesuffix("_configs"), path, id=path.stem)


@pytest.mark.parametrize(("scope", "path"), [*map(in_scope, CONFIGS)], indirect=["scope"])
def test_config_trains_a_step_and_predicts(scope, path, hosts):
    model = revert_sync_batchnorm(MODELS.build(hosts.read(path).model))
    batch = hosts.detection_batch() if scope == "mmdet" else hosts.segmentation_batch()
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
        assert predictions[0].pred_sem_seg.data.shape == (1, hosts.SIDE // 2, hosts.SIDE // 2)
    else:
        assert predictions[0].pred_instances.masks.shape[1:] == (hosts.SIDE, hosts.SIDE)


def groups_of(cfg: Any) -> dict[str, dict]:
    """What the config's own optimiser does with each parameter of its model."""
    model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return {name: group_of[id(p)] for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("scope", ["mmdet"], indirect=True)
def test_vitdets_learning_rate_decays_layer_by_layer(scope, hosts):
    path = ROOT / "mmdet_configs/vitdet_selfpatch-vit-s16_lsj-100e_coco.py"
    groups = groups_of(hosts.read(path))
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
def test_no_recipe_decays_norms_of_the_backbone_or_positions(scope, path, hosts):
    groups = groups_of(hosts.read(path))
    words = ("norm", "pos_embed", "cls_token")
    exempt = [n for n in groups if n.startswith("backbone") and any(w in n for w in words)]
    assert {groups[name]["weight_decay"] for name in exempt} <= {0}
    decayed = {group["weight_decay"] for group in groups.values()} - {0}
    assert len(decayed) == 1


@pytest.mark.parametrize("scope", ["mmdet"], indirect=True)
def test_in_the_variant_with_the_references_oddities_the_pyramids_norm_decays(scope, hosts):
    """Its name, fpn1.1, holds none of the words that exempt norms from weight decay there."""
    path = ROOT / "mmdet_configs/mask-rcnn_selfpatch-vit-s16-8heads_fpn_1x_coco.py"
    groups = groups_of(hosts.read(path))
    assert groups["backbone.pyramid.0.layers.norm1.weight"]["weight_decay"] == 0.05
    assert groups["backbone.trunk.blocks.0.norm1.weight"]["weight_decay"] == 0


@pytest.mark.filterwarnings("ignore:The shape of value will convert")  # mmseg's own
@pytest.mark.parametrize("scope", ["mmseg"], indirect=True)
def test_the_multi_scale_test_averages_twelve_views(scope, hosts, tmp_path):
    cfg = hosts.read(ROOT / "mmseg_configs/linear_selfpatch-vit-s16_40k_ade20k-512x512.py")
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
    model = revert_sync_batchnorm(hosts.mmseg.registry.MODELS.build(cfg.tta_model)).eval()
    with torch.no_grad():
        (sample,) = model.test_step(
            {"inputs": [[view] for view in views["inputs"]],
             "data_samples": [[sample] for sample in views["data_samples"]]}
        )  # fmt: skip
    assert sample.pred_sem_seg.data.shape == (1, 64, 80)
    assert sample.gt_sem_seg.data.unique().tolist() == [0]

"""Every number of a fine-tuning recipe is that of the hosts' own config, but for what is said here.

The configs compared with are those that mmdetection and mmsegmentation install; where the paper's
code, XCiT's or Swin's differ from them, the value and its source stand in ``OURS``.
"""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from selfpatch.results.settings import Settings, flat
from tests import ROOT

ABSENT = "absent"
SECTIONS = {
    "mmseg": (
        "model.data_preprocessor", "model.neck", "model.decode_head", "model.auxiliary_head",
        "model.test_cfg", "optim_wrapper", "param_scheduler", "train_dataloader", "val_dataloader",
        "val_evaluator", "train_cfg.max_iters",
    ),
    "mmdet": (
        "model.data_preprocessor", "model.neck", "model.rpn_head", "model.roi_head",
        "model.train_cfg", "model.test_cfg", "optim_wrapper", "param_scheduler", "train_dataloader",
        "val_dataloader", "train_cfg.max_epochs",
    ),
}  # fmt: skip

SAME_ALL_THE_SAME = re.compile(
    r"_scope_$|backend_args$|clip_grad$|reduce_zero_label$|custom_keys\.absolute_pos_embed\."
)
"""What says something that holds without it: scopes of merged configs, values that are None, labels
that the data set of ADE20K reduces by itself, a word in no name of our backbones' weights."""

SWIN_CROPS = "swin/mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py"
SWIN_UPERNET = "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py"
WORDS = "optim_wrapper.paramwise_cfg.custom_keys"
POSITIONS = {f"{WORDS}.{word}.decay_mult": 0.0 for word in ("pos_embed", "cls_token")}
NO_SWIN = {f"{WORDS}.relative_position_bias_table.decay_mult": ABSENT}
ONE_X = {
    "param_scheduler.1.end": 12,
    "param_scheduler.1.milestones": [8, 11],
    "train_cfg.max_epochs": 12,
}
POLY_40K = {
    "param_scheduler.0.type": "LinearLR",
    "param_scheduler.0.start_factor": 1e-6,
    "param_scheduler.0.end": 1500,
    "param_scheduler.0.power": ABSENT,
    "param_scheduler.0.eta_min": ABSENT,
    "param_scheduler.1.type": "PolyLR",
    "param_scheduler.1.begin": 1500,
    "param_scheduler.1.end": 40_000,
    "param_scheduler.1.power": 1.0,
    "param_scheduler.1.eta_min": 0.0,
    "param_scheduler.1.by_epoch": False,
    "train_cfg.max_iters": 40_000,
}
"""alinlab/SelfPatch, segmentation/configs/semfpn_vit-s16_512x512_40k_ade20k.py:66-75."""

ADAMW = {
    "optim_wrapper.optimizer.type": "AdamW",
    "optim_wrapper.optimizer.betas": [0.9, 0.999],
    "optim_wrapper.optimizer.momentum": ABSENT,
    f"{WORDS}.norm.decay_mult": 0.0,
}

OURS: dict[tuple[str, str], Settings] = {
    ("mmseg_configs/upernet_selfpatch-swin-t_160k_ade20k-512x512.py", SWIN_UPERNET): POSITIONS,
    ("mmseg_configs/upernet_selfpatch-vit-s16_160k_ade20k-512x512.py", SWIN_UPERNET): {
        **POSITIONS, **NO_SWIN, "model.decode_head.in_channels": [384] * 4,
    },
    (
        "mmseg_configs/upernet_selfpatch-r50_160k_ade20k-512x512.py",
        "upernet/upernet_r50_4xb4-160k_ade20k-512x512.py",
    ): {"train_dataloader.batch_size": 2},  # on 8 GPUs instead of 4
    (
        "mmseg_configs/semantic-fpn_selfpatch-r50_40k_ade20k-512x512.py",
        "sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py",
    ): {"param_scheduler.0.end": 40_000, "train_cfg.max_iters": 40_000},
    (
        "mmseg_configs/semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py",
        "sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py",
    ): {
        **POSITIONS, **POLY_40K, **ADAMW,
        "optim_wrapper.optimizer.lr": 6e-5, "optim_wrapper.optimizer.weight_decay": 0.01,
        "model.neck.in_channels": [384] * 4,
    },
    (
        "mmseg_configs/linear_selfpatch-vit-s16_40k_ade20k-512x512.py",
        "sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py",
    ): {
        **POSITIONS, **POLY_40K, **ADAMW,
        "optim_wrapper.optimizer.lr": 1e-3, "optim_wrapper.optimizer.weight_decay": 1e-4,
        "model.neck.type": ABSENT, "model.neck.in_channels": ABSENT,
        "model.neck.out_channels": ABSENT, "model.neck.num_outs": ABSENT,
        "model.decode_head.type": "LinearHead", "model.decode_head.in_channels": 384,
        "model.decode_head.in_index": -1, "model.decode_head.channels": ABSENT,
        "model.decode_head.feature_strides": ABSENT, "model.decode_head.dropout_ratio": ABSENT,
        "model.decode_head.align_corners": ABSENT,
        "model.decode_head.norm_cfg.requires_grad": ABSENT,
    },
    ("mmdet_configs/mask-rcnn_selfpatch-swin-t_fpn_1x_coco.py", SWIN_CROPS): {
        **POSITIONS, **ONE_X,
        "param_scheduler.0.end": 500,  # that of the schedule that the authors' config inherits
    },
    ("mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py", SWIN_CROPS): {
        **POSITIONS, **NO_SWIN, **ONE_X,
        # alinlab/SelfPatch, detection/configs/selfpatch/mask_rcnn_vit_small_12_p16_1x_coco.py:84-90
        "optim_wrapper.optimizer.lr": 5e-5, "train_dataloader.batch_size": 1,
        "model.neck.in_channels": [384] * 4,
    },
    (
        "mmdet_configs/mask-rcnn_selfpatch-r50_fpn_1x_coco.py",
        "selfsup_pretrain/mask-rcnn_r50-mocov2-pre_fpn_1x_coco.py",
    ): {},
    ("mmdet_configs/vitdet_selfpatch-vit-s16_lsj-100e_coco.py", SWIN_CROPS): {
        **POSITIONS, **NO_SWIN,
        # Li et al., 2022, and facebookresearch/detectron2, projects/ViTDet/configs/
        "model.data_preprocessor.pad_size_divisor": 1024,
        "model.neck.type": "SimplePyramid", "model.neck.in_channels": [384] * 4,
        "model.neck.num_outs": ABSENT, "model.neck.out_channels": ABSENT,
        "model.rpn_head.num_convs": 2,
        "model.roi_head.bbox_head.type": "Shared4Conv1FCBBoxHead",
        "model.roi_head.bbox_head.conv_out_channels": 256,
        "model.roi_head.bbox_head.norm_cfg.type": "LN2d",
        "model.roi_head.mask_head.norm_cfg.type": "LN2d",
        "optim_wrapper.constructor": "LayerDecay",
        "optim_wrapper.optimizer.weight_decay": 0.1,
        "optim_wrapper.paramwise_cfg.decay_rate": 0.7,
        "optim_wrapper.paramwise_cfg.norm_decay_mult": 0.0,
        "param_scheduler.0.end": 250, "param_scheduler.1.end": 100,
        "param_scheduler.1.milestones": [89, 96], "train_cfg.max_epochs": 100,
        "train_dataloader.batch_size": 8,
        "val_dataloader.dataset.pipeline.1.scale": [1024, 1024],
    },
}  # fmt: skip


def numbers(path: Path, host: str) -> Settings:
    """The sections of a config that decide a number, flattened."""
    cfg: Any = Config.fromfile(path, import_custom_modules=False).to_dict()
    found: Settings = {}
    for section in SECTIONS[host]:
        value = cfg
        for name in section.split("."):
            value = value.get(name, {})
        found |= flat({section: value})
    return {name: value for name, value in found.items() if not SAME_ALL_THE_SAME.search(name)}


@pytest.mark.parametrize(("ours", "stock"), OURS, ids=lambda path: Path(path).stem)
def test_a_recipe_is_the_hosts_own_but_for_what_is_said(ours, stock):
    host = ours.split("_")[0]
    package = importlib.util.find_spec(host)
    assert package is not None
    theirs = numbers(Path(str(package.origin)).parent / ".mim/configs" / stock, host)
    found = numbers(ROOT / ours, host)
    if "vitdet" in ours:  # large-scale jitter in the place of DETR's crops: see below
        for settings in (found, theirs):
            for name in [n for n in settings if n.startswith("train_dataloader.dataset.pipeline")]:
                del settings[name]
    differing = {
        name: found.get(name, ABSENT)
        for name in {*found, *theirs}
        if found.get(name, ABSENT) != theirs.get(name, ABSENT)
    }
    assert differing == OURS[ours, stock]


def test_vitdets_images_are_jittered_in_scale_and_cropped():
    """Li et al., 2022, appendix A.2: scales from 0.1 to 2, crops of 1,024 pixels."""
    path = ROOT / "mmdet_configs/vitdet_selfpatch-vit-s16_lsj-100e_coco.py"
    steps = Config.fromfile(path, import_custom_modules=False).train_dataloader.dataset.pipeline
    by_type = {step.pop("type"): step for step in steps}
    assert by_type["LoadAnnotations"] == {"with_bbox": True, "with_mask": True}
    assert by_type["RandomResize"] == {
        "scale": (1024, 1024), "ratio_range": (0.1, 2.0), "keep_ratio": True
    }  # fmt: skip
    assert by_type["RandomCrop"] == {
        "crop_type": "absolute_range", "crop_size": (1024, 1024), "recompute_bbox": True,
        "allow_negative_crop": True,
    }  # fmt: skip
    assert by_type["RandomFlip"] == {"prob": 0.5}
    assert by_type["FilterAnnotations"] == {"min_gt_bbox_wh": (1e-2, 1e-2)}


BACKBONES: dict[str, Settings] = {
    # alinlab/SelfPatch, detection/configs/selfpatch/mask_rcnn_vit_small_12_p16_1x_coco.py:17-28
    "mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py": {
        "variant": "vit_small", "patch_size": 16, "strides": [4, 8, 16, 32], "drop_path_rate": 0.05,
    },
    "mmdet_configs/mask-rcnn_selfpatch-vit-s8_fpn_1x_coco.py": {"patch_size": 8, "with_cp": True},
    "mmdet_configs/mask-rcnn_selfpatch-vit-b16_fpn_1x_coco.py": {
        "variant": "vit_base", "drop_path_rate": 0.1,
    },
    # Li et al., 2022, and detectron2, projects/ViTDet/configs/common/models/mask_rcnn_vitdet.py
    "mmdet_configs/vitdet_selfpatch-vit-s16_lsj-100e_coco.py": {
        "out_indices": [11] * 4, "window_size": 14, "global_blocks": [2, 5, 8, 11],
        "drop_path_rate": 0.1,
    },
    # mmdetection, selfsup_pretrain/mask-rcnn_r50-mocov2-pre_fpn_1x_coco.py
    "mmdet_configs/mask-rcnn_selfpatch-r50_fpn_1x_coco.py": {
        "frozen_stages": 0, "norm_eval": False,
    },
    "mmdet_configs/mask-rcnn_selfpatch-swin-t_fpn_1x_coco.py": {"variant": "swin_tiny"},
    # alinlab/SelfPatch, segmentation/configs/semfpn_vit-s16_512x512_40k_ade20k.py:12-30
    "mmseg_configs/semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py": {
        "variant": "vit_small", "patch_size": 16, "strides": [4, 8, 16, 32],
    },
    "mmseg_configs/semantic-fpn_selfpatch-vit-s8_40k_ade20k-512x512.py": {"patch_size": 8},
    "mmseg_configs/upernet_selfpatch-vit-s8_160k_ade20k-512x512.py": {"patch_size": 8},
    "mmseg_configs/semantic-fpn_selfpatch-swin-t_40k_ade20k-512x512.py": {
        "variant": "swin_tiny", "drop_path_rate": 0.3,
    },
    "mmseg_configs/linear_selfpatch-vit-s16_40k_ade20k-512x512.py": {
        "out_indices": [11], "strides": [16], "frozen_stages": 12, "drop_path_rate": 0.0,
    },
    "mmseg_configs/linear_selfpatch-vit-s8_40k_ade20k-512x512.py": {
        "patch_size": 8, "strides": [8], "frozen_stages": 12,
    },
    "mmseg_configs/linear_selfpatch-swin-t_40k_ade20k-512x512.py": {
        "frozen_stages": 4, "drop_path_rate": 0.0,
    },
    "mmseg_configs/linear_selfpatch-r50_40k_ade20k-512x512.py": {"frozen_stages": 4},
    "mmseg_configs/upernet_selfpatch-r50_160k_ade20k-512x512.py": {"frozen_stages": -1},
}  # fmt: skip


@pytest.mark.parametrize("name", BACKBONES, ids=lambda path: Path(path).stem)
def test_what_a_recipe_says_of_its_backbone(name):
    backbone = Config.fromfile(ROOT / name, import_custom_modules=False).model.backbone
    found = flat(backbone.to_dict())
    assert {key: found.get(key) for key in BACKBONES[name]} == BACKBONES[name]

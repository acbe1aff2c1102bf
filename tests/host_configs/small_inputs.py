"""The hosts' models from their configs, at their full width, and small batches for them.

Importing this imports both hosts, which takes seconds: tests get it from the fixture ``hosts``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mmdet.utils
import mmseg.registry
import mmseg.utils
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

SIDE = 128
"""Side of the images, in pixels; half of it for segmentation."""


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
    model.data_preprocessor.pad_size_divisor = min(model.data_preprocessor.pad_size_divisor, SIDE)
    if "window_size" in model.backbone:
        model.backbone.window_size = 3  # so that 8 x 8 patches are several windows
    return cfg


@contextmanager
def in_scope(host: str) -> Iterator[None]:
    """Hosts build from their own scope, as their Runner does."""
    register = {"mmdet": mmdet.utils, "mmseg": mmseg.utils}[host].register_all_modules
    register(init_default_scope=False)
    with DefaultScope.overwrite_default_scope(host):
        yield

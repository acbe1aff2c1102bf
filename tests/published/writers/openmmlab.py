"""OpenMMLab: checkpoints of mmpretrain, mmdetection and mmsegmentation, as mmengine writes them."""

import contextlib
import importlib
import importlib.metadata
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import mmengine
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import selfpatch.hosts.startup  # noqa: F401  stands in for mmcv's compiled operators
from tests.published import fill
from tests.published.writers import writer
from tests.published.writers.resnets import SIZES as OF_RESNETS
from tests.published.writers.resnets import converted, flat, last_stage

DETECTION, SEGMENTATION = "onedl-mmdetection", "onedl-mmsegmentation"
"""Packages that call themselves mmdet and mmseg."""

OF_SWIN = [(64, 64), (96, 160)]


class Nothing(Dataset[int]):
    """A data set whose description the checkpoint keeps."""

    metainfo = {"classes": ("person", "bicycle"), "palette": [(220, 20, 60), (119, 11, 32)]}

    def __len__(self) -> int:
        return 1


def built(scope: str, config: Any) -> Any:
    """A model of one of the suites, all of it drawn, what is frozen too."""
    importlib.import_module(f"{scope}.models")
    init_default_scope(scope)
    model = importlib.import_module(f"{scope}.registry").MODELS.build(config)
    model.init_weights()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("pos_embed" not in name or parameter.requires_grad)
    fill(model)
    return model.eval()


def run(model: Any, config: Any, folder: Path) -> None:
    """Write a training checkpoint by mmengine's runner, without training."""
    with tempfile.TemporaryDirectory() as logs, contextlib.chdir(logs):
        runner = Runner(
            model,
            "work_dirs/run",
            train_dataloader=DataLoader(Nothing()),
            train_cfg={"by_epoch": True, "max_epochs": 12},
            optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), 0.01)),
            experiment_name="run",
            log_level="ERROR",
            cfg=Config({"model": config, "work_dir": "work_dirs/run"}),
        )
        runner.message_hub.update_scalar("train/loss", 0.5)
        runner.message_hub.update_info("epoch", 11)
        runner.save_checkpoint(str(folder), "epoch_12.pth")
    model.eval()


def known(trunk: nn.Module, tokens: Callable[[Tensor], Tensor], **more: Any) -> dict[str, Any]:
    """What is known of a checkpoint with this trunk; ``more`` replaces it."""
    return {
        "file": "epoch_12.pth",
        "code": f"mmengine {mmengine.__version__}'s Runner.save_checkpoint",
        "method": "supervised",
        "options": {"method": "supervised"},
        "parameters": sum(p.numel() for p in trunk.parameters()),
        "tokens": tokens,
        "sizes": [(64, 64), (48, 80)],
        **more,
    }


def configured(scope: str, root: str, base: str, **parts: Any) -> tuple[Any, Any]:
    """A model of a suite's own configuration with some parts changed -> model, configuration."""
    config = Config.fromfile(f"{root}/{base}.py").model
    for part, changes in parts.items():
        merged = {**({} if "type" in changes else config[part]), **changes} if changes else None
        config[part] = ConfigDict(merged) if merged else None
    return built(scope, config), config


def mmpretrain(base: str, **parts: Any) -> tuple[Any, Any]:
    """As configured, of mmpretrain's checkout."""
    index = ("modelindex", "modelindex.load_model_index", "modelindex.models.Model")
    sys.modules |= dict.fromkeys((*index, "einops"), MagicMock(__spec__=None))
    sys.modules["importlib_metadata"] = importlib.metadata
    sys.modules["mmpretrain.models.multimodal"] = ModuleType("multimodal")  # wants old transformers
    return configured("mmpretrain", f"{sys.path[0]}/configs/_base_/models", base, **parts)


TINY = {"embed_dims": 192, "num_layers": 2, "num_heads": 3, "feedforward_channels": 768}


@writer("mmpretrain-vit", "open-mmlab/mmpretrain")
def classified_vit(folder: Path) -> dict[str, Any]:
    """A classifier with mmpretrain's VisionTransformer, while it is trained."""
    backbone = {"arch": TINY, "img_size": 64}
    model, config = mmpretrain("vit-base-p16", backbone=backbone, head={"in_channels": 192})
    run(model, config, folder)
    model.backbone.out_type = "raw"
    return known(model.backbone, lambda images: model.backbone(images)[-1])


IN_MESSAGE_HUB = [
    HistoryBuffer, np.empty(0).__reduce__()[0], np.ndarray, np.dtype, getattr,
    *{type(np.dtype(name)) for name in ("float64", "int64")},
]  # fmt: skip
"""What a training checkpoint pickles beside tensors."""


def published(folder: Path) -> str:
    """Make of a training checkpoint what mmpretrain's script publishes -> its name."""
    script = Path(sys.path[0]) / "tools/model_converters/publish_model.py"
    with torch.serialization.safe_globals(IN_MESSAGE_HUB):  # the script's torch.load was older
        converted(script, folder / "epoch_12.pth", folder / "model.pth")
    (folder / "epoch_12.pth").unlink()
    return next(folder.glob("model_*.pth")).name


@writer("mmpretrain-swin", "open-mmlab/mmpretrain")
def classified_swin(folder: Path) -> dict[str, Any]:
    """A classifier with mmpretrain's SwinTransformer, as it is published."""
    arch = {"embed_dims": 96, "depths": [2, 1, 1, 2], "num_heads": [3, 6, 12, 24]}
    model, config = mmpretrain("swin_transformer/tiny_224", backbone={"arch": arch})
    run(model, config, folder)
    trunk = model.backbone
    return known(
        trunk,
        lambda images: flat(trunk(images)[-1]),
        file=published(folder),
        code="mmengine's Runner.save_checkpoint, tools/model_converters/publish_model.py",
        sizes=[(224, 224)],
        note="smaller maps than a window it refuses unless it is told to pad them",
    )


@writer("mmpretrain-resnet", "open-mmlab/mmpretrain")
def classified_resnet(folder: Path) -> dict[str, Any]:
    """A classifier with mmpretrain's ResNet, as it is published."""
    model, config = mmpretrain("resnet18")
    run(model, config, folder)
    return known(
        model.backbone,
        last_stage(model.backbone),
        file=published(folder),
        code="mmengine's Runner.save_checkpoint, tools/model_converters/publish_model.py",
        sizes=OF_RESNETS,
    )


@writer("mmpretrain-mae", "open-mmlab/mmpretrain")
def mae(folder: Path) -> dict[str, Any]:
    """mmpretrain's MAE while it is trained: its decoder is the neck."""
    backbone = {"arch": TINY, "img_size": 64}
    decoder = {"embed_dim": 192, "decoder_embed_dim": 64, "decoder_depth": 1}
    neck = {**decoder, "decoder_num_heads": 4, "num_patches": 16}
    model, config = mmpretrain("mae_vit-base-p16", backbone=backbone, neck=neck)
    run(model, config, folder)
    trunk = model.backbone
    return known(trunk, lambda images: trunk(images, mask=None)[-1], method="mae", options={})


@writer("mmpretrain-mocov3", "open-mmlab/mmpretrain")
def mocov3(folder: Path) -> dict[str, Any]:
    """mmpretrain's MoCo-v3 while it is trained, its momentum encoder half as large."""
    arch = {"embed_dims": 384, "num_layers": 2, "num_heads": 12, "feedforward_channels": 1536}
    model, config = mmpretrain(
        "../../mocov3/mocov3_vit-small-p16_16xb256-amp-coslr-300e_in1k",
        backbone={"arch": arch, "img_size": 64},
        neck={"hid_channels": 512},
    )
    for parameter in model.momentum_encoder.parameters():
        parameter.data.mul_(0.5 if parameter.requires_grad else 1)
    run(model, config, folder)
    trunk = model.backbone
    trunk.out_type = "raw"
    return known(trunk, lambda images: trunk(images)[-1], method="mocov3", options={})


def hosted(scope: str, base: str, **parts: Any) -> tuple[Any, Any]:
    """As configured, of the configurations that mmdet and mmseg are installed with."""
    package = importlib.import_module(scope)
    return configured(scope, f"{package.__path__[0]}/.mim/configs/_base_/models", base, **parts)


@writer("mmdet-resnet", DETECTION)
def detecting_resnet(folder: Path) -> dict[str, Any]:
    """A Mask R-CNN with mmdetection's ResNet-50."""
    model, config = hosted("mmdet", "mask-rcnn_r50_fpn", backbone={"init_cfg": None})
    run(model, config, folder)
    return known(model.backbone, last_stage(model.backbone), sizes=OF_RESNETS)


SWIN = {"depths": [2, 1, 1, 2], "init_cfg": None}


@writer("mmdet-swin", DETECTION)
def detecting_swin(folder: Path) -> dict[str, Any]:
    """A Mask R-CNN with mmdetection's SwinTransformer."""
    neck = {"in_channels": [96, 192, 384, 768]}
    backbone = {"type": "SwinTransformer", **SWIN}
    model, config = hosted("mmdet", "mask-rcnn_r50_fpn", backbone=backbone, neck=neck)
    run(model, config, folder)
    return known(model.backbone, lambda images: flat(model.backbone(images)[-1]), sizes=OF_SWIN)


@writer("mmseg-swin", SEGMENTATION)
def segmenting_swin(folder: Path) -> dict[str, Any]:
    """A UPerNet with mmsegmentation's SwinTransformer."""
    heads = {"decode_head": {"in_channels": [96, 192, 384, 768]}}
    model, config = hosted("mmseg", "upernet_swin", backbone=SWIN, **heads)
    run(model, config, folder)
    return known(model.backbone, lambda images: flat(model.backbone(images)[-1]), sizes=OF_SWIN)


@writer("mmseg-vit", SEGMENTATION)
def segmenting_vit(folder: Path) -> dict[str, Any]:
    """A UPerNet with mmsegmentation's VisionTransformer, which has no last norm."""
    backbone = {"img_size": (64, 64), "embed_dims": 192, "num_layers": 2, "num_heads": 3}
    model, config = hosted(
        "mmseg",
        "upernet_vit-b16_ln_mln",
        backbone={**backbone, "out_indices": (0, 0, 1, 1)},
        neck={"in_channels": [192] * 4, "out_channels": 192},
        decode_head={"in_channels": [192] * 4, "channels": 64},
        auxiliary_head={"in_channels": 192},
        pretrained=None,
    )
    run(model, config, folder)
    return known(model.backbone, lambda images: flat(model.backbone(images)[-1]))


@writer("selfpatch-detector", DETECTION)
def own_backbone(folder: Path) -> dict[str, Any]:
    """A Mask R-CNN with the suite's own ViT, whose state says what it started from."""
    import selfpatch.hosts  # noqa: F401  registers it
    from selfpatch.backbones.file import BackboneInfo, save_backbone
    from selfpatch.models.trunks import build_trunk

    trunk = build_trunk("vit_tiny", depth=2, image_size=64)
    fill(trunk)
    started = BackboneInfo(trunk.architecture, method="dino+selfpatch", source="vit_tiny.pth")
    with tempfile.TemporaryDirectory() as start:
        file = f"{start}/backbone.safetensors"
        save_backbone(file, trunk.state_dict(), started)
        backbone = {
            "type": "SelfPatchViT",
            "out_indices": (0, 0, 1, 1),
            "norm_cfg": {"type": "BN"},
            "init_cfg": {"type": "Pretrained", "checkpoint": file},
        }
        neck = {"in_channels": [192] * 4}
        model, config = hosted("mmdet", "mask-rcnn_r50_fpn", backbone=backbone, neck=neck)
    config.backbone.init_cfg.checkpoint = "backbone.safetensors"
    run(model, config, folder)
    own = model.backbone.trunk
    note = "the trunk's last norm is not built, as no level of the pyramid needs it"
    return known(
        own, own, code="the suite's own", method="dino+selfpatch, fine-tuned", options={}, note=note
    )

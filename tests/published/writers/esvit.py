"""EsViT: the training checkpoint, the only form of file that it publishes."""

import argparse
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import writer


def prepare() -> None:
    """Leave out the package's other networks, which ask for libraries that a Swin does not need."""
    for name in ("models.vision_longformer", "models.cvt_v4_transformer"):
        sys.modules[name] = types.ModuleType(name)


def configuration(window: int) -> Any:
    """A published configuration with a narrower Swin."""
    import config  # type: ignore[import-not-found]

    root = Path(config.__file__).parents[1] / "experiments/imagenet/swin"
    spec = ["MODEL.SPEC.DIM_EMBED", 24, "MODEL.SPEC.DEPTHS", [2, 2, 2, 2]]
    file = str(root / f"swin_tiny_patch4_window{window}_224.yaml")
    args = argparse.Namespace(cfg=file, opts=["MODEL.NUM_CLASSES", 0, *spec], rank=0)
    config.update_config(config.config, args)
    return config.config


def network(config: Any, is_teacher: bool) -> Any:
    """A Swin with the heads of the image and of its regions, drawn."""
    from models import build_model  # type: ignore[import-not-found]
    from models.vision_transformer import DINOHead  # type: ignore[import-not-found]

    model = build_model(config, is_teacher=is_teacher, use_dense_prediction=True)
    model.head = DINOHead(model.num_features, 32, hidden_dim=64)
    model.head_dense = DINOHead(model.num_features, 32, hidden_dim=64)
    fill(model)
    return model.eval()


def checkpoint(folder: Path, window: int) -> dict[str, Any]:
    """What ``main_esvit.py`` saves."""
    prepare()
    import utils  # type: ignore[import-not-found]

    config = configuration(window)
    student, teacher = network(config, False), network(config, True)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(0.5)
    content = {
        "student": nn.DataParallel(student).state_dict(),
        "teacher": teacher.state_dict(),  # not in the wrapper: it has no batch norm
        "optimizer": {},
        "epoch": 300,
        "args": argparse.Namespace(arch="swin_tiny", patch_size=16, use_dense_prediction=True),
        "dino_loss": {"center": torch.zeros(1, 32), "center_grid": torch.zeros(1, 32)},
        "fp16_scaler": {},
    }
    utils.save_on_master(content, folder / "checkpoint.pth")

    def tokens(images: Tensor) -> Tensor:
        return teacher.forward_features(images)[1]

    return {
        "file": "checkpoint.pth",
        "code": "main_esvit.py, utils.save_on_master of models.swin_transformer.SwinTransformer",
        "method": "esvit",
        "parameters": sum(p.numel() for n, p in teacher.named_parameters() if "head" not in n),
        "tokens": tokens,
        "sizes": [(224, 224), (160, 160)],
        "note": "Its code takes square images alone; at 160 pixels it pads.",
    }


@writer("esvit-swin", "microsoft/esvit")
def seven(folder: Path) -> dict[str, Any]:
    """Windows of 7, and heads of both the image and its regions beside the trunk."""
    return checkpoint(folder, 7)


@writer("esvit-swin-window14", "microsoft/esvit")
def fourteen(folder: Path) -> dict[str, Any]:
    """Windows of 14; of 7 in the last stage."""
    return checkpoint(folder, 14)

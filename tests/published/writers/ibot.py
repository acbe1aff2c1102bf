"""iBOT: the training checkpoint, and the files that ``extract_backbone_weights.py`` makes of it."""

import argparse
import functools
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import writer

SWIN = {"embed_dim": 24, "depths": [2, 2, 2, 2], "num_heads": [3, 6, 12, 24], "window_size": 14}


def vit(masked: bool) -> Any:
    """A ViT-Ti/16 of two blocks for images of 64 pixels."""
    from models.vision_transformer import VisionTransformer  # type: ignore[import-not-found]

    return VisionTransformer(
        img_size=[64], embed_dim=192, depth=2, num_heads=3, qkv_bias=True,
        return_all_tokens=True, masked_im_modeling=masked,
    )  # fmt: skip


def swin(masked: bool) -> Any:
    """A narrow Swin with the published windows of 14 patches, for images of 224 pixels."""
    from models.swin_transformer import SwinTransformer  # type: ignore[import-not-found]

    return SwinTransformer(num_classes=0, return_all_tokens=True, masked_im_modeling=masked, **SWIN)


def train(folder: Path, build: Any, arch: str) -> dict[str, Any]:
    """Save what ``main_ibot.py`` does, and return both trunks."""
    import utils  # type: ignore[import-not-found]
    from models.head import iBOTHead  # type: ignore[import-not-found]

    trunks = {"student": build(True), "teacher": build(False)}
    content: dict[str, Any] = {}
    for name, trunk in trunks.items():
        head = iBOTHead(trunk.num_features, 32, patch_out_dim=32, hidden_dim=64, shared_head=True)
        network = utils.MultiCropWrapper(trunk, head).eval()
        fill(network)
        content[name] = network
    with torch.no_grad():
        for parameter in content["student"].parameters():
            parameter.mul_(0.5)
    saved = {
        "student": nn.DataParallel(content["student"]).state_dict(),
        "teacher": content["teacher"].state_dict(),  # not in the wrapper: it has no batch norm
        "optimizer": {},
        "epoch": 300,
        "args": argparse.Namespace(arch=arch, patch_size=16, window_size=14, output_dir="."),
        "ibot_loss": {"center": torch.zeros(1, 32), "center2": torch.zeros(1, 1, 32)},
        "fp16_scaler": {},
    }
    utils.save_on_master(saved, folder / "checkpoint.pth")
    return trunks


def extract(folder: Path, key: str) -> str:
    """Run the script that keeps one of a checkpoint's trunks."""
    import extract_backbone_weights as script  # type: ignore[import-not-found]

    full, file = folder / "checkpoint.pth", f"checkpoint_{key}.pth"
    sys.argv = ["extract", str(full), str(folder / file), "--checkpoint_key", key]
    torch.load = functools.partial(torch.load, weights_only=False)  # it holds a Namespace
    script.main()
    full.unlink()
    return file


def known(trunk: Any, file: str, **more: Any) -> dict[str, Any]:
    """What is told of a file with this trunk."""
    flat = hasattr(trunk, "blocks")

    def tokens(images: Tensor) -> Tensor:
        found = trunk.get_intermediate_layers(images, n=1)[0]
        return found if flat else found[:, 1:]  # before the patches lies their mean

    return {
        "file": file,
        "code": "main_ibot.py, utils.MultiCropWrapper of " + type(trunk).__name__,
        "method": "ibot",
        "parameters": sum(p.numel() for n, p in trunk.named_parameters() if n != "masked_embed"),
        "tokens": tokens,
        "sizes": [(64, 64), (48, 80)] if flat else [(224, 224), (160, 160)],
        "note": "" if flat else "Its code takes square images alone; at 160 pixels it pads.",
    } | more


EXTRACTED = {
    "code": "extract_backbone_weights.py, of a checkpoint of main_ibot.py",
    "options": {"method": "ibot"},
}


@writer("ibot-full", "bytedance/ibot")
def full(folder: Path) -> dict[str, Any]:
    """A training checkpoint of a ViT: only the student lies in the distributed wrapper."""
    return known(train(folder, vit, "vit_tiny")["teacher"], "checkpoint.pth")


@writer("ibot-teacher", "bytedance/ibot")
def teacher(folder: Path) -> dict[str, Any]:
    """The published backbone of a ViT, which does not tell how it was trained."""
    trunk = train(folder, vit, "vit_tiny")["teacher"]
    return known(trunk, extract(folder, "teacher"), **EXTRACTED)


@writer("ibot-student", "bytedance/ibot")
def student(folder: Path) -> dict[str, Any]:
    """The published backbone of ImageNet-22K, a student: it has an embedding of masked patches."""
    trunk = train(folder, vit, "vit_tiny")["student"]
    return known(trunk, extract(folder, "student"), code=EXTRACTED["code"])


@writer("ibot-swin-full", "bytedance/ibot")
def swin_full(folder: Path) -> dict[str, Any]:
    """A training checkpoint of a Swin with windows of 14; of 7 in the last stage."""
    return known(train(folder, swin, "swin_tiny")["teacher"], "checkpoint.pth")


@writer("ibot-swin-teacher", "bytedance/ibot")
def swin_teacher(folder: Path) -> dict[str, Any]:
    """The published backbone of a Swin."""
    trunk = train(folder, swin, "swin_tiny")["teacher"]
    return known(trunk, extract(folder, "teacher"), **EXTRACTED)

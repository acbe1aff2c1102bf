"""Published layouts: what comes out gives the tokens of the code that the layout belongs to."""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from timm.models.swin_transformer import SwinTransformer
from torch import nn
from torchvision.models import resnet50

from selfpatch.checkpoint import load_backbone, read_file
from selfpatch.models.vit import build_vit

ROOT = Path(__file__).parents[1]


def prefixed(prefix: str, module: nn.Module | dict) -> dict:
    state = module if isinstance(module, dict) else module.state_dict()
    return {prefix + name: value for name, value in state.items()}


def junk(*names: str) -> dict:
    return {name: torch.zeros(2, 2) for name in names}


def vit(**options) -> nn.Module:
    """timm's ViT, which has DINO's names and computes what DINO does."""
    arguments = {"depth": 2, "img_size": 64, "num_classes": 0, **options}
    return timm.create_model("vit_tiny_patch16_224", **arguments)


def dinov2(registers: int) -> nn.Module:
    name = "vit_small_patch14_reg4_dinov2" if registers else "vit_small_patch14_dinov2"
    return timm.create_model(name, depth=2, img_size=70, num_classes=0)


def official_dinov2(model: nn.Module) -> dict:
    """timm's DINOv2 under the official names: [CLS] has a position, blocks come in chunks."""
    state = model.state_dict()
    if "reg_token" in state:
        state["register_tokens"] = state.pop("reg_token")
        position = torch.zeros(1, 1, state["pos_embed"].shape[2])
        state["pos_embed"] = torch.cat([position, state["pos_embed"]], dim=1)
    return {re.sub(r"^blocks\.", "blocks.0.", name): value for name, value in state.items()} | junk(
        "mask_token"
    )


def swin() -> nn.Module:
    return SwinTransformer(
        img_size=64, embed_dim=24, depths=(2, 1), num_heads=(2, 4), window_size=4, num_classes=0
    )


def official_swin(model: nn.Module) -> dict:
    """timm's Swin under the official names: patches are merged at the end of a stage."""
    state = model.state_dict()
    renamed = {
        name.replace("layers.1.downsample", "layers.0.downsample"): state[name] for name in state
    }
    return renamed | junk(
        "layers.0.blocks.0.attn.relative_position_index", "layers.0.blocks.1.attn_mask"
    )


def resnet() -> nn.Module:
    model = resnet50()
    model.fc = nn.Identity()
    return model


HEADS = junk("module.head.mlp.0.weight", "module.head.last_layer.weight_v")
QUEUES = junk("queue1", "queue2", "queue_ptr", "projector.0.weight", "predictor.0.weight")
LAYOUTS = {
    "DINO, whole": (
        vit,
        lambda m: {
            "teacher": prefixed("module.backbone.", m) | HEADS,
            "student": prefixed("module.backbone.", vit()) | HEADS,
            "args": argparse.Namespace(arch="vit_small"),
            "epoch": 3,
        },
        "dino",
    ),
    "DINO, backbone": (vit, lambda m: m.state_dict(), "unknown"),
    "DeiT": (
        vit,
        lambda m: {"model": m.state_dict() | junk("head.weight", "head.bias")},
        "unknown",
    ),
    "MoCo-v3": (
        lambda: vit(embed_dim=384, num_heads=12),
        lambda m: {
            "state_dict": prefixed("module.base_encoder.", m)
            | prefixed("module.momentum_encoder.", m)
            | junk("module.base_encoder.head.0.weight", "module.predictor.0.weight")
        },
        "mocov3",
    ),
    "iBOT": (
        vit,
        lambda m: {"state_dict": m.state_dict() | junk("masked_embed")},
        "ibot",
    ),
    "MAE": (
        vit,
        lambda m: {
            "model": m.state_dict()
            | junk("mask_token", "decoder_embed.weight", "decoder_pos_embed")
        },
        "mae",
    ),
    "DINOv2, timm": (lambda: dinov2(0), lambda m: m.state_dict(), "dinov2"),
    "DINOv2": (lambda: dinov2(0), official_dinov2, "dinov2"),
    "DINOv2 with registers, timm": (lambda: dinov2(4), lambda m: m.state_dict(), "dinov2"),
    "DINOv2 with registers": (lambda: dinov2(4), official_dinov2, "dinov2"),
    "MoBY, ViT": (vit, lambda m: {"model": prefixed("encoder.", m) | QUEUES}, "moby"),
    "MoBY, Swin": (
        swin,
        lambda m: {
            "model": prefixed("encoder.", official_swin(m))
            | prefixed("encoder_k.", official_swin(m))
            | QUEUES
        },
        "moby",
    ),
    "Swin": (swin, lambda m: {"model": official_swin(m) | junk("head.weight")}, "unknown"),
    "Swin, timm": (swin, lambda m: m.state_dict(), "unknown"),
    "MoCo-v2": (
        resnet,
        lambda m: {
            "state_dict": prefixed("module.encoder_q.", m)
            | prefixed("module.encoder_k.", m)
            | junk("module.queue", "module.queue_ptr", "module.encoder_q.fc.0.weight")
        },
        "mocov2",
    ),
    "SwAV": (
        resnet,
        lambda m: (
            prefixed("module.", m)
            | junk("module.projection_head.0.weight", "module.prototypes.weight")
        ),
        "swav",
    ),
    "DenseCL": (
        resnet,
        lambda m: {
            "state_dict": prefixed("encoder_q.0.", m)
            | prefixed("backbone.", m)
            | prefixed("encoder_k.0.", m)
            | junk("encoder_q.1.mlp.0.weight", "queue", "queue2", "queue2_ptr")
        },
        "densecl",
    ),
    "torchvision": (resnet, lambda m: m.state_dict() | junk("fc.weight", "fc.bias"), "unknown"),
}


@torch.no_grad()
def tokens_of(model: Any, images: torch.Tensor) -> torch.Tensor:
    """Tokens after the last norm, or a ResNet's last map."""
    if hasattr(model, "forward_features"):
        return model.forward_features(images).flatten(1, -2)
    return nn.Sequential(*list(model.children())[:-2])(images).flatten(2).transpose(1, 2)


def write(content: dict, path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path


@torch.no_grad()
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_tokens_of_its_own_code(name, tmp_path):
    build, layout, method = LAYOUTS[name]
    model = build().eval()
    for parameter in model.parameters():  # so that no bias, norm or scale is a neutral element
        parameter.add_(0.1 * torch.randn_like(parameter))
    content = layout(model)
    path = write(content, tmp_path / "c.pth")
    trunk, info = load_backbone(path)
    images = torch.randn(2, 3, 70 if "DINOv2" in name else 64, 70 if "DINOv2" in name else 64)
    found = trunk.norm(trunk(images))
    torch.testing.assert_close(found, tokens_of(model, images), atol=1e-4, rtol=1e-4)
    assert info.method == method
    state, _, report = read_file(path)
    for wrapper in ("teacher", "model", "state_dict"):
        content = content.get(wrapper, content)
    assert set(report.used) | set(report.ignored) == set(content)
    assert set(report.used.values()) == set(state)


def test_safetensors_of_others_are_read(tmp_path):
    model = vit().eval()
    trunk, _ = load_backbone(write(model.state_dict(), tmp_path / "model.safetensors"))
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(trunk.norm(trunk(images)), tokens_of(model, images))


def test_a_trunk_with_registers_takes_other_sizes():
    trunk = build_vit("vit_tiny", depth=1, class_token=True, num_registers=3, image_size=64)
    assert trunk(torch.randn(1, 3, 32, 96)).shape == (1, 1 + 3 + 12, 192)
    assert trunk.intermediate(torch.randn(1, 3, 32, 96), [0])[0].shape == (1, 192, 2, 6)


def command(*arguments: object) -> subprocess.CompletedProcess:
    line = [sys.executable, "tools/import_checkpoint.py", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True)


def test_the_command_reports_every_key(tmp_path):
    content = LAYOUTS["MoBY, Swin"][1](swin())
    path = write(content, tmp_path / "moby.pth")
    done = command(path, tmp_path / "b.safetensors")
    assert done.returncode == 0, done.stderr
    assert "method moby" in done.stdout
    for line in (
        "encoder.layers.*.downsample.norm.weight -> layers.*.downsample.norm.weight",
        "encoder_k.norm.weight: momentum encoder",
        "queue_ptr: queue",
        "encoder.layers.*.blocks.*.attn_mask: follows from the window size",
    ):
        assert line in done.stdout
    assert load_backbone(tmp_path / "b.safetensors")[1].method == "moby"


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        (lambda: vit().state_dict(), ["--arch", "vit_small"], "no vit_small: its embed_dim is 192"),
        (lambda: vit().state_dict(), ["--arch", "resnet50"], "no resnet50"),
        (lambda: vit().state_dict() | junk("adapter.0.weight"), [], "left over adapter.0.weight"),
        (lambda: {"model": junk("conv.weight", "other")}, [], "it holds: conv, other"),
        (lambda: {k: v for k, v in vit().state_dict().items() if "qkv.bias" not in k}, [],
         "missing blocks.0.attn.qkv.bias"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(content, options, sentence, tmp_path):
    done = command(write(content(), tmp_path / "c.pth"), tmp_path / "b.safetensors", *options)
    assert done.returncode == 2
    assert sentence in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "b.safetensors").exists()

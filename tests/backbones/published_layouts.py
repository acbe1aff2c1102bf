"""Checkpoints as they are published: their keys and shapes, made of their own code's modules."""

import argparse
import re
from pathlib import Path

import safetensors.torch
import timm
import torch
from timm.models.swin_transformer import SwinTransformer
from torch import nn
from torchvision.models import resnet50


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


def large_swin() -> nn.Module:
    """The windows of the Swins for images of 384 pixels."""
    return SwinTransformer(
        img_size=384, embed_dim=12, depths=(1, 1, 2, 2), num_heads=(1, 2, 3, 4), window_size=12,
        num_classes=0, strict_img_size=False,
    )  # fmt: skip


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
    "iBOT, whole": (
        vit,
        lambda m: {
            "teacher": prefixed("module.backbone.", m)
            | HEADS
            | junk("module.head.last_layer2.weight_v"),
            "student": prefixed("module.backbone.", vit()) | junk("module.backbone.masked_embed"),
        },
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
    "DINOv2, timm": (lambda: dinov2(0), lambda m: m.state_dict(), "unknown"),
    "DINOv2": (lambda: dinov2(0), official_dinov2, "dinov2"),
    "DINOv2 with registers, timm": (lambda: dinov2(4), lambda m: m.state_dict(), "unknown"),
    "DINOv2 with registers": (lambda: dinov2(4), official_dinov2, "dinov2"),
    "DINOv2, whole": (
        lambda: dinov2(4),
        lambda m: {
            "teacher": prefixed("backbone.", official_dinov2(m))
            | junk("dino_head.mlp.0.weight", "ibot_head.last_layer.weight_v")
        },
        "dinov2",
    ),
    "DeiT III": (
        lambda: vit(init_values=1e-6),
        lambda m: {
            "model": {
                re.sub(r"\.ls(\d)\.gamma", r".gamma_\1", k): v for k, v in m.state_dict().items()
            }
        },
        "unknown",
    ),
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
    "Swin, windows of 12": (large_swin, lambda m: m.state_dict(), "unknown"),
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
    "MoCo-v2, OpenSelfSup": (
        resnet,
        lambda m: {
            "state_dict": prefixed("encoder_q.0.", m)
            | prefixed("backbone.", m)
            | prefixed("encoder_k.0.", m)
            | junk("encoder_q.1.mlp.0.weight", "queue")
        },
        "mocov2",
    ),
    "ReSim": (
        resnet,
        lambda m: {
            "state_dict": prefixed("module.encoder_q.", m)
            | prefixed("module.encoder_k.", m)
            | junk("module.queue", "module.encoder_q.fc.0.weight")
            | junk("module.encoder_q.fpn_lateral5.weight", "module.encoder_q.fpn_output3.bias")
        },
        "resim",
    ),
    "DetCo": (resnet, lambda m: {"state_dict": m.state_dict(), "author": "x"}, "unknown"),
    "DenseCL, extracted": (resnet, lambda m: {"state_dict": m.state_dict()}, "unknown"),
    "DenseCL": (
        resnet,
        lambda m: {
            "state_dict": prefixed("encoder_q.0.", m)
            | prefixed("backbone.", m)
            | prefixed("encoder_k.0.", m)
            | junk("encoder_q.1.mlp.0.weight", "encoder_q.1.mlp2.0.weight", "queue", "queue2")
        },
        "densecl",
    ),
    "torchvision": (resnet, lambda m: m.state_dict() | junk("fc.weight", "fc.bias"), "unknown"),
}


def write(content: dict, path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path

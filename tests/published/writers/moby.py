"""MoBY: the checkpoints of its pretraining and of its linear classifier."""

import argparse
import contextlib
import logging
import sys
import types
from pathlib import Path
from typing import Any

import timm.models
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from tests.published import fill, pattern
from tests.published.writers import output_of, writer

SWIN = {"EMBED_DIM": 24, "DEPTHS": [2, 2, 2, 2], "NUM_HEADS": [3, 6, 12, 24]}


def small(**options: Any) -> Any:
    """Two blocks of timm's DeiT-S, which it no longer has under its old name."""
    return VisionTransformer(img_size=64, embed_dim=384, depth=2, num_heads=6, **options)


def prepare(folder: Path) -> None:
    """Stand in for what the code wants from GPUs, and start a process group of one process."""
    timm.models.vit_deit_small_patch16_224 = small
    sys.modules["diffdist"] = types.ModuleType("diffdist")
    sys.modules["diffdist"].functional = None  # type: ignore[attr-defined]
    group = folder / "group"
    torch.distributed.init_process_group("gloo", f"file://{group}", rank=0, world_size=1)
    group.unlink()


def configuration(name: str) -> Any:
    """A published configuration with a narrower Swin and a short queue."""
    import config  # type: ignore[import-not-found]

    options = [f"MODEL.SWIN.{key}" for key in SWIN]
    changes = [part for pair in zip(options, SWIN.values(), strict=True) for part in pair]
    options = ["batch_size", "data_path", "zip", "cache_mode", "resume", "accumulation_steps"]
    rest = dict.fromkeys([*options, "use_checkpoint", "eval", "throughput", "tag"])
    args = argparse.Namespace(
        cfg=str(Path(config.__file__).parent / "configs" / f"{name}.yaml"),
        opts=[*changes, "MODEL.MOBY.CONTRAST_NUM_NEGATIVE", 16],
        amp_opt_level="O1",
        output="output",
        local_rank=0,
        **rest,
    )
    found = config.get_config(args)
    found.defrost()
    found.DATA.TRAINING_IMAGES = 1281167  # which the data loader would set
    found.freeze()
    return found


def save(folder: Path, config: Any, model: Any) -> str:
    """Let ``save_checkpoint`` write the last epoch's file."""
    import utils  # type: ignore[import-not-found]
    from timm.scheduler.cosine_lr import CosineLRScheduler

    scaler = {"loss_scaler0": {"loss_scale": 65536.0, "unskipped": 10}}
    utils.amp = types.SimpleNamespace(state_dict=lambda: scaler)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = CosineLRScheduler(optimizer, t_initial=300)
    with contextlib.chdir(folder):
        Path(config.OUTPUT).mkdir(parents=True)
        utils.save_checkpoint(config, 299, model, 0.0, optimizer, schedule, logging.getLogger())
        Path(config.OUTPUT, "ckpt_epoch_299.pth").unlink()  # the same once more
    return f"{config.OUTPUT}/checkpoint.pth"


def pretrained(folder: Path, name: str) -> tuple[str, Any]:
    """The file of a pretraining, and its online encoder."""
    prepare(folder)
    from models import build_model  # type: ignore[import-not-found]

    config = configuration(name)
    model = build_model(config).eval()
    for part in model.parameters():
        part.requires_grad = True  # to be drawn, too
    fill(model)
    model.queue1.copy_(pattern(0, model.queue1.numel()).view_as(model.queue1))
    model.queue2.copy_(pattern(9, model.queue2.numel()).view_as(model.queue2))
    return save(folder, config, model), model.encoder


def windows_of_other_sizes(state: dict[str, Tensor]) -> Any:
    """Tokens of the network built anew for images of each size, with the same weights."""
    from models.swin_transformer import SwinTransformer  # type: ignore[import-not-found]

    weights = {k: v for k, v in state.items() if "attn_mask" not in k and "head" not in k}

    def tokens(images: Tensor) -> Tensor:
        model = SwinTransformer(
            img_size=tuple(images.shape[-2:]), num_classes=0, window_size=7,
            **{key.lower(): value for key, value in SWIN.items()},
        )  # fmt: skip
        model.load_state_dict(weights, strict=False)
        return output_of(model.eval(), model.norm)(images)

    return tokens


def known_swin(file: str, encoder: Any, **more: Any) -> dict[str, Any]:
    """What is told of a file with a Swin."""
    return {
        "file": file,
        "method": "moby",
        "parameters": sum(p.numel() for n, p in encoder.named_parameters() if "head" not in n),
        "tokens": windows_of_other_sizes(encoder.state_dict()),
        "sizes": [(224, 224), (224, 448)],
        "note": "Its code pads nothing: it takes multiples of the windows alone.",
    } | more


@writer("moby-swin-full", "SwinTransformer/Transformer-SSL")
def swin(folder: Path) -> dict[str, Any]:
    """A pretraining with a Swin: two encoders, projectors, queues and the yacs configuration."""
    file, encoder = pretrained(folder, "moby_swin_tiny")
    return known_swin(file, encoder, code="utils.save_checkpoint of models.moby.MoBY")


@writer("moby-deit-full", "SwinTransformer/Transformer-SSL")
def deit(folder: Path) -> dict[str, Any]:
    """A pretraining with timm's DeiT-S."""
    file, encoder = pretrained(folder, "moby_deit_small")
    return {
        "file": file,
        "code": "utils.save_checkpoint of models.moby.MoBY with timm's VisionTransformer",
        "method": "moby",
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "tokens": encoder.forward_features,
        "sizes": [(64, 64)],
        "note": "Neither this code nor its timm takes another size.",
    }


@writer("moby-swin-linear", "SwinTransformer/Transformer-SSL")
def linear(folder: Path) -> dict[str, Any]:
    """The linear classifier on a frozen Swin; only its configuration's name tells the method."""
    prepare(folder)
    from models import build_model

    config = configuration("moby_swin_tiny")
    config.defrost()
    config.MODEL.TYPE = "linear"
    config.MODEL.NUM_CLASSES = 10
    config.freeze()
    model = build_model(config).eval()
    fill(model)
    return known_swin(
        save(folder, config, model),
        model,
        code="utils.save_checkpoint of models.swin_transformer.SwinTransformer",
        options={"method": "moby"},
    )

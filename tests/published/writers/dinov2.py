"""DINOv2: the file of the backbone alone, the teacher's, and a checkpoint of the training."""

import sys
import tempfile
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from tests.published import fill
from tests.published.writers import writer

SIZES = [(56, 56), (42, 70)]
HEAD = {"head_n_prototypes": 32, "head_hidden_dim": 64, "head_bottleneck_dim": 16}


def shallow(arch: str, depth: int) -> None:
    """Let the repository's factory of an architecture build fewer blocks, all else as it is."""
    from dinov2.models import vision_transformer as vits  # type: ignore[import-not-found]

    whole, build = vits.DinoVisionTransformer, getattr(vits, arch)

    def built(**kwargs: Any) -> Any:
        vits.DinoVisionTransformer = lambda **given: whole(**given | {"depth": depth})
        model = build(**kwargs)
        vits.DinoVisionTransformer = whole
        return model

    setattr(vits, arch, built)


def all_tokens(model: Any) -> Any:
    """[CLS], registers and patches after the last norm."""

    def tokens(images: Tensor) -> Tensor:
        found = model.forward_features(images)
        first = found["x_norm_clstoken"].unsqueeze(1)
        return torch.cat([first, found["x_norm_regtokens"], found["x_norm_patchtokens"]], dim=1)

    return tokens


def hub(folder: Path, entry: str, arch: str, file: str, depth: int) -> dict[str, Any]:
    """A file of the hub: the backbone's state and nothing else."""
    from dinov2.hub import backbones  # type: ignore[import-not-found]

    shallow(arch, depth)
    model = getattr(backbones, entry)(pretrained=False, img_size=56)
    fill(model)
    model.eval()
    torch.save(model.state_dict(), folder / file)
    return {
        "file": file,
        "code": f"state_dict of hub.backbones.{entry}",
        "method": "dinov2",
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": all_tokens(model),
        "sizes": SIZES,
        "note": "Positions are of images of 56 pixels; the published files' of 518.",
    }


@writer("dinov2-hub", "facebookresearch/dinov2")
def vit(folder: Path) -> dict[str, Any]:
    """ViT-S/14; positions are resized by a scale, with an offset and without antialiasing."""
    return hub(folder, "dinov2_vits14", "vit_small", "dinov2_vits14_pretrain.pth", 2)


@writer("dinov2-hub-registers", "facebookresearch/dinov2")
def registers(folder: Path) -> dict[str, Any]:
    """ViT-S/14 with registers; positions are resized to a size, with antialiasing."""
    return hub(folder, "dinov2_vits14_reg", "vit_small", "dinov2_vits14_reg4_pretrain.pth", 2)


@writer("dinov2-hub-giant", "facebookresearch/dinov2")
def giant(folder: Path) -> dict[str, Any]:
    """ViT-g/14: gated feed-forward layers; one block, for it is wide."""
    return hub(folder, "dinov2_vitg14", "vit_giant2", "dinov2_vitg14_pretrain.pth", 1)


def training(depth: int) -> tuple[Any, Any]:
    """The configuration and both networks, wrapped for one process as the training wraps them.

    xFormers, without which the training's module is not imported, and the graphics card are
    what is not there: FSDP runs on the CPU, and does not synchronise, for there is one process.
    """
    operations = ModuleType("xformers.ops")
    operations.fmha = None  # type: ignore[attr-defined]
    sys.modules |= {"xformers": ModuleType("xformers"), "xformers.ops": operations}
    from dinov2 import distributed  # type: ignore[import-not-found]
    from dinov2.configs import dinov2_default_config  # type: ignore[import-not-found]
    from dinov2.train import ssl_meta_arch  # type: ignore[import-not-found]
    from omegaconf import OmegaConf  # type: ignore[import-not-found]

    changes = {
        "student": {"arch": "vit_small", "patch_size": 14, "block_chunks": 2},
        "crops": {"global_crops_size": 56},
        "dino": HEAD,
        "ibot": HEAD | {"separate_head": True},
    }
    config = OmegaConf.merge(dinov2_default_config, changes)
    shallow("vit_small", depth)
    model = ssl_meta_arch.SSLMetaArch(config)
    fill(model)
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=store)
    distributed.get_local_rank = lambda: torch.device("cpu")
    distributed.is_enabled = lambda: False
    distributed.get_global_rank = lambda: 0
    wrapper = ssl_meta_arch.get_fsdp_wrapper

    def unsynchronised(*args: Any, **kwargs: Any) -> Any:
        return partial(wrapper(*args, **kwargs), sync_module_states=False)

    ssl_meta_arch.get_fsdp_wrapper = unsynchronised
    model.prepare_for_distributed_training()  # copies the student to the teacher
    with torch.no_grad():
        for parameter in model.student.parameters():
            parameter.mul_(0.5)
    return config, model


def evaluated(config: Any, file: Path) -> Any:
    """The teacher's backbone as the evaluation loads it from the teacher's file."""
    from dinov2.models import build_model_from_cfg
    from dinov2.utils.utils import load_pretrained_weights  # type: ignore[import-not-found]

    model, _ = build_model_from_cfg(config, only_teacher=True)
    load_pretrained_weights(model, str(file), "teacher")
    return model.eval()


def teachers(config: Any, model: Any, iteration: str) -> Path:
    """The teacher's file, written by the training's own ``do_test``."""
    from dinov2.train.train import do_test  # type: ignore[import-not-found]

    do_test(config, model, iteration)
    return Path(config.train.output_dir, "eval", iteration, "teacher_checkpoint.pth")


@writer("dinov2-teacher", "facebookresearch/dinov2")
def teacher(folder: Path) -> dict[str, Any]:
    """What is written for each evaluation: the teacher's backbone, in chunks, and its heads."""
    config, model = training(4)
    config.train.output_dir = str(folder)
    file = teachers(config, model, "training_3")
    network = evaluated(config, file)
    return {
        "file": str(file.relative_to(folder)),
        "code": "train/train.py, do_test: the state of SSLMetaArch's teacher, wrapped with FSDP",
        "method": "dinov2",
        "parameters": sum(p.numel() for p in network.parameters()),
        "tokens": all_tokens(network),
        "sizes": SIZES,
        "note": "student.block_chunks is 2, hence blocks.CHUNK.BLOCK.",
    }


@writer("dinov2-training", "facebookresearch/dinov2")
def checkpoint(folder: Path) -> dict[str, Any]:
    """The training's checkpoint of one process, which keeps weights in one piece."""
    from dinov2.fsdp import FSDPCheckpointer  # type: ignore[import-not-found]

    config, model = training(2)
    optimizer = torch.optim.AdamW(model.get_params_groups())
    FSDPCheckpointer(model, str(folder), optimizer=optimizer, save_to_disk=True).save(
        "model_0000003", iteration=3
    )
    with tempfile.TemporaryDirectory() as elsewhere:
        config.train.output_dir = elsewhere
        network = evaluated(config, teachers(config, model, "training_3"))
    return {
        "file": "model_0000003.rank_0.pth",
        "code": "fsdp.FSDPCheckpointer.save of SSLMetaArch",
        "method": "dinov2",
        "parameters": sum(p.numel() for p in network.parameters()),
        "tokens": all_tokens(network),
        "sizes": SIZES,
        "note": "Of one process. Of several, each one's file holds a part of flattened weights.",
    }

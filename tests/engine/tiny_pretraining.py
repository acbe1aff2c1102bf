"""Pretraining runs that take a second, for the tests of all that surrounds a step."""

from pathlib import Path

import torch

from selfpatch.engine.launch import pretrain, read_config
from tests import ROOT

CONFIGS = ROOT / "selfpatch/configs"
TINY = {
    "total_batch_size": 4,
    "train_dataloader.num_workers": 0,
    "views.0.size": 32,
    "views.1.size": 32,
    "views.2.size": 16,
    "views.2.count": 2,
    "model.trunk.embed_dim": 24,
    "model.trunk.num_heads": 2,
    "model.trunk.depth": 2,
    "model.trunk.patch_size": 8,
    "model.trunk.image_size": 32,
    "model.trunk.drop_path_rate": 0.2,
    "model.objective.num_prototypes": 32,
    "model.objective.hidden_dim": 16,
    "train_cfg.max_epochs": 2,
    "train_cfg.schedule.warmup_epochs": 1,
    "default_hooks.logger.interval": 1,
}
TINY_PATCHES = {"model.selfpatch.patch_head.num_prototypes": 16}
CONFIG_OPTIONS = {"demo_selfpatch.py": {**TINY, **TINY_PATCHES}, "demo_dino.py": TINY}
EVERY_STEP = {
    "default_hooks.checkpoint.by_epoch": False,
    "default_hooks.checkpoint.interval": 2,
    "default_hooks.checkpoint.keep_last": 0,
    "train_cfg.max_epochs": 4,
}
ACCUMULATED = {"optim_wrapper.accumulative_counts": 2}
KEEP_ALL = {"default_hooks.checkpoint.keep_last": 0}


def train(
    config: str, images: Path | str, work_dir: Path, resume: bool = False, hooks=(), **options
) -> Path:
    """Train in this process; ``options`` may write ``__`` for the dots of their names."""
    options = {name.replace("__", "."): value for name, value in options.items()}
    overrides = {**CONFIG_OPTIONS[config], **options, "experiment_name": f"{work_dir} {resume}"}
    cfg = read_config(str(CONFIGS / config), overrides, str(images), str(work_dir), hooks=hooks)
    pretrain(cfg, resume)
    return work_dir


def weights(work_dir: Path, name: str) -> dict[str, torch.Tensor]:
    return torch.load(work_dir / name, weights_only=True)["state_dict"]


def arguments(
    config: str,
    images: Path | str,
    work_dir: Path,
    options: dict,
    launcher: str = "none",
    resume: bool = False,
) -> list[str]:
    """The program of a run with its arguments."""
    return [
        "-m", "selfpatch", "pretrain", str(CONFIGS / config), "--launcher", launcher,
        *(["--resume"] * resume), "--data", str(images), "--work-dir", str(work_dir),
        "--cfg-options", *(f"{name}={value}" for name, value in options.items()),
    ]  # fmt: skip

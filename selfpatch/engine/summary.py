"""A config -> what will be trained, on ten lines."""

import os

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size

from selfpatch.data.draws import View, single_views
from selfpatch.data.views import MultiViewDataset
from selfpatch.errors import InputError
from selfpatch.models.trunks import build_trunk


def summary(cfg: Config, dataset: MultiViewDataset) -> str:
    """Method, trunk, data, views, step, length, rates and places of a run.

    Args:
        cfg: See :func:`selfpatch.engine.launch.read_config`.
        dataset: The images of the run.
    """
    schedule, wrapper = cfg.train_cfg.schedule, cfg.optim_wrapper
    processes, accumulated = get_world_size(), wrapper.get("accumulative_counts", 1)
    batch = images_per_batch(cfg, processes)
    steps = len(dataset) // cfg.total_batch_size
    epochs = cfg.train_cfg.max_epochs
    with torch.device("meta"):
        trunk = build_trunk(**cfg.model.trunk)
    weights = sum(weight.numel() for weight in trunk.parameters())
    patches = " + SelfPatch" if cfg.model.get("selfpatch") else ""
    kinds = [View(**view) for view in cfg.views]
    views = " + ".join(f"{view.count} x {view.size}" for view in kinds)
    batches = f"{processes} process{'es' * (processes > 1)} of {batch}"
    rate = schedule.lr * cfg.total_batch_size / 256
    lines = {
        "method": f"{cfg.model.objective.name}{patches}",
        "trunk": f"{cfg.model.trunk.variant}, {weights:,} weights",
        "data": f"{len(dataset):,} images in {cfg.train_dataloader.folder}",
        "views": f"{len(single_views(kinds))} of an image: {views} pixels",
        "step": f"{cfg.total_batch_size} images: {batches}"
        + f", {accumulated} batches each" * (accumulated > 1),
        "length": f"{epochs} epochs of {steps:,} steps, {epochs * steps:,} in all",
        "rate": f"{rate:.3g} after {schedule.warmup_epochs:g} epochs of warm-up",
        "precision": f"{wrapper.get('precision', 'fp32')} on {device()}",
        "seed": str(cfg.get("randomness", {}).get("seed", "drawn")),
        "work dir": cfg.work_dir + (f", goes on from {cfg.load_from}" if cfg.get("resume") else ""),
    }
    return "\n".join(f"{name:<10}{text}" for name, text in lines.items())


def device() -> str:
    """What computes."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} cores"


def images_per_batch(cfg: Config, num_processes: int) -> int:
    """Share the images of a step out over processes and accumulated batches."""
    shares = num_processes * cfg.optim_wrapper.get("accumulative_counts", 1)
    if cfg.total_batch_size % shares:
        raise InputError(
            f"total_batch_size={cfg.total_batch_size} does not divide by {shares}"
            " (processes times accumulative_counts); change one of them"
        )
    return cfg.total_batch_size // shares

"""A host's resolved config -> what of it changes a number."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size

from selfpatch.results.file import described_data
from selfpatch.results.settings import Settings, flat

TRAINING = (
    "model", "train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "auto_scale_lr",
    "custom_hooks",
)  # fmt: skip
"""Sections of a config that training reads."""

ELSEWHERE = re.compile(
    r"(^|\.)(init_cfg|data_root|data_prefix|ann_file|backend_args|outfile_prefix|output_dir"
    r"|num_workers|persistent_workers|pin_memory|prefetch_factor|with_cp"
    r"|val_interval|val_begin|dynamic_intervals)(\.|$)"
)
"""Values that change no number, and those that are known otherwise: data by what they hold."""

OF_THE_FILE = re.compile(
    r"^model\.backbone\.(variant|override|embed_dim|depth|depths|num_heads|patch_size|image_size"
    r"|mlp_ratio|class_token|final_norm|num_registers|layer_scale|norm_eps|activation|qkv_bias"
    r"|patch_bias|pre_norm|resizing|rotary|small_grids|name|options)(\.|$)"
)
"""What the backbone file decides, and its fingerprint covers."""


def training_settings(cfg: Config, dataset: Any) -> Settings:
    """What of a config decides the weights that training ends with, beside seed and backbone."""
    data = data_of(dataset)
    del data["path"]  # where it lies changes nothing
    hooks = [hook for hook in cfg.get("custom_hooks", []) if hook.get("type") != "ResultsFile"]
    sections = {name: cfg.get(name) for name in TRAINING}
    sections |= {"custom_hooks": hooks, "processes": get_world_size(), "data": data}
    return relevant(sections)


def test_settings(cfg: Config, split: str, several_scales: bool) -> Settings:
    """What of a config decides the number that a model gets.

    Args:
        cfg: The resolved config.
        split: ``val`` or ``test``: which of its loaders and evaluators ran.
        several_scales: Whether the model was tested at several scales (``--tta``).
    """
    model = {name: value for name, value in cfg.model.items() if name != "train_cfg"}
    sections = {
        "model": model,
        "dataloader": cfg.get(f"{split}_dataloader"),
        "evaluator": cfg.get(f"{split}_evaluator"),
    }
    if several_scales:
        sections |= {name: cfg.get(name) for name in ("tta_model", "tta_pipeline")}
    return relevant(sections)


def relevant(sections: dict[str, Any]) -> Settings:
    """The flattened sections without what changes no number."""
    values = flat(sections).items()
    return {n: v for n, v in values if not ELSEWHERE.search(n) and not OF_THE_FILE.search(n)}


def data_of(dataset: Any) -> dict[str, Any]:
    """Count and names of a data set's images, be it several ones, repeated or resampled."""
    parts = list(basic_datasets(dataset))
    names = [
        Path(part.get_data_info(i)["img_path"]).name for part in parts for i in range(len(part))
    ]
    root = str(getattr(parts[0], "data_root", "") or "") if parts else ""
    return described_data(root, names, "images")


def basic_datasets(dataset: Any) -> Iterable[Any]:
    """The data sets that the wrappers of mmengine, mmdet and mmseg hold."""
    if hasattr(dataset, "datasets"):
        for part in dataset.datasets:
            yield from basic_datasets(part)
    elif hasattr(dataset, "dataset"):
        yield from basic_datasets(dataset.dataset)
    else:
        yield dataset

"""Hand-made results: ten backbones, five tasks, three seeds, as a whole comparison leaves them."""

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfpatch.backbones.file import BackboneInfo
from selfpatch.models.variants import VARIANTS
from selfpatch.results.file import TASKS, Result, described_data
from selfpatch.results.settings import flat

BACKBONES: tuple[tuple[str, str, int], ...] = (
    ("swav", "resnet50", 16),
    ("densecl", "resnet50", 16),
    ("mocov3", "vit_small", 16),
    ("mocov3+selfpatch", "vit_small", 16),
    ("moby", "vit_small", 16),
    ("moby+selfpatch", "vit_small", 16),
    ("moby", "swin_tiny", 16),
    ("moby+selfpatch", "swin_tiny", 16),
    ("dino", "vit_small", 16),
    ("dino+selfpatch", "vit_small", 16),
)
"""Method, variant of the trunk, patch size."""

MADE_TASKS = (
    "coco-mask-rcnn", "ade20k-semantic-fpn", "ade20k-upernet", "ade20k-linear", "davis2017",
)  # fmt: skip

WHOLE = {"coco": 5000, "ade20k": 2000, "davis2017": 30}

VERSIONS = {"python": "3.11.7", "torch": "torch 2.15.0", "mmcv": "onedl-mmcv 2.3.6"}


def backbone(
    method: str = "dino",
    variant: str = "vit_small",
    patch_size: int = 16,
    seed: int | None = 0,
    recipe: Mapping[str, Any] | None = None,
    **trunk: Any,
) -> dict[str, Any]:
    """What a result says of a backbone; without a recipe it is an imported one."""
    architecture = {**VARIANTS[variant], **trunk}
    if variant.startswith("vit"):
        architecture |= {"patch_size": patch_size, "class_token": "+" not in method}
    settings = (
        {} if recipe is None else {"steps": 1000, **flat({"model": {"name": method}, **recipe})}
    )
    weights = f"{method} {variant} {patch_size} {seed} {sorted(settings.items())}"
    known = None if recipe is None else seed
    info = BackboneInfo(
        json.loads(json.dumps(architecture)), method, "backbone.safetensors",
        "teacher", weights=weights, seed=known, settings=settings,
    )  # fmt: skip
    return info.described()


PARTS = {"neighbourhood": 3, "k": 4, "aggregation": "attention"}


def recipe_of(method: str, epochs: int = 200, **parts: Any) -> dict[str, Any]:
    """A recipe such as backbones keep it, with SelfPatch's parts where it has some."""
    made: dict[str, Any] = {"train_cfg": {"max_epochs": epochs}}
    if method.endswith("+selfpatch"):
        made["model"] = {"selfpatch": {**PARTS, **parts}}
    return made


def result(
    task: str = "davis2017",
    value: float = 50.0,
    *,
    of: dict[str, Any] | None = None,
    seed: int | None = None,
    count: int | None = None,
    path: str = "data",
    **changes: Any,
) -> Result:
    """One result, all of whose metrics are ``value``."""
    whole = WHOLE.get(task) or WHOLE.get(task.split("-")[0], 10)
    unit = "sequences" if task == "davis2017" else "images"
    names = [f"{task.split('-')[0]} {number}" for number in range(count or whole)]
    hosts = {} if task == "davis2017" else {"mmcv operators": "torchvision"}
    fields: dict[str, Any] = dict(
        task=task,
        metrics=dict.fromkeys(TASKS.get(task, ("score",)), value),
        config=f"{task}.py",
        dataset=described_data(path, names, unit),
        backbone=of or backbone(recipe=recipe_of("dino")),
        hours=0.5,
        seed=seed,
        settings={"lr": 6e-5},
        device="a machine",
        versions={**VERSIONS, **hosts},
        created="2026-01-01",
    )
    return Result(**{**fields, **changes})


def in_files(results: Iterable[Result]) -> dict[Path, Result]:
    """The results as if they had been read, a file each."""
    return {Path(f"{number}/results.json"): one for number, one in enumerate(results)}


def write(folder: Path, results: Iterable[Result]) -> Path:
    """Write each into a folder of its own; returns the folder of all."""
    for file, one in in_files(results).items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(one)))
    return folder


def full_scale(seeds: Iterable[int] = (0, 1, 2)) -> list[Result]:
    """Ten backbones x five tasks x three seeds; the published checkpoints vary in the task's."""
    chance = random.Random(0)
    found = []
    for place, (method, variant, patch_size) in enumerate(BACKBONES):
        published = variant == "resnet50"
        recipe = None if published else recipe_of(method)
        for seed in seeds:
            of = backbone(method, variant, patch_size, 0 if published else seed, recipe)
            for task in MADE_TASKS:
                if published and task == "davis2017" and seed:
                    continue  # weights that do not vary, in a task that draws nothing
                value = 36 + place + chance.gauss(0, 0.3)
                one = result(
                    task, value, of=of, seed=None if task == "davis2017" else seed,
                    settings=settings(task, variant), config=f"{task}_{variant}.py",
                )  # fmt: skip
                found.append(one)
    return found


def settings(task: str, variant: str) -> dict[str, Any]:
    """Settings as many as results have, which name the trunk's own."""
    if task == "davis2017":
        return {"reading.tokens": "last-block", "reading.layer": 2 if "swin" in variant else 11}
    many = {f"training.model.part{number}.value": number for number in range(150)}
    return {"iterations": 90000, "training.model.backbone.type": variant, **many}

"""A model and a task -> the commands that would make the number."""

import re
from collections.abc import Sequence
from pathlib import Path

from selfpatch.results.models import PRETRAINED_HERE, Model, base_of
from selfpatch.results.probes import probe_task

ROOT = Path(__file__).parents[2]
"""Where the packages of configs lie, in a checkout as in an installed copy."""

FINE_TUNING = {
    "coco-mask-rcnn": "mmdet_configs/mask-rcnn_selfpatch-{}_fpn_1x_coco",
    "coco-cascade-mask-rcnn": "mmdet_configs/cascade-mask-rcnn_selfpatch-{}_fpn_1x_coco",
    "coco-vitdet": "mmdet_configs/vitdet_selfpatch-{}_lsj-100e_coco",
    "ade20k-semantic-fpn": "mmseg_configs/semantic-fpn_selfpatch-{}_40k_ade20k-512x512",
    "ade20k-upernet": "mmseg_configs/upernet_selfpatch-{}_160k_ade20k-512x512",
    "ade20k-linear": "mmseg_configs/linear_selfpatch-{}_40k_ade20k-512x512",
}
"""Task -> its config, with a place for the trunk's name; not every trunk has every one."""

PRETRAINING = {
    ("dino", "ViT-S/16"): "dino_vit-s16_16xb64-300e_in1k",
    ("dino", "ViT-S/8"): "dino-matched_vit-s16_8xb128-200e_in1k",
    ("dino+selfpatch", "ViT-S/16"): "selfpatch_vit-s16_8xb128-200e_in1k",
    ("dino+selfpatch", "ViT-S/8"): "selfpatch_vit-s8_8xb128-200e_in1k",
    ("moby", "ViT-S/16"): "moby_vit-s16_8xb64-300e_in1k",
    ("moby", "Swin-T"): "moby_swin-t_8xb64-300e_in1k",
    ("moby+selfpatch", "ViT-S/16"): "selfpatch-moby_vit-s16_8xb64-300e_in1k",
    ("moby+selfpatch", "Swin-T"): "selfpatch-moby_swin-t_8xb64-300e_in1k",
    ("mocov3", "ViT-S/16"): "mocov3_vit-s16_8xb512-300e_in1k",
    ("mocov3+selfpatch", "ViT-S/16"): "selfpatch-mocov3_vit-s16_8xb512-300e_in1k",
}
"""Method and trunk -> the config of :mod:`selfpatch.configs` nearest to it."""

ABLATION = "selfpatch-ablation_vit-s16_8xb128-100e_in1k"
EPOCHS = 100
"""The config of the paper's Sec. 5.1, and its length."""

FILE = "backbone.safetensors"
VARIANTS = {"T": "vit_tiny", "S": "vit_small", "B": "vit_base", "L": "vit_large"}


def commands_for(model: Model, task: str, has_backbone: bool) -> tuple[str, ...]:
    """What to type for the result of a model in a task; what cannot be typed is a remark."""
    first = () if has_backbone else (backbone_command(model),)
    return (*first, task_command(model.trunk, task))


def backbone_command(model: Model) -> str:
    """``selfpatch pretrain`` for a method that is trained here, else ``selfpatch import``."""
    if base_of(model.method) not in PRETRAINED_HERE:
        return f"selfpatch import CHECKPOINT {FILE} --method {model.method}"
    config, options = recipe_for(model)
    if not config:
        return f"# no config pretrains {model.name} with {model.trunk}: derive one from another"
    return pretrain_command(config, options)


def pretrain_command(config: str, options: Sequence[str]) -> str:
    """``selfpatch pretrain`` with a config and what is changed of it."""
    changed = f" --cfg-options {' '.join(options)}" if options else ""
    return f"selfpatch pretrain {config} --data DIR{changed}"


def recipe_for(model: Model) -> tuple[str, list[str]]:
    """The config of a method and trunk, and the options that make it this trunk."""
    if model[:2] == ("dino", "ViT-S/8"):
        return PRETRAINING[model[:2]], ["model.trunk.patch_size=8"]
    if model[:2] in PRETRAINING:
        return PRETRAINING[model[:2]], []
    if model.trunk == "Swin-S":
        return PRETRAINING.get((model.method, "Swin-T"), ""), ["model.trunk.variant=swin_small"]
    if vit := re.fullmatch(r"ViT-([TSBL])/(\d+)", model.trunk):
        options = [f"model.trunk.variant={VARIANTS[vit[1]]}", f"model.trunk.patch_size={vit[2]}"]
        return PRETRAINING.get((model.method, "ViT-S/16"), ""), options
    return "", []


def task_command(trunk: str, task: str) -> str:
    """``selfpatch davis run`` or ``selfpatch finetune`` with the config of the trunk."""
    if task == "davis2017":
        return f"selfpatch davis run --davis DIR --weights {FILE} --out DIR"
    if probe := probe_task(task):
        size = f" --size {probe.size}" if probe.size else ""
        how = f" --readout {probe.how}" if probe.how else ""
        part = re.search(r"-1of(\d+)$", probe.data)
        how += f" --part 1/{part[1]}" if part else ""
        return f"selfpatch probe {probe.probe} --weights {FILE}{size}{how} --out FILE ..."
    if task not in FINE_TUNING:
        return "# then the task, as with the other backbones"
    config = f"{FINE_TUNING[task].format(slug(trunk))}.py"
    if not (ROOT / config).is_file():
        return f"# no config does that with {trunk}; docs/own_models.md says how to write one"
    return (
        f"selfpatch finetune {Path(config).stem}"
        f" --cfg-options model.backbone.init_cfg.checkpoint={FILE}"
    )


def slug(trunk: str) -> str:
    """A trunk's name as configs spell it: ``vit-s16``, ``swin-t``, ``r50``."""
    return trunk.lower().replace("/", "").replace("resnet-", "r")

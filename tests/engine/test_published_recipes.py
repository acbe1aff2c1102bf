"""Every number of a pretraining recipe, and where its authors wrote it down."""

from dataclasses import dataclass
from typing import Any

import pytest

from selfpatch.data.draws import single_views
from selfpatch.engine.launch import read_config
from selfpatch.models.trunks import build_trunk
from selfpatch.results.settings import flat
from tests.engine.tiny_pretraining import CONFIGS

Values = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """A recipe: repository and commit; ``file:line`` in it -> the values that stand there."""

    repository: str
    values: dict[str, Values]


IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}


def views(*sizes_scales: tuple) -> Values:
    names = ("count", "size", "scale", "blur", "solarize", "color_jitter", "interpolation")
    rows = [dict(zip(names, row, strict=True)) for row in sizes_scales]
    return flat({"views": rows})


JITTER = [0.4, 0.4, 0.2, 0.1]
PLAIN_DINO_HEAD = flat({"model.objective": {
    "num_prototypes": 65536, "hidden_dim": 2048, "bottleneck_dim": 256, "num_layers": 3,
}})  # fmt: skip
SMALL = {"model.trunk.variant": "vit_small", "model.trunk.patch_size": 16}
SMALL |= {"model.trunk.image_size": 224}

VISSL = Published("facebookresearch/vissl@09270ed", {
    "configs/config/pretrain/dino/dino_16gpus_deits16.yaml:19, 116, 117": {
        "total_batch_size": 64 * 2 * 8,
    },
    "configs/config/pretrain/dino/dino_16gpus_deits16.yaml:22-36 and"
    " vissl/data/ssl_transforms/img_pil_color_distortion.py": views(
        (1, 224, [0.4, 1.0], 1.0, 0.0, [0.4, 0.4, 0.4, 0.1], "bilinear"),
        (1, 224, [0.4, 1.0], 0.1, 0.2, [0.4, 0.4, 0.4, 0.1], "bilinear"),
        (8, 96, [0.05, 0.4], 0.5, 0.0, [0.4, 0.4, 0.4, 0.1], "bilinear"),
    ),
    "configs/config/pretrain/dino/dino_16gpus_deits16.yaml:53-64": {
        **SMALL, "model.trunk.class_token": True, "model.trunk.final_norm": True,
        "model.trunk.drop_path_rate": 0.1,
    },
    "configs/config/pretrain/dino/dino_16gpus_deits16.yaml:66-76 and"
    " vissl/models/heads/dino_head.py": {
        **PLAIN_DINO_HEAD, "model.objective.norm_last_layer": False,
        "train_cfg.schedule.freeze_last_layer_epochs": 1,
    },
    "configs/config/pretrain/dino/dino_16gpus_deits16.yaml:83-87 and"
    " vissl/config/defaults.yaml:1104-1112": {
        "train_cfg.schedule.momentum": [0.996, 1.0],
        "train_cfg.schedule.teacher_temp": [0.04, 0.07],
        "train_cfg.schedule.teacher_temp_warmup_epochs": 30,
        "model.objective.student_temp": 0.1, "model.objective.num_global": 2,
        "model.objective.center_momentum": 0.9, "model.objective.center_views": "global",
    },
    "configs/config/pretrain/dino/dino_16gpus_deits16.yaml:92-113 and"
    " vissl/optimizers/param_groups/dino.py": {
        "train_cfg.max_epochs": 300, "train_cfg.schedule.warmup_epochs": 10,
        "train_cfg.schedule.lr": 2e-3 * 256 / 1024,
        "train_cfg.schedule.start_lr": 1e-5, "train_cfg.schedule.end_lr": 1e-5,
        "train_cfg.schedule.weight_decay": [0.04, 0.4],
        "optim_wrapper.optimizer.betas": [0.9, 0.999],
        "optim_wrapper.constructor": "DecayGroups",
    },
    "vissl/config/defaults.yaml:644": {"optim_wrapper.clip_norm": 0.0},
})  # fmt: skip

SELFPATCH_HEADS = flat({"model.selfpatch": {
    "weight": 0.1, "k": 4, "neighbourhood": 3, "border": "wrap", "aggregation": "attention",
    "patch_layer": -1, "views": "all", "student_temp": 0.1, "center_momentum": 0.9,
    "patch_head": {
        "num_prototypes": 4096, "hidden_dim": 2048, "bottleneck_dim": 256, "num_layers": 3,
        "norm_last_layer": True,
    },
}})  # fmt: skip
SELFPATCH = Published("alinlab/SelfPatch@81aef14", {
    "README.md:16": {"total_batch_size": 8 * 128},
    "main_selfpatch.py:112-119, 487-532": views(
        (1, 224, [0.25, 1.0], 1.0, 0.0, JITTER, "bicubic"),
        (1, 224, [0.25, 1.0], 0.1, 0.2, JITTER, "bicubic"),
        (8, 96, [0.05, 0.25], 0.5, 0.0, JITTER, "bicubic"),
    ),
    "README.md:16, main_selfpatch.py, selfpatch_vision_transformer.py": {
        **SMALL, "model.trunk.drop_path_rate": 0.1,
        "model.trunk.class_token": False, "model.trunk.final_norm": False,
    },
    "main_selfpatch.py:57-81, selfpatch_vision_transformer.py:445-479": {
        **PLAIN_DINO_HEAD, "model.objective.norm_last_layer": True,
        "train_cfg.schedule.momentum": [0.996, 1.0],
        "train_cfg.schedule.teacher_temp": [0.04, 0.04],
        "train_cfg.schedule.teacher_temp_warmup_epochs": 0,
        "train_cfg.schedule.freeze_last_layer_epochs": 1,
    },
    "main_selfpatch.py:87-106": {
        "train_cfg.schedule.lr": 5e-4, "train_cfg.schedule.start_lr": 0.0,
        "train_cfg.schedule.end_lr": 1e-6, "train_cfg.schedule.warmup_epochs": 10,
        "train_cfg.schedule.weight_decay": [0.04, 0.4],
        "optim_wrapper.optimizer.betas": [0.9, 0.999],
        "optim_wrapper.constructor": "DecayGroups",
        "optim_wrapper.clip": "each", "optim_wrapper.clip_norm": 3.0,
    },
    "main_selfpatch.py (class SelfPatchLoss), selfpatch_vision_transformer.py:362-445": {
        **SELFPATCH_HEADS,
        "model.objective.student_temp": 0.1, "model.objective.num_global": 2,
        "model.objective.center_momentum": 0.9, "model.objective.center_views": "all",
    },
    "README.md as first published; main_selfpatch.py:97 says 300": {"train_cfg.max_epochs": 200},
})  # fmt: skip

MOBY_VALUES: dict[str, Values] = {
    "get_started.md:161": {"total_batch_size": 8 * 64},
    "config.py:165, data/build.py:100-118": views(
        (1, 224, [0.08, 1.0], 1.0, 0.0, JITTER, "bilinear"),
        (1, 224, [0.08, 1.0], 0.1, 0.2, JITTER, "bilinear"),
    ),
    "configs/moby_deit_small.yaml:2-5, 15-17, moby_main.py:210-212": {
        "train_cfg.schedule.warmup_epochs": 5, "train_cfg.max_epochs": 300,
        "train_cfg.schedule.lr": 1e-3 * 256 / 512, "train_cfg.schedule.weight_decay": [0.05, 0.05],
        "train_cfg.schedule.momentum": [0.99, 1.0],
        "model.objective.temperature": 0.2, "model.objective.queue_size": 4096,
    },
    "config.py:97, 98, 100, 124, optimizer.py": {
        "train_cfg.schedule.start_lr": 5e-7, "train_cfg.schedule.end_lr": 5e-6,
        "optim_wrapper.clip": "all", "optim_wrapper.clip_norm": 5.0,
        "optim_wrapper.optimizer.betas": [0.9, 0.999],
        "optim_wrapper.constructor": "DecayGroups",
    },
    "models/moby.py:171": {"model.objective.hidden_dim": 4096, "model.objective.out_dim": 256},
}  # fmt: skip
MOBY = Published("SwinTransformer/Transformer-SSL@4510de1", {
    **MOBY_VALUES,
    "configs/moby_deit_small.yaml:12, 13": {
        **SMALL, "model.trunk.class_token": True, "model.trunk.final_norm": True,
        "model.trunk.drop_path_rate": 0.2,
    },
})  # fmt: skip
MOBY_SWIN = Published("SwinTransformer/Transformer-SSL@4510de1", {
    **MOBY_VALUES,
    "configs/moby_swin_tiny.yaml:11-18": {
        "model.trunk.variant": "swin_tiny", "model.trunk.image_size": 224,
        "model.trunk.final_norm": True, "model.trunk.drop_path_rate": 0.2,
    },
})  # fmt: skip

MOCOV3 = Published("facebookresearch/moco-v3@c349e6e", {
    "CONFIG.md:127-130, main_moco.py:60": {
        "total_batch_size": 4096,
        "train_cfg.schedule.lr": 1.5e-4, "train_cfg.schedule.weight_decay": [0.1, 0.1],
        "train_cfg.max_epochs": 300, "train_cfg.schedule.warmup_epochs": 40,
        "train_cfg.schedule.momentum": [0.99, 1.0], "model.objective.temperature": 0.2,
        "model.objective.freeze_patch_embed": True,
    },
    "main_moco.py:117, 262-286": views(
        (1, 224, [0.08, 1.0], 1.0, 0.0, JITTER, "bilinear"),
        (1, 224, [0.08, 1.0], 0.1, 0.2, JITTER, "bilinear"),
    ),
    "main_moco.py:228-230 (neither groups nor clipping), 420-429": {
        "optim_wrapper.constructor": "AllDecay", "optim_wrapper.clip_norm": 0.0,
        "optim_wrapper.optimizer.betas": [0.9, 0.999],
        "train_cfg.schedule.start_lr": 0.0, "train_cfg.schedule.end_lr": 0.0,
    },
    "vits.py:115-119": {
        **SMALL, "model.trunk.num_heads": 12, "model.trunk.class_token": True,
        "model.trunk.final_norm": True, "model.trunk.drop_path_rate": 0.0,
    },
    "main_moco.py:95-98": {"model.objective.hidden_dim": 4096, "model.objective.out_dim": 256},
})  # fmt: skip

RECIPES = {
    "dino_vit-s16_16xb64-300e_in1k": VISSL,
    "selfpatch_vit-s16_8xb128-200e_in1k": SELFPATCH,
    "moby_vit-s16_8xb64-300e_in1k": MOBY,
    "moby_swin-t_8xb64-300e_in1k": MOBY_SWIN,
    "mocov3_vit-s16_8xb512-300e_in1k": MOCOV3,
}
OURS = {"optim_wrapper.precision": "fp32"}
"""What no author has: theirs trained in fp16."""

NAMES = (".type", "model.objective.name", "optim_wrapper.clip")
"""What says which part is used, and is no number."""


def recipe(name: str) -> Values:
    """The numbers of a config, views one by one with what they leave to its default."""
    cfg = read_config(str(CONFIGS / f"{name}.py")).to_dict()
    found = flat({n: cfg[n] for n in ("total_batch_size", "model", "optim_wrapper", "train_cfg")})
    fields = ("size", "scale", "blur", "solarize", "color_jitter", "interpolation")
    for number, view in enumerate(cfg["views"]):
        (first, *_) = single_views([view])
        row = {"count": view["count"], **{field: getattr(first, field) for field in fields}}
        found |= flat({f"views.{number}": row})
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_every_number_of_a_recipe_is_its_authors(name):
    published: Values = {**OURS, **flat({"model.data_preprocessor": IMAGENET})}
    for values in RECIPES[name].values.values():
        published |= values
    found = recipe(name)
    differing = {
        key: (found.get(key, "not there"), value)
        for key, value in published.items()
        if found.get(key, "not there") != pytest.approx(value)
    }
    assert differing == {}
    without_source = {key for key in found if key not in published and not key.endswith(NAMES)}
    assert without_source == set()


def test_the_matched_dino_is_dinos_own_on_selfpatchs_views():
    """Views, rates and length as SelfPatch's; temperatures and trunk as DINO's README says."""
    matched, paper = recipe("dino-matched_vit-s16_8xb128-200e_in1k"), SELFPATCH.values
    shared = {key: value for values in paper.values() for key, value in values.items()}
    shared = {key: value for key, value in shared.items() if "selfpatch" not in key}
    shared |= {
        "train_cfg.schedule.teacher_temp": [0.04, 0.07],
        "train_cfg.schedule.teacher_temp_warmup_epochs": 30,
        "model.objective.center_views": "global",
        "model.trunk.class_token": True,
        "model.trunk.final_norm": True,
    }
    assert {key: matched[key] for key in shared} == shared


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(
            (name, {
                "train_cfg.schedule.teacher_temp": [0.04, 0.04],
                "train_cfg.schedule.teacher_temp_warmup_epochs": 0,
                "train_cfg.schedule.freeze_last_layer_epochs": 0,
            })
            for name in ("selfpatch-moby_vit-s16_8xb64-300e_in1k",
                         "selfpatch-moby_swin-t_8xb64-300e_in1k",
                         "selfpatch-mocov3_vit-s16_8xb512-300e_in1k")
        ),
        *(
            (name, {"model.trunk.class_token": False, "model.trunk.final_norm": False})
            for name in ("selfpatch-moby_vit-s16_8xb64-300e_in1k",
                         "selfpatch-mocov3_vit-s16_8xb512-300e_in1k")
        ),
        ("selfpatch_vit-s8_8xb128-200e_in1k", {"model.trunk.patch_size": 8}),
        ("selfpatch-ablation_vit-s16_8xb128-100e_in1k", {"train_cfg.max_epochs": 100}),
    ],
)  # fmt: skip
def test_what_is_ours_in_a_config_is_what_its_head_and_the_page_of_joins_say(name, values):
    found = recipe(name)
    assert {key: found.get(key) for key in values} == values


@pytest.mark.parametrize(
    ("variant", "size"),
    [
        ("vit_tiny", (192, 12, 3)),  # facebookresearch/deit, models.py
        ("vit_small", (384, 12, 6)),  # facebookresearch/dino, vision_transformer.py
        ("vit_base", (768, 12, 12)),
        ("vit_large", (1024, 24, 16)),  # google-research/vision_transformer, configs/models.py
    ],
)
def test_widths_depths_and_heads_of_the_vits(variant, size):
    found = build_trunk(variant).architecture
    assert (found["embed_dim"], found["depth"], found["num_heads"]) == size
    assert (found["mlp_ratio"], found["norm_eps"]) == (4.0, 1e-6)
    assert (found["patch_size"], found["image_size"]) == (16, 224)


@pytest.mark.parametrize(
    ("variant", "depths"), [("swin_tiny", [2, 2, 6, 2]), ("swin_small", [2, 2, 18, 2])]
)
def test_widths_depths_and_heads_of_the_swins(variant, depths):
    """microsoft/Swin-Transformer, configs/swin/swin_tiny_patch4_window7_224.yaml and _small_."""
    found = build_trunk(variant).architecture
    assert (found["embed_dim"], found["depths"]) == (96, depths)
    assert (found["num_heads"], found["window_size"]) == ([3, 6, 12, 24], 7)

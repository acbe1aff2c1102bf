"""The backbone that mmdetection and mmsegmentation see."""

import argparse
import math
from typing import Any

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import MODELS
from mmengine.runner.checkpoint import get_state_dict, load_state_dict, weights_to_cpu

from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.errors import InputError
from selfpatch.hosts.backbones import SelfPatchSwin, SelfPatchViT
from selfpatch.models.trunks import build_trunk

SIZES = {"variant": "vit_tiny", "depth": 4, "image_size": 64, "out_indices": (0, 1, 2, 3)}
NORM: dict[str, Any] = {"norm_cfg": {"type": "BN"}}


def backbone(**options) -> SelfPatchViT:
    return SelfPatchViT(**{**SIZES, **NORM, **options})


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (96, 160), (97, 131), (33, 200)])
@pytest.mark.parametrize("patch_size", [8, 14, 16, 32])
def test_the_pyramid_has_strides_4_8_16_and_32_for_any_image_and_patch_size(patch_size, size):
    maps = backbone(patch_size=patch_size, image_size=patch_size * 4).eval()(
        torch.randn(2, 3, *size)
    )
    for patch_map, stride in zip(maps, (4, 8, 16, 32), strict=True):
        assert patch_map.shape == (2, 192, *(math.ceil(side / stride) for side in size))


@torch.no_grad()
def test_an_unscaled_level_is_the_trunks_own_map():
    model = backbone(strides=(16, 16, 16, 16)).eval()
    images = torch.randn(1, 3, 64, 96)
    for ours, trunks in zip(model(images), model.trunk.layer_maps(images, range(4)), strict=True):
        assert ours.equal(trunks)


@pytest.mark.slow
def test_both_hosts_find_the_one_registered_class():
    import mmdet.registry
    import mmseg.registry

    for registry in (MODELS, mmdet.registry.MODELS, mmseg.registry.MODELS):
        assert registry.get("SelfPatchViT") is SelfPatchViT


def test_frozen_stages_do_not_train_and_stay_in_evaluation_mode():
    model = backbone(frozen_stages=2, drop_path_rate=0.5).train()
    frozen = {name for name, p in model.trunk.named_parameters() if not p.requires_grad}
    assert {name.split(".")[0] for name in frozen} == {"pos_embed", "patch_embed", "blocks"}
    assert {int(name.split(".")[1]) for name in frozen if name.startswith("blocks")} == {0, 1}
    assert [block.training for block in model.trunk.blocks] == [False, False, True, True]
    assert all(p.requires_grad for p in backbone().parameters())


def test_activation_checkpointing_gives_the_same_gradient():
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = backbone(with_cp=with_cp).train()
        sum(level.sum() for level in model(torch.randn(2, 3, 64, 64))).backward()
        gradients.append(model.trunk.patch_embed.proj.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def checkpoint_of(vit, layout: str, folder) -> str:
    if layout == "backbone file":
        path = folder / "b.safetensors"
        save_backbone(path, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    else:
        state = {f"module.backbone.{n}": v for n, v in vit.state_dict().items()}
        state["module.ca_head.cls_token"] = torch.zeros(1, 1, 192)  # SelfPatch's own
        path = folder / "checkpoint.pth"
        args = argparse.Namespace(arch="vit_tiny", patch_size=16)
        torch.save({"student": {}, "teacher": state, "epoch": 1, "args": args}, path)
    return str(path)


@torch.no_grad()
@pytest.mark.parametrize("layout", ["backbone file", "reference"])
def test_pretrained_weights_are_the_files_and_survive_initialisation(layout, tmp_path):
    """Blocks after the last level are in the file, but not built."""
    vit = build_trunk("vit_tiny", depth=4, image_size=64).eval()
    path = checkpoint_of(vit, layout, tmp_path)
    levels = {"out_indices": (0, 1, 2), "strides": (4, 8, 16)}
    model = backbone(**levels, init_cfg={"type": "Pretrained", "checkpoint": path})
    model.init_weights()
    assert len(model.trunk.blocks) == 3
    images = torch.randn(1, 3, 64, 64)
    expected = vit.layer_maps(images, [2])[0]
    assert model.eval().trunk.layer_maps(images, [2])[0].equal(expected)
    assert model.info.fingerprint
    torch.nn.init.zeros_(model.trunk.pos_embed)  # as if trained
    model.init_weights()
    assert not model.trunk.pos_embed.any()


TRUNKS: dict[str, dict[str, Any]] = {
    "SelfPatch": {},
    "DINO": {"class_token": True, "final_norm": True},
    "MoCo-v3": {"class_token": True, "final_norm": True, "num_heads": 12},
    "DINOv2": {"class_token": True, "final_norm": True, "num_registers": 4, "layer_scale": True,
               "patch_size": 14, "image_size": 56},
    "DINOv3": {"class_token": True, "final_norm": True, "num_registers": 4, "layer_scale": True,
               "rotary": True, "norm_eps": 1e-5, "activation": "swiglu"},
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("name", TRUNKS)
def test_a_config_that_names_a_file_and_nothing_else_computes_as_the_file_says(name, tmp_path):
    vit = build_trunk("vit_tiny", **{"depth": 6, "image_size": 64, **TRUNKS[name]}).eval()
    path = checkpoint_of(vit, "backbone file", tmp_path)
    model = SelfPatchViT(init_cfg={"type": "Pretrained", "checkpoint": path}, **NORM)
    model.init_weights()
    images = torch.randn(1, 3, 8 * vit.patch_size, 6 * vit.patch_size)
    assert model.out_indices == (1, 2, 3, 5)
    for ours, files in zip(
        model.eval().trunk.layer_maps(images, [1, 5]), vit.layer_maps(images, [1, 5]), strict=True
    ):
        assert ours.equal(files)


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"num_heads": 6}, "has 12 heads, the config says 6 heads; leave it out"),
        ({"patch_size": 8}, "has patches of 16 pixels, the config says patches of 8 pixels"),
        ({"class_token": False}, r"has a \[CLS\] token, the config says no \[CLS\] token"),
        ({"variant": "vit_small"}, "has width 192, the config says width 384"),
        ({"variant": "vit_tiny"}, "has 4 blocks, the config says 12 blocks"),
        ({"num_registers": 4}, "has 0 registers, the config says 4 registers"),
        ({"out_indices": (3, 5, 7, 11)}, "ask for blocks beyond the trunk's 4"),
    ],
)
def test_a_config_that_states_something_else_than_the_file_is_refused(stated, sentence, tmp_path):
    vit = build_trunk("vit_tiny", depth=4, image_size=64, **TRUNKS["MoCo-v3"])
    path = checkpoint_of(vit, "backbone file", tmp_path)
    with pytest.raises(InputError, match=sentence):
        SelfPatchViT(init_cfg={"type": "Pretrained", "checkpoint": path}, **NORM, **stated)


def test_what_is_changed_on_purpose_is_another_backbone(tmp_path):
    """The reference computes with 8 heads what was trained with 6."""
    vit = build_trunk("vit_tiny", depth=4, image_size=64)
    path = checkpoint_of(vit, "backbone file", tmp_path)
    found = []
    for override in (None, {"num_heads": 6}):
        model = SelfPatchViT(
            override=override, init_cfg={"type": "Pretrained", "checkpoint": path}, **NORM
        )
        model.init_weights()
        found.append((model.trunk.num_heads, model.info.fingerprint))
    assert [heads for heads, _ in found] == [3, 6]
    assert found[0][1] != found[1][1]


def test_a_missing_file_is_named(tmp_path):
    model = backbone(init_cfg={"type": "Pretrained", "checkpoint": str(tmp_path / "none.pth")})
    with pytest.raises(InputError, match=r"none\.pth does not exist"):
        model.init_weights()


def fine_tuned(tmp_path, **options) -> tuple[SelfPatchViT, dict]:
    """A backbone that was trained a little, and the checkpoint of a model with it."""
    vit = build_trunk("vit_tiny", depth=4, image_size=64, **TRUNKS["MoCo-v3"])
    path = checkpoint_of(vit, "backbone file", tmp_path)
    model = SelfPatchViT(init_cfg={"type": "Pretrained", "checkpoint": path}, **NORM)
    model.init_weights()
    with torch.no_grad():
        model.trunk.pos_embed += 1
    state = get_state_dict(torch.nn.ModuleDict({"backbone": model}))
    torch.save({"state_dict": weights_to_cpu(state)}, tmp_path / "epoch_1.pth")
    return model, torch.load(tmp_path / "epoch_1.pth", weights_only=True)["state_dict"]


@torch.no_grad()
def test_a_checkpoint_says_which_backbone_it_holds_where_the_config_does_not(tmp_path):
    """As in the hosts' inferencers, which take the file out of the config."""
    trained, state = fine_tuned(tmp_path)
    model = torch.nn.ModuleDict({"backbone": SelfPatchViT(**NORM)})
    load_state_dict(model, state)
    images = torch.randn(1, 3, 64, 64)
    for ours, theirs in zip(model.eval()["backbone"](images), trained.eval()(images), strict=True):
        assert ours.equal(theirs)
    assert model["backbone"].info == trained.info
    with pytest.raises(InputError, match="to train it on, name its file"):
        model.train()


def test_a_checkpoint_without_a_note_is_unknown_whatever_init_cfg_named(tmp_path):
    trained, state = fine_tuned(tmp_path)
    del state["backbone._extra_state"]
    load_state_dict(torch.nn.ModuleDict({"backbone": trained}), state)
    assert trained.info.method == "unknown"
    assert not trained.info.fingerprint


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s.pop("backbone.trunk.cls_token"), "missing trunk.cls_token"),
        (lambda s: s.update({"backbone.extra": torch.zeros(1)}), "left over extra"),
        (lambda s: s.update({"backbone.trunk.cls_token": torch.zeros(1, 1, 7)}), "instead of"),
        (lambda s: s.clear(), "missing trunk"),
    ],
)
def test_a_checkpoint_that_does_not_fill_the_backbone_is_refused(change, sentence, tmp_path):
    """The hosts load without being strict, and would go on with a warning."""
    trained, state = fine_tuned(tmp_path)
    change(state)
    with pytest.raises(InputError, match=sentence):
        load_state_dict(torch.nn.ModuleDict({"backbone": trained}), state)


def test_the_note_outlives_an_average_of_the_weights(tmp_path):
    """mmengine's EMAHook saves a copy of the model; no hook of ours has a say in it."""
    trained, _ = fine_tuned(tmp_path)
    average = ExponentialMovingAverage(torch.nn.ModuleDict({"backbone": trained}))
    average.update_parameters(torch.nn.ModuleDict({"backbone": trained}))
    state = {name.removeprefix("module."): v for name, v in average.state_dict().items()}
    state.pop("steps")
    model = torch.nn.ModuleDict({"backbone": SelfPatchViT(**NORM)})
    load_state_dict(model, state)
    assert model["backbone"].info == trained.info


def test_a_checkpoint_loaded_over_init_cfg_is_what_counts(tmp_path):
    """``load_from`` overwrites the weights of ``init_cfg``: their file gets no credit."""
    trained, state = fine_tuned(tmp_path)
    other = build_trunk("vit_tiny", depth=4, image_size=64, **TRUNKS["MoCo-v3"])
    save_backbone(
        tmp_path / "other.safetensors",
        other.state_dict(),
        BackboneInfo(other.architecture, "supervised", "other"),
    )
    init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "other.safetensors")}
    model = torch.nn.ModuleDict({"backbone": SelfPatchViT(init_cfg=init_cfg, **NORM)})
    model["backbone"].init_weights()
    assert model["backbone"].info.method == "supervised"
    load_state_dict(model, state)
    assert model["backbone"].info == trained.info


def test_a_checkpoint_of_other_heads_than_the_config_states_is_refused(tmp_path):
    """No shape disagrees: 3 heads would compute something else with the weights of 12."""
    _, state = fine_tuned(tmp_path)
    model = torch.nn.ModuleDict({"backbone": SelfPatchViT(num_heads=3, **NORM)})
    with pytest.raises(InputError, match="the checkpoint has 12 heads, the config says 3 heads"):
        load_state_dict(model, state)


def test_a_swins_checkpoint_under_a_vits_config_is_refused():
    swin = SelfPatchSwin(embed_dim=24, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
    state = get_state_dict(torch.nn.ModuleDict({"backbone": swin}))
    model = torch.nn.ModuleDict({"backbone": SelfPatchViT(**NORM)})
    with pytest.raises(InputError, match="the checkpoint holds a swin, and SelfPatchViT is a vit"):
        load_state_dict(model, state)


@torch.no_grad()
@pytest.mark.parametrize("family", ["vit", "swin"])
def test_normalized_maps_are_the_trunks_last_tokens_after_its_final_norm(family, tmp_path):
    trunk = build_trunk(
        "vit_tiny" if family == "vit" else "swin_tiny",
        **({"depth": 4, "class_token": True} if family == "vit" else {"depths": (1, 1, 1, 1)}),
        image_size=64,
        final_norm=True,
    ).eval()
    torch.nn.init.normal_(trunk.norm.weight)
    path = checkpoint_of(trunk, "backbone file", tmp_path)
    init_cfg = {"type": "Pretrained", "checkpoint": path}
    if family == "vit":
        options = {"out_indices": (3,), "strides": (16,), "frozen_stages": 4}
        model: torch.nn.Module = SelfPatchViT(**options, normalized=True, init_cfg=init_cfg)
    else:
        model = SelfPatchSwin(normalized=True, frozen_stages=4, init_cfg=init_cfg)
    images = torch.randn(1, 3, 64, 64)
    tokens = trunk.norm(trunk(images))[:, trunk.num_prefix_tokens :]
    last = model.eval()(images)[-1]
    torch.testing.assert_close(last.flatten(2).transpose(1, 2), tokens)
    assert not any(p.requires_grad for n, p in model.named_parameters() if "norm" in n)


def test_a_norm_that_is_not_there_is_not_read():
    with pytest.raises(InputError, match="this one has none"):
        backbone(normalized=True)


@torch.no_grad()
def test_positions_are_resized_once_where_a_config_overrides_the_images_size(tmp_path):
    vit = build_trunk("vit_tiny", depth=4, image_size=64, class_token=True)
    path = checkpoint_of(vit, "backbone file", tmp_path)
    init_cfg = {"type": "Pretrained", "checkpoint": path}
    model = backbone(image_size=None, override={"image_size": 128}, init_cfg=init_cfg)
    assert model.trunk.pos_embed.shape == (1, 1 + 8 * 8, 192)
    assert model.trunk.pos_embed.equal(vit.position_embedding((8, 8)))
    assert model.info.architecture["image_size"] == 128

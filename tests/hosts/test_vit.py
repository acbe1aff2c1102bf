"""The backbone that mmdetection and mmsegmentation see."""

import argparse
import math

import pytest
import torch
from mmengine.registry import MODELS

from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.errors import InputError
from selfpatch.hosts.backbones import SelfPatchViT
from selfpatch.models.trunks import build_trunk

SIZES = {"variant": "vit_tiny", "depth": 4, "image_size": 64, "out_indices": (0, 1, 2, 3)}
NORM = {"norm_cfg": {"type": "BN"}}


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


def test_a_checkpoint_of_another_architecture_is_refused_with_a_list(tmp_path):
    vit = build_trunk("vit_small", depth=2, image_size=64)
    path = checkpoint_of(vit, "backbone file", tmp_path)
    model = backbone(init_cfg={"type": "Pretrained", "checkpoint": path})
    with pytest.raises(InputError, match=r"does not fit .* missing blocks\.2"):
        model.init_weights()
    model = backbone(init_cfg={"type": "Pretrained", "checkpoint": str(tmp_path / "none.pth")})
    with pytest.raises(InputError, match=r"none\.pth does not exist"):
        model.init_weights()

"""Swin and ResNet as backbones of the hosts, and the ViT's windows there."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.errors import InputError
from selfpatch.hosts.backbones import HostBackbone, SelfPatchResNet, SelfPatchSwin, SelfPatchViT
from selfpatch.models.resnet import ResNet
from selfpatch.models.swin import Swin
from selfpatch.models.trunks import Trunk, build_trunk

SWIN: dict[str, Any] = {"embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8)}


def swin(**options) -> SelfPatchSwin:
    return SelfPatchSwin(**{**SWIN, **options})


def file_of(trunk: Trunk, folder) -> dict:
    path = folder / "b.safetensors"
    save_backbone(path, trunk.state_dict(), BackboneInfo(trunk.architecture, "moby", "test"))
    return {"type": "Pretrained", "checkpoint": str(path)}


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (97, 131), (33, 200)])
@pytest.mark.parametrize("make", [swin, SelfPatchResNet])
def test_four_maps_of_strides_4_to_32_for_any_image(make, size):
    model = make().eval()
    dims = model.trunk.layer_dims
    for stage, dim, stride in zip(
        model(torch.randn(1, 3, *size)), dims, (4, 8, 16, 32), strict=True
    ):
        assert stage.shape == (1, dim, *(math.ceil(side / stride) for side in size))


@torch.no_grad()
def test_swins_levels_are_its_stages_normalised():
    model = swin().eval()
    images = torch.randn(2, 3, 64, 64)
    for level, stage in zip(model(images), model.trunk.layer_maps(images, range(4)), strict=True):
        expected = (stage - stage.mean(1, keepdim=True)) / stage.std(1, False, True)
        torch.testing.assert_close(level, expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize(
    ("trunk", "make"),
    [(Swin(**SWIN, final_norm=True), swin), (ResNet(), SelfPatchResNet)],
    ids=["swin", "resnet"],
)
def test_pretrained_weights_are_the_files(trunk, make, tmp_path):
    model = make(init_cfg=file_of(trunk, tmp_path))
    model.init_weights()
    images = torch.randn(1, 3, 64, 64)
    maps = (network.eval().layer_maps(images, range(4)) for network in (model.trunk, trunk))
    for ours, files in zip(*maps, strict=True):
        assert ours.equal(files)
    assert (model.info.method, model.info.source) == ("moby", "test")


def test_a_file_of_another_family_or_size_is_refused(tmp_path):
    vit = file_of(build_trunk("vit_tiny", depth=1), tmp_path)
    for make in (swin, SelfPatchResNet):
        with pytest.raises(InputError, match=r"holds a vit, and SelfPatch\w+ is a"):
            make(init_cfg=vit)
    deeper = file_of(Swin(**{**SWIN, "depths": (1, 1, 2, 1)}), tmp_path)
    with pytest.raises(InputError, match=r"has \[1, 1, 2, 1\] blocks per stage, the config says"):
        swin(init_cfg=deeper)
    with pytest.raises(InputError, match="no variant 'swin_huge' of swin"):
        SelfPatchSwin("swin_huge")


@pytest.mark.parametrize("norm_cfg", [{"type": "GN", "num_groups": 32}, {"type": "BN", "eps": 1}])
def test_a_norm_that_the_weights_are_not_made_for_is_refused(norm_cfg):
    with pytest.raises(InputError, match="weights are those of batch norms"):
        SelfPatchResNet(norm_cfg=norm_cfg)


def test_batch_norms_need_not_train():
    model = SelfPatchResNet(frozen_stages=-1, norm_cfg={"type": "BN", "requires_grad": False})
    trained = {name for name, p in model.train().named_parameters() if p.requires_grad}
    assert trained
    assert not any("bn" in name or "downsample.1" in name for name in trained)


def frozen(model: HostBackbone) -> set[str]:
    parameters = model.trunk.named_parameters()
    return {name.split(".")[0] for name, p in parameters if not p.requires_grad}


def norms_in_training(model: HostBackbone) -> int:
    modules = model.trunk.modules()
    return sum(m.training for m in modules if isinstance(m, nn.modules.batchnorm._BatchNorm))


def test_what_is_frozen_stays_frozen():
    model = SelfPatchResNet(frozen_stages=1).train()
    assert frozen(model) == {"conv1", "bn1", "layer1"}
    assert norms_in_training(model) == 53 - 11
    assert frozen(SelfPatchResNet(frozen_stages=-1)) == set()
    assert norms_in_training(SelfPatchResNet(frozen_stages=-1, norm_eval=True).train()) == 0
    model = swin(frozen_stages=2).train()
    names = {n.rsplit(".blocks")[0] for n, p in model.trunk.named_parameters() if p.requires_grad}
    assert not any(n.startswith(("patch_embed", "layers.0", "layers.1")) for n in names)
    assert [layer.training for layer in model.trunk.layers] == [False, False, True, True]


def test_synchronised_norms_are_made_where_asked_for():
    def synchronised(model):
        return sum(isinstance(m, nn.SyncBatchNorm) for m in model.modules())

    assert synchronised(SelfPatchResNet(norm_cfg={"type": "SyncBN"})) == 53
    assert synchronised(SelfPatchResNet()) == 0


def test_checkpointed_swin_has_the_same_gradient():
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = swin(with_cp=with_cp, drop_path_rate=0.0).train()
        sum(level.square().sum() for level in model(torch.randn(1, 3, 64, 64))).backward()
        gradients.append(model.trunk.patch_embed.proj.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


@torch.no_grad()
def test_windows_are_an_option_of_the_vit():
    sizes = {"variant": "vit_tiny", "depth": 4, "image_size": 64, "out_indices": (3, 3, 3, 3)}
    plain = SelfPatchViT(**sizes, norm_cfg={"type": "LN2d"}).eval()
    windowed = SelfPatchViT(**sizes, norm_cfg={"type": "LN2d"}, window_size=2, global_blocks=[1])
    windowed.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 70, 100)
    ours, theirs = windowed.eval()(images), plain(images)
    assert [level.shape for level in ours] == [level.shape for level in theirs]
    assert not torch.allclose(ours[2], theirs[2], atol=1e-2)
    windowed.window_size = 7
    assert all(a.equal(b) for a, b in zip(windowed(images), theirs, strict=True))

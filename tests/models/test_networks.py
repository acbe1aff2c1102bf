"""What stands for an image, and where the patches are."""

from typing import Any

import pytest
import torch

from selfpatch.errors import InputError
from selfpatch.models.heads import ProjectionHead
from selfpatch.models.networks import SelfPatchNetwork, features_of, image_token
from selfpatch.models.trunks import build_trunk


@torch.no_grad()
def test_the_cls_token_stands_for_an_image_or_else_the_mean_of_its_places():
    vit = build_trunk("vit_tiny", depth=1, class_token=True, num_registers=2, final_norm=True)
    torch.nn.init.normal_(vit.norm.weight)
    tokens = torch.randn(2, 3 + 5, 192)
    assert image_token(vit, tokens).equal(vit.norm(tokens[:, 0]))
    swin = build_trunk("swin_tiny", depths=(1, 1, 1, 1), final_norm=True)
    torch.nn.init.normal_(swin.norm.weight)
    tokens = torch.randn(2, 4, 768)
    torch.testing.assert_close(image_token(swin, tokens), swin.norm(tokens).mean(1))


@torch.no_grad()
def test_features_are_the_image_and_its_patches():
    vit = build_trunk("vit_tiny", depth=1, class_token=True, image_size=32, final_norm=True)
    images = torch.randn(2, 3, 32, 48)
    image, patches = features_of(vit, None, images)
    tokens = vit(images)
    assert image.equal(vit.norm(tokens[:, 0]))
    assert patches.equal(tokens[:, 1:])


def network(**options: Any) -> SelfPatchNetwork:
    vit = build_trunk("vit_tiny", depth=3, image_size=32)
    return SelfPatchNetwork(
        vit, torch.nn.Identity(), ProjectionHead(192, 4, hidden_dim=8), **options
    )


@torch.no_grad()
@pytest.mark.parametrize("patch_layer", [-1, 0, 1, 2])
def test_patches_are_the_places_of_the_layer_that_is_named(patch_layer):
    student = network(patch_layer=patch_layer)
    images = torch.randn(2, 3, 32, 32)
    tokens, places, grid = student.tokens(images)
    maps = student.trunk.layer_maps(images, [0, 1, 2])
    assert grid == (2, 2)
    assert tokens.equal(student.trunk(images))
    torch.testing.assert_close(places, maps[patch_layer].flatten(2).transpose(1, 2))


@torch.no_grad()
def test_patches_are_the_last_tokens_where_no_layer_is_named():
    tokens, places, _ = network().tokens(torch.randn(1, 3, 32, 32))
    assert places is tokens


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"patch_layer": 0}])
def test_an_image_is_summed_up_from_the_last_layer_wherever_its_patches_are(options):
    teacher = network(**options)
    images = torch.randn(2, 3, 32, 32)
    found = teacher.targets([(0, images[None])]).image[0]
    summary = teacher.aggregation_head.summarize_image(teacher.trunk(images))
    torch.testing.assert_close(found, summary)


@pytest.mark.parametrize("patch_layer", [-2, 3])
def test_a_layer_that_is_not_there_is_refused(patch_layer):
    with pytest.raises(
        InputError, match=f"patch_layer must lie from 0 to 2, or be -1, not {patch_layer}"
    ):
        network(patch_layer=patch_layer)


def test_a_vits_last_block_is_tracked_with_and_the_third_stage_of_a_swin_or_resnet():
    vit = build_trunk("vit_tiny", depth=3)
    assert (vit.correspondence_layer, vit.num_layers) == (2, 3)
    assert build_trunk("swin_tiny").correspondence_layer == 2
    resnet = build_trunk("resnet50")
    assert (resnet.correspondence_layer, resnet.patch_size, resnet.num_layers) == (2, 32, 4)
    assert (resnet.layer_dims, resnet.layer_strides) == ((256, 512, 1024, 2048), (4, 8, 16, 32))

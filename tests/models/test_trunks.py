"""What every trunk keeps to, be it a ViT, a Swin or a ResNet."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch

from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk, build_trunk, trunk_from

TRUNKS: dict[str, Callable[[], Trunk]] = {
    "vit": lambda: build_trunk("vit_tiny", depth=3, image_size=64, class_token=True),
    "swin": lambda: build_trunk("swin_tiny", embed_dim=24, num_heads=(1, 2, 4, 8)),
    "resnet": lambda: build_trunk("resnet50"),
    "colours": lambda: build_trunk("colours"),
}


@pytest.fixture(params=TRUNKS)
def trunk(request) -> Trunk:
    return TRUNKS[request.param]().eval()


@torch.no_grad()
def test_each_layer_gives_a_map_of_the_size_that_it_states(trunk):
    maps = trunk.layer_maps(torch.randn(2, 3, 64, 96), range(trunk.num_layers))
    stated = zip(trunk.layer_dims, trunk.layer_strides, strict=True)
    expected = [(2, dim, 64 // stride, 96 // stride) for dim, stride in stated]
    assert [tuple(layer.shape) for layer in maps] == expected


@torch.no_grad()
def test_the_last_layers_map_is_the_trunks_patch_tokens(trunk):
    images = torch.randn(2, 3, 64, 96)
    (last,) = trunk.layer_maps(images, [trunk.num_layers - 1])
    tokens = trunk(images)[:, trunk.num_prefix_tokens :]
    assert last.flatten(2).transpose(1, 2).equal(tokens)
    assert last.shape[1:] == (trunk.embed_dim, *trunk.grid(images))


@pytest.mark.parametrize("trunk", ["vit", "swin", "resnet"], indirect=True)
@torch.no_grad()
def test_layers_after_the_last_one_asked_for_do_not_run(trunk):
    blocks = list(trunk.blocks)
    ran = []
    for block in blocks:
        block.register_forward_hook(lambda module, *_: ran.append(module))
    trunk.layer_maps(torch.randn(1, 3, 64, 64), [0])
    assert 0 < len(ran) < len(blocks)
    assert all(a is b for a, b in zip(ran, blocks[: len(ran)], strict=True))


@pytest.mark.parametrize("trunk", ["vit", "swin", "resnet"], indirect=True)
def test_blocks_hold_all_but_the_embedding_and_what_merges_patches(trunk):
    inside = {id(parameter) for block in trunk.blocks for parameter in block.parameters()}
    names = [name for name, p in trunk.named_parameters() if id(p) not in inside]
    outside = {name.split(".")[0] for name in names if "downsample" not in name}
    assert outside <= {"cls_token", "pos_embed", "patch_embed", "conv1", "bn1"}


def test_an_architecture_builds_the_same_trunk_again(trunk):
    again = trunk_from(trunk.architecture)
    assert again.architecture == trunk.architecture
    again.load_state_dict(trunk.state_dict())


@pytest.mark.parametrize("name", ["vit_tiny", "swin_tiny"])
def test_stochastic_depth_rises_to_the_last_block(name):
    blocks = build_trunk(name, drop_path_rate=0.22).blocks
    found = [getattr(block.drop_path2, "drop_prob", 0.0) for block in blocks]
    torch.testing.assert_close(found, [0.02 * index for index in range(len(found))])
    assert not any(hasattr(block.drop_path2, "drop_prob") for block in build_trunk(name).blocks)
    with pytest.raises(InputError, match="drop_path_rate must lie from 0 to below 1, not be 1"):
        build_trunk(name, drop_path_rate=1)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("vit_tiny", "deit_tiny_patch16_224"),
        ("vit_small", "deit_small_patch16_224"),
        ("vit_base", "deit_base_patch16_224"),
        ("vit_large", "vit_large_patch16_224"),
        ("swin_tiny", "swin_tiny_patch4_window7_224"),
        ("swin_small", "swin_small_patch4_window7_224"),
    ],
)
def test_variants_are_as_wide_and_deep_as_those_of_their_papers(name, published):
    """And have as many heads: as timm's models have them."""

    def counts(module: Any) -> list[tuple[int, int]]:
        found: list[Any] = [m for m in module.modules() if type(m).__name__.endswith("Attention")]
        return [(m.num_heads, m.qkv.in_features) for m in found]

    with torch.device("meta"):
        assert counts(build_trunk(name)) == counts(timm.create_model(published))


def test_a_variant_that_does_not_exist_is_one_sentence():
    with pytest.raises(InputError, match="no variant 'vit_huge'; choose from vit_tiny"):
        build_trunk("vit_huge")

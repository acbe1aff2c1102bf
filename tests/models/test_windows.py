"""Attention within windows, held against a loop over windows that knows nothing of sequences."""

import pytest
import torch
from torch import Tensor

from selfpatch.models.trunks import build_trunk
from selfpatch.models.vit import VisionTransformer
from selfpatch.models.windows import window_order, windowed_layer_maps


def vit(**options) -> VisionTransformer:
    sizes = {"depth": 4, "image_size": 64, "embed_dim": 48, "num_heads": 3}
    model = build_trunk("vit_tiny", **{**sizes, **options})
    for parameter in model.parameters():  # biases and norms that do nothing would hide mistakes
        torch.nn.init.normal_(parameter, std=0.3)
    return model.double().eval()


def naive(model: VisionTransformer, images: Tensor, window: int, global_blocks: set) -> Tensor:
    """Map after the last block: each window of each image for itself, cut at the border."""
    rows, columns = model.grid(images)
    prefix = model.num_prefix_tokens
    tokens, rotary = model.embed(images), model.rotary((rows, columns))
    places = None if rotary is None else rotary[prefix:].unflatten(0, (rows, columns))
    for index, block in enumerate(model.blocks):
        if index in global_blocks:
            tokens = model.run_block(block, tokens, rotary)
            continue
        own = None if rotary is None else rotary[:prefix]
        first = model.run_block(block, tokens[:, :prefix], own) if prefix else tokens[:, :0]
        grid = tokens[:, prefix:].unflatten(1, (rows, columns)).clone()
        for image in range(len(images)):
            for top in range(0, rows, window):
                for left in range(0, columns, window):
                    part = grid[image, top : top + window, left : left + window]
                    table = None
                    if places is not None:
                        table = places[top : top + window, left : left + window].flatten(0, 1)
                    grid[image, top : top + window, left : left + window] = model.run_block(
                        block, part.reshape(1, -1, part.shape[-1]), table
                    ).view_as(part)
        tokens = torch.cat([first, grid.flatten(1, 2)], dim=1)
    return tokens[:, prefix:].transpose(1, 2).unflatten(2, (rows, columns))


@torch.no_grad()
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (80, 112), (48, 160), (32, 16)])
def test_windows_equal_a_loop_over_them(height, width, class_token, rotary):
    model = vit(class_token=class_token, rotary=rotary)
    images = torch.randn(2, 3, height, width).double()
    found = windowed_layer_maps(model, images, [1, 3], 3, {1})
    torch.testing.assert_close(found[1], naive(model, images, 3, {1}), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_with_every_block_global_nothing_changes():
    """Equal to rounding in fp64: the patches' order is another, which attention does not mind."""
    model = vit(class_token=True)
    images = torch.randn(2, 3, 80, 112).double()
    expected = model.layer_maps(images, [0, 3])
    for ours, theirs in zip(
        windowed_layer_maps(model, images, [0, 3], 3, range(4)), expected, strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_a_window_over_the_whole_image_is_global_attention_exactly():
    model = vit()
    images = torch.randn(2, 3, 80, 112).double()
    (expected,) = model.layer_maps(images, [3])
    for global_blocks in ((), range(4)):
        (found,) = windowed_layer_maps(model, images, [3], 7, global_blocks)
        assert found.equal(expected)


def test_every_patch_is_in_one_window():
    order, groups = window_order(7, 8, 3)
    assert sorted(order.tolist()) == list(range(56))
    assert groups == ((4, 9), (2, 6), (2, 3), (1, 2))
    assert order[:9].tolist() == [0, 1, 2, 8, 9, 10, 16, 17, 18]


def test_stochastic_depth_drops_whole_images():
    torch.manual_seed(0)
    model = vit(drop_path_rate=0.9).train()
    images = torch.randn(16, 3, 64, 64).double()
    states = []
    block = model.blocks[3].drop_path1
    block.register_forward_hook(lambda _, __, output: states.append(output.detach()))
    windowed_layer_maps(model, images, [3], 2, ())
    dropped = (states[0] == 0).flatten(1)
    assert dropped.any()
    assert dropped.all(dim=1).equal(dropped.any(dim=1))


def test_gradients_are_those_of_checkpointed_blocks():
    gradients = []
    images = torch.randn(1, 3, 80, 64).double()
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = vit(activation_checkpointing=checkpointing).train()
        windowed_layer_maps(model, images, [3], 3, {1})[0].sum().backward()
        gradients.append(model.patch_embed.proj.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])

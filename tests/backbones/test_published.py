"""Published layouts: what comes out gives the tokens of the code that the layout belongs to."""

from typing import Any

import pytest
import torch
from torch import nn

from selfpatch.backbones.file import read_file
from selfpatch.backbones.loading import load_backbone
from selfpatch.backbones.published import method_of_positions
from selfpatch.errors import InputError
from selfpatch.models.vit import sine_cosine_positions
from tests.backbones.published_layouts import LAYOUTS, vit, write


@torch.no_grad()
def tokens_of(model: Any, images: torch.Tensor) -> torch.Tensor:
    """Tokens after the last norm, or a ResNet's last map."""
    if hasattr(model, "forward_features"):
        return model.forward_features(images).flatten(1, -2)
    return nn.Sequential(*list(model.children())[:-2])(images).flatten(2).transpose(1, 2)


@torch.no_grad()
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_tokens_of_its_own_code(name, tmp_path):
    build, layout, method = LAYOUTS[name]
    model = build().eval()
    for parameter in model.parameters():  # so that no bias, norm or scale is a neutral element
        parameter.add_(0.1 * torch.randn_like(parameter))
    for key, buffer in model.named_buffers():
        if "running_" in key:
            buffer.add_(torch.rand_like(buffer))
    content = layout(model)
    path = write(content, tmp_path / "c.pth")
    trunk, info = load_backbone(path)
    # timm's Swin is its authors' only where each grid is made of whole windows.
    size = 384 if "windows of 12" in name else 70 if "DINOv2" in name else 64
    images = torch.randn(2, 3, size, size)
    found = trunk.norm(trunk(images))
    torch.testing.assert_close(found, tokens_of(model, images), atol=1e-4, rtol=1e-4)
    assert info.method == method
    state, _, report = read_file(path)
    wrapper = next((key for key in ("teacher", "model", "state_dict") if key in content), None)
    keys = set(content if wrapper is None else {**content.pop(wrapper), **content})
    assert set(report.used) | set(report.ignored) == keys
    assert set(report.used.values()) == set(state)


def test_safetensors_of_others_are_read(tmp_path):
    model = vit().eval()
    trunk, _ = load_backbone(write(model.state_dict(), tmp_path / "model.safetensors"))
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(trunk.norm(trunk(images)), tokens_of(model, images))


def test_fixed_positions_tell_whose_they_are():
    by_row = sine_cosine_positions(3, 3, 8)
    by_column = by_row.unflatten(0, (3, 3)).transpose(0, 1).flatten(0, 1)
    cases = {"mocov3": by_row, "mae": by_column, "unknown": by_row.flip(0)}
    for method, positions in cases.items():
        whole = torch.cat([torch.zeros(1, 8), positions])[None]
        assert method_of_positions(whole) == method
        assert method_of_positions(whole[:, :-1]) == "unknown"  # of no square


def test_a_key_that_no_trunk_has_is_named_as_the_file_has_it(tmp_path):
    torch.save({**vit().state_dict(), "tail": torch.ones(3)}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"does not fit the trunk .*: left over tail"):
        read_file(tmp_path / "c.pth")

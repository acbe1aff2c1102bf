"""Swin against timm's."""

import pytest
import timm
import torch

from selfpatch.errors import InputError
from selfpatch.models.trunks import build_trunk


@torch.no_grad()
def test_swin_gives_timms_tokens():
    swin = build_trunk("swin_tiny", final_norm=True).eval()
    theirs = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0).eval()
    theirs.load_state_dict(swin.state_dict())
    images = torch.randn(1, 3, 224, 224)
    expected = theirs.forward_features(images)
    torch.testing.assert_close(swin.norm(swin(images)).view_as(expected), expected)
    assert swin(torch.randn(2, 3, 96, 64)).shape == (2, 3 * 2, 768)
    with pytest.raises(InputError, match="multiples of 32"):
        swin(torch.randn(1, 3, 100, 96))

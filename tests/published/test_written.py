"""Files that the methods' own code wrote: what is read of them computes what that code computes."""

import pytest
import torch

from selfpatch.backbones.file import read_file
from selfpatch.backbones.loading import trunk_of
from tests.published import images, names, tokens_of, unpacked


@torch.no_grad()
@pytest.mark.parametrize("name", names())
def test_tokens_are_those_of_the_code_that_wrote_the_file(name, tmp_path):
    written, path = unpacked(name, tmp_path)
    state, info, report = read_file(path, **written.options)
    assert info.method == written.method
    assert not set(report.used) & set(report.ignored)
    trunk = trunk_of(info, state)
    for (height, width), expected in tokens_of(name).items():
        found = trunk.norm(trunk(images(height, width)))
        # That code may give patches alone, and a trunk of timm always does.
        count = min(found.shape[1], expected.shape[1])
        torch.testing.assert_close(found[:, -count:], expected[:, -count:], atol=1e-5, rtol=0)

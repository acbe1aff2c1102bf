"""Weights that are no plain numbers are refused before anything is done with them."""

import pytest
import torch

from selfpatch.backbones.checks import check_stored
from selfpatch.errors import InputError


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (torch.eye(2).to_sparse(), "torch.sparse.FloatTensor"),
        (torch.eye(2).to(torch.complex64), "torch.ComplexFloatTensor"),
        (torch.eye(2, device="meta"), "torch.meta.FloatTensor"),
    ],
    ids=["sparse", "complex", "without values"],
)
def test_weights_of_another_kind_are_named(value, kind, tmp_path):
    path = tmp_path / "c.pth"
    path.write_bytes(b"x" * 1000)
    check_stored(path, {"a": torch.eye(2), "epoch": 3})
    with pytest.raises(InputError, match=f"c.pth holds norm.weight as {kind}, not as plain"):
        check_stored(path, {"a": torch.eye(2), "norm.weight": value})

"""Weights that are no plain numbers, or those of another trunk, are named."""

import pytest
import torch

from selfpatch.backbones.checks import check_stored, misfit
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
    check_stored(path, {"a": torch.eye(2), "epoch": 3}, 1000)
    with pytest.raises(InputError, match=f"c.pth holds norm.weight as {kind}, not as plain"):
        check_stored(path, {"a": torch.eye(2), "norm.weight": value}, 1000)


def test_what_does_not_fit_is_missing_left_over_or_of_another_shape():
    wanted = {"a": torch.ones(2), "b": torch.ones(2, 3), "c": torch.ones(1)}
    assert misfit(dict(wanted), wanted) == ""
    given = {"b": torch.ones(3, 2), "c": torch.ones(1), "d": torch.ones(1)}
    assert misfit(given, wanted) == "missing a; left over d; b is (3, 2) instead of (2, 3)"
    many = {str(number): torch.ones(1) for number in range(10)}
    assert misfit({}, many).endswith("missing 7; and 2 more")


def test_weights_may_be_four_times_as_large_as_their_file_and_no_larger(tmp_path):
    """As far as weights with several names, or a packed file, may bring it."""
    path = tmp_path / "c.pth"
    check_stored(path, {"a": torch.ones(100)}, 100)
    with pytest.raises(
        InputError, match=r"c\.pth of 100 bytes states weights of 404; save it anew"
    ):
        check_stored(path, {"a": torch.ones(101)}, 100)

"""Weights are written as safetensors writes them, and letting go of memory loses nothing."""

import io

import pytest
import safetensors.torch
import torch

from selfpatch.backbones.lean import DTYPES, let_go, write_safetensors


def test_what_is_written_is_read_by_safetensors(tmp_path):
    weights = {str(dtype): (7 * torch.rand(3, 5)).to(dtype) for dtype in DTYPES}
    weights |= {"number": torch.tensor(2.5), "none": torch.ones(0, 4), "turned": torch.rand(3, 5).T}
    written = io.BytesIO()
    write_safetensors(written, weights, {"selfpatch": "x"})
    found = safetensors.torch.load(written.getvalue())
    assert found.keys() == weights.keys()
    assert all(found[name].equal(value) for name, value in weights.items())
    assert all(found[name].dtype == value.dtype for name, value in weights.items())
    plain = {name: value.contiguous() for name, value in weights.items()}
    assert len(written.getvalue()) == len(safetensors.torch.save(plain, {"selfpatch": "x"}))


@pytest.mark.parametrize("count", [1, 5000, 3_000_000])
def test_letting_go_loses_nothing(count, tmp_path):
    own = torch.arange(float(count))
    torch.save({"weight": own}, tmp_path / "c.pth")
    mapped = torch.load(tmp_path / "c.pth", weights_only=True, mmap=True)["weight"]
    for value in (own, mapped, mapped[1:], own[::2]):
        before = value.clone()
        let_go(value)
        assert value.equal(before)
    mapped[0] = 7  # changed in memory alone
    let_go(mapped)
    assert mapped[0] == 7

"""The nearest rows, soft labels and read-outs of a bank, against plain loops."""

import pytest
import torch
import torch.nn.functional as F

from selfpatch.probes import in_context
from selfpatch.probes.in_context import Bank, joined, nearest, read_out, shares_of, without_zeros


def units(*shape: int, seed: int) -> torch.Tensor:
    """Unit vectors."""
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def drawn_shares(count: int, num_classes: int, seed: int) -> torch.Tensor:
    """Shares of patches that show a few classes each, some of them none."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 4, (count, num_classes), generator=generator).clamp(max=2)
    pixels = pixels * (torch.rand(count, num_classes, generator=generator) < 0.3)
    return pixels / pixels.sum(1, keepdim=True).clamp(min=1)


@pytest.mark.parametrize("part", [7, 64, 4096])
@pytest.mark.parametrize("k", [1, 5, 30])
def test_the_nearest_rows_are_those_of_a_whole_comparison(k, part, monkeypatch):
    monkeypatch.setitem(in_context.PART, "cpu", part)
    queries, bank = units(40, 8, seed=0), units(1000, 8, seed=1)
    found, rows = nearest(queries, bank, k)
    expected = (queries @ bank.T).topk(k)
    torch.testing.assert_close(found, expected.values)
    assert rows.equal(expected.indices)


def test_the_nearest_of_a_bank_of_half_precision_are_those_of_its_own_numbers():
    queries, bank = units(40, 8, seed=0), units(1000, 8, seed=1).half()
    expected = (queries @ bank.float().T).topk(9)
    found, rows = nearest(queries, bank, 9)
    assert rows.equal(expected.indices)
    torch.testing.assert_close(found, expected.values)


def test_equal_rows_are_all_found():
    bank = units(1, 8, seed=0).expand(300, -1)
    found, rows = nearest(bank[:2], bank, 30)
    torch.testing.assert_close(found, torch.ones(2, 30))
    assert all(len(set(of.tolist())) == 30 for of in rows)


def test_shares_are_those_of_a_count_in_each_patch():
    labels = torch.randint(-1, 5, (2, 12, 8), generator=torch.Generator().manual_seed(0))
    labels[0, :4, :4] = -1
    labels[1, 0, 0] = 255
    shares = shares_of(labels, 4, num_classes=5)
    assert shares.shape == (2, 6, 5)
    assert shares[0, 0].equal(torch.zeros(5))
    for image in range(2):
        for patch in range(6):
            row, column = divmod(patch, 2)
            pixels = labels[image, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten()
            counted = [p for p in pixels.tolist() if 0 <= p < 5]
            expected = [counted.count(c) / max(len(counted), 1) for c in range(5)]
            torch.testing.assert_close(shares[image, patch], torch.tensor(expected))


@pytest.mark.parametrize("half", [False, True])
def test_a_read_out_is_the_softmax_over_the_neighbours_in_a_loop(half):
    vectors, shares = units(200, 8, seed=1), drawn_shares(200, 6, seed=2)
    vectors = vectors.half() if half else vectors
    bank = Bank(vectors, without_zeros(shares))
    features = 3 * units(10, 8, seed=3)
    found = read_out(features, bank, num_classes=6, k=7, temperature=0.1)
    for query, own in zip(F.normalize(features, dim=-1), found, strict=True):
        similarity = vectors.float() @ query
        chosen = similarity.argsort(descending=True)[:7]
        weights = (similarity[chosen] / 0.1).exp()
        torch.testing.assert_close(own, weights @ shares[chosen] / weights.sum())


def test_a_bank_smaller_than_its_neighbours_is_read_whole():
    bank = Bank(units(4, 8, seed=0), without_zeros(drawn_shares(4, 3, seed=1)))
    assert read_out(units(5, 8, seed=2), bank, num_classes=3).shape == (5, 3)


def test_shares_joined_are_those_of_all():
    shares = drawn_shares(50, 6, seed=1)
    parts = joined(
        [without_zeros(shares[cut]) for cut in (slice(10), slice(10, 11), slice(11, 50))]
    )
    whole = without_zeros(shares)
    assert all(a.equal(b) for a, b in zip(parts, whole, strict=True))


def test_shares_are_taken_in_any_order():
    shares = drawn_shares(20, 5, seed=3)
    index = torch.randperm(20, generator=torch.Generator().manual_seed(4))[:13]
    taken = without_zeros(shares).taken(index)
    expected = without_zeros(shares[index])
    assert all(found.equal(own) for found, own in zip(taken, expected, strict=True))

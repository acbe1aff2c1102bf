"""Views are drawn from seed, epoch and index."""

import torch


def test_views_depend_on_seed_epoch_and_index_alone(images):
    from selfpatch.data.views import MultiViewDataset, View

    views = [View(32, (0.25, 1.0)), View(16, (0.05, 0.25), count=2)]
    dataset = MultiViewDataset(str(images), views)
    first = dataset[1, 3]["views"]
    torch.rand(5)
    again = dataset[1, 3]["views"]
    other_epoch = dataset[2, 3]["views"]
    assert [tuple(view.shape) for view in first] == [(3, 32, 32), (3, 16, 16), (3, 16, 16)]
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not all(a.equal(b) for a, b in zip(first, other_epoch, strict=True))
    assert not first[1].equal(first[2])

"""Propagation against its dense definition, and laws of it."""

import random
import weakref

import pytest
import torch
import torch.nn.functional as F

from davis_eval import propagation
from davis_eval.propagation import (
    Propagation,
    hard_mask,
    label_frame,
    label_frame_densely,
    propagate,
    tile_threads,
)
from selfpatch.errors import InputError

POOL = tile_threads(torch.device("cpu"))


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("case", range(200))
def test_any_frame_gets_the_labels_of_the_dense_definition(case, waits, monkeypatch):
    """Any size, radius, top k (more than the window holds too), number of objects and of frames.

    Features of small whole numbers make every similarity exact, so that ties abound and are ties.
    They are labelled tile by tile or, as on a GPU, when all tiles are.
    """
    monkeypatch.setattr(propagation, "read_waits", lambda device: waits)
    draw = random.Random(case)
    torch.manual_seed(case)
    rows, columns = draw.randint(1, 40), draw.randint(1, 40)
    top_k = draw.choice([1, 2, 5, 10, 50, 4000])
    settings = Propagation(radius=draw.randint(1, 15), top_k=top_k, temperature=8.0)
    num_frames, num_labels, reach = draw.randint(1, 4), draw.randint(2, 21), draw.randint(2, 9)
    sources = torch.randint(-reach, reach, (num_frames, rows, columns, 4)).float()
    target = sources[-1] + torch.randint(-1, 2, (rows, columns, 4))
    labels = torch.rand(num_frames, rows, columns, num_labels)
    ours = label_frame(target, sources, labels, settings, POOL)
    defined = label_frame_densely(target.double(), sources.double(), labels.double(), settings)
    torch.testing.assert_close(ours.double(), defined, atol=1e-5, rtol=0)


def test_a_still_video_keeps_its_labels():
    features = torch.eye(12 * 9).view(12, 9, -1)
    first = F.one_hot(torch.randint(0, 3, (12, 9)), 3).permute(2, 0, 1).float()
    for soft in propagate([features] * 6, first, Propagation(top_k=1)):
        torch.testing.assert_close(soft, first)


def test_labels_follow_what_moves():
    """One unlike patch steps a column to the right per frame."""

    def frame(step: int) -> torch.Tensor:
        features = torch.zeros(5, 20, 2)
        features[..., 0] = 1.0
        features[2, step] = torch.tensor([0.0, 1.0])
        return features

    first = torch.stack([1 - frame(3)[..., 1], frame(3)[..., 1]])
    settings = Propagation(radius=2, top_k=1)
    for step, soft in enumerate(propagate(map(frame, range(3, 15)), first, settings), start=4):
        assert (soft[1] > 0.5).nonzero().tolist() == [[2, step]]


def test_context_is_the_first_frame_and_the_last_few():
    """A label that only the first frame shows survives any number of frames without it."""
    seen, unseen = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    frames = [seen, *[unseen] * 5, seen]
    first = torch.tensor([0.0, 1.0]).view(2, 1, 1)
    *_, last = propagate((f.view(1, 1, 2) for f in frames), first, Propagation(context_frames=2))
    assert float(last[1]) == pytest.approx(1.0)


def test_memory_does_not_grow_with_the_video():
    alive: list[weakref.ref] = []

    def frames():
        for _ in range(30):
            feature = torch.randn(4, 4, 3)
            alive.append(weakref.ref(feature))
            yield feature

    for _ in propagate(frames(), torch.rand(2, 4, 4), Propagation(context_frames=3)):
        assert sum(ref() is not None for ref in alive) <= 6


def test_hard_mask_takes_the_channel_that_is_largest_after_stretching():
    soft = torch.zeros(3, 4, 6)
    soft[0] = 0.9
    soft[0, :, 3:] = 0.8
    soft[1, :, 3:] = 0.1  # weak, but its maximum
    mask = hard_mask(soft, patch_size=4)
    assert mask.shape == (16, 24)
    assert mask[:, :8].eq(0).all()
    assert mask[:, 16:].eq(1).all()
    assert not mask.eq(2).any()


def test_hard_mask_takes_the_first_of_equal_channels():
    soft = torch.rand(4, 6).expand(3, -1, -1)
    assert hard_mask(soft, patch_size=4).eq(0).all()


def test_an_object_that_appears_later_is_followed_from_there():
    """Every patch differs from the others and stays: labels must stay where they were given."""
    features = torch.eye(20).view(4, 5, -1)
    first = torch.zeros(3, 4, 5)
    first[0], first[0, 0, 0], first[1, 0, 0] = 1, 0, 1
    new = torch.full((3, 4, 5), -1.0)
    new[:, 3, 4] = torch.tensor([0.0, 0.0, 1.0])
    frames = propagate([features] * 12, first, Propagation(context_frames=2, top_k=1), {4: new})
    for number, soft in enumerate(frames, start=1):
        assert soft[1].nonzero().tolist() == [[0, 0]]
        assert soft[2].nonzero().tolist() == ([[3, 4]] if number >= 4 else [])


def test_only_the_direction_of_a_feature_counts():
    """Similarity is the cosine: the length of each place's feature changes nothing."""
    torch.manual_seed(0)
    frames = [torch.randn(6, 7, 5) for _ in range(4)]
    first = F.one_hot(torch.randint(0, 3, (6, 7)), 3).permute(2, 0, 1).float()
    longer = [frame * (0.1 + 5 * torch.rand(6, 7, 1)) for frame in frames]
    for one, other in zip(
        *(propagate(f, first, Propagation()) for f in (frames, longer)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_new_object_takes_its_places_and_no_others():
    """Object 2 comes in frame 1 at one place; everything else stays as it was propagated."""
    features = torch.eye(12).view(3, 4, 12)
    first = torch.zeros(3, 3, 4)
    first[1] = 1.0
    new = torch.full((3, 3, 4), -1.0)
    new[:, 1, 2] = torch.tensor([0.0, 0.0, 1.0])
    settings = Propagation(top_k=1, context_frames=1)
    found = list(propagate([features] * 5, first, settings, later={1: new}))
    for soft in found:
        assert (soft[2] > 0.5).nonzero().tolist() == [[1, 2]]
        torch.testing.assert_close(soft[1], 1 - soft[2])


@pytest.mark.parametrize(
    "wrong", [{"context_frames": -1}, {"radius": -1}, {"top_k": 0}, {"temperature": 0.0}]
)
def test_settings_that_label_nothing_are_refused(wrong):
    Propagation(context_frames=0, radius=0, top_k=1, temperature=1e-3)
    with pytest.raises(InputError, match="propagation takes context frames and radius from 0"):
        Propagation(**wrong)


def test_a_gpu_is_fed_by_one_thread_and_cores_by_one_each():
    assert tile_threads(torch.device("cuda"))._max_workers == 1
    assert POOL._max_workers == torch.get_num_threads()

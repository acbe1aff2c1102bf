"""What is drawn for views is distributed as torchvision's transforms and DINO distribute it."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, ks_2samp, kstest
from torchvision.transforms import v2

from selfpatch.data.draws import LEAST_SIZE, Draws, Recipe, View

SAMPLES = 10_000
GLOBAL = View(224, (0.25, 1.0), blur=1.0)
SOLARIZED = View(224, (0.25, 1.0), blur=0.1, solarize=0.2)
LOCAL = View(96, (0.05, 0.25))
LEAST_P = 1e-3
"""Of a test whose numbers are drawn anew; with these seeds all p are above it."""


def sampled(view: View, height: int = 375, width: int = 500) -> tuple[np.ndarray, Draws]:
    """So many boxes (top, left, height, width, flip) and draws of one view."""
    drawn = [Recipe([view] * 10).draw((7, n), height, width) for n in range(SAMPLES // 10)]
    boxes = np.concatenate([np.stack(boxes, axis=1) for boxes, _ in drawn])
    return boxes, Draws(*(torch.cat(parts) for parts in zip(*(d for _, d in drawn), strict=True)))


@pytest.mark.parametrize(
    ("view", "height", "width"),
    [(GLOBAL, 375, 500), (LOCAL, 375, 500), (LOCAL, 224, 224), (GLOBAL, 100, 400),
     (GLOBAL, 300, 90)],
    ids=["global", "local", "small file", "wide", "tall"],
)  # fmt: skip
def test_crops_are_drawn_as_by_random_resized_crop(view, height, width):
    torch.manual_seed(1)
    crop = v2.RandomResizedCrop(view.size, view.scale)
    image = torch.empty(3, height, width)
    params = [crop.make_params([image]) for _ in range(SAMPLES)]
    theirs = np.array([[p[side] for side in ("top", "left", "height", "width")] for p in params])
    ours = sampled(view, height, width)[0]
    assert (ours[:, 0] + ours[:, 2]).max() <= height
    assert (ours[:, 1] + ours[:, 3]).max() <= width
    for column, side in enumerate(("top", "left", "height", "width")):
        assert ks_2samp(ours[:, column], theirs[:, column]).pvalue > LEAST_P, side
    areas, ratios = (
        [of(boxes) for boxes in (ours, theirs)]
        for of in (lambda b: b[:, 2] * b[:, 3], lambda b: b[:, 3] / b[:, 2])
    )
    assert ks_2samp(*areas).pvalue > LEAST_P
    assert ks_2samp(*ratios).pvalue > LEAST_P


def test_colors_are_drawn_as_by_color_jitter():
    draws = sampled(GLOBAL)[1]
    jittered = draws.order[:, 0] >= 0
    assert share_of(jittered) == pytest.approx(0.8, abs=0.015)
    orders = draws.order[jittered]
    assert (orders.sort(1).values == torch.arange(4)).all()
    _, counts = torch.unique(orders, dim=0, return_counts=True)
    assert len(counts) == 24
    assert chisquare(counts.numpy()).pvalue > LEAST_P
    for column, (low, high) in enumerate([(0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1)]):
        factors = draws.factors[:, column].double().numpy()
        assert kstest(factors, "uniform", (low, high - low)).pvalue > LEAST_P


def share_of(values: torch.Tensor) -> float:
    return values.float().mean().item()


@pytest.mark.parametrize("view", [GLOBAL, SOLARIZED, LOCAL])
def test_flip_gray_blur_and_solarisation_have_their_probabilities(view):
    boxes, draws = sampled(view)
    assert boxes[:, 4].mean() == pytest.approx(0.5, abs=0.015)
    assert share_of(draws.gray) == pytest.approx(0.2, abs=0.015)
    assert share_of(draws.solarize) == pytest.approx(view.solarize, abs=0.015)
    blurred = draws.radius > 0
    assert share_of(blurred) == pytest.approx(view.blur, abs=0.015)
    radii = draws.radius[blurred].double().numpy()
    assert kstest(radii, "uniform", (0.1, 1.9)).pvalue > LEAST_P


def test_what_is_drawn_of_one_view_says_nothing_of_another():
    boxes, draws = sampled(LOCAL)
    columns = np.column_stack([boxes, draws.factors, draws.gray, draws.radius])
    neighbours = [np.corrcoef(values[::2], values[1::2])[0, 1] for values in columns.T]
    assert np.abs(neighbours).max() < 5 / np.sqrt(SAMPLES / 2)


def test_a_strong_jitter_never_has_a_factor_below_zero():
    draws = sampled(View(32, (0.25, 1.0), color_jitter=(1.5, 0.3, 0.5, 0.2)))[1]
    assert draws.factors[:, 0].min() >= 0
    assert draws.factors[:, 0].max() > 2.4
    assert draws.factors[:, 1].max() <= 1.3


def test_seeds_alone_decide_and_each_number_of_them_matters():
    recipe = Recipe([GLOBAL, LOCAL])
    draws = [recipe.draw(seeds, 375, 500)[1].factors for seeds in ((0, 1, 2), (0, 1, 2), (0, 1, 3))]
    assert draws[0].equal(draws[1])
    assert not draws[0].equal(draws[2])


def test_the_numbers_of_a_seed_stay_what_they_are():
    """A run that is resumed under another version of NumPy goes on with the same views."""
    boxes, draws = Recipe([LOCAL]).draw((0, 1, 2), 375, 500)
    assert [int(side[0]) for side in boxes] == [131, 123, 195, 218, 1]
    assert draws.order.tolist() == [[2, 1, 3, 0]]


def test_a_view_that_says_no_more_is_dinos_local_one():
    assert (LOCAL.count, LOCAL.blur, LOCAL.solarize) == (1, 0.5, 0.0)
    assert (LOCAL.color_jitter, LOCAL.interpolation) == ((0.4, 0.4, 0.2, 0.1), "bicubic")


def test_a_view_is_at_least_as_large_as_a_blur_reaches():
    from selfpatch.data.photometric import REACH

    assert LEAST_SIZE == 2 * REACH

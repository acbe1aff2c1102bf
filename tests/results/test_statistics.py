"""Mean, deviation and interval against NumPy and SciPy's tests."""

import random

import numpy as np
import pytest
from scipy import stats

from selfpatch.results.statistics import Values, deviation, difference, quantile


def drawn(chance: random.Random, mean: float, spread: float, seeds: range) -> Values:
    return {(seed, seed): chance.gauss(mean, spread) for seed in seeds}


def numbers(values: Values) -> np.ndarray:
    return np.array(list(values.values()))


def test_the_deviation_is_the_samples():
    values = drawn(random.Random(0), 40, 1, range(5))
    assert deviation(values) == pytest.approx(np.std(numbers(values), ddof=1))
    assert deviation({(0, 0): 1.0}) is None
    assert deviation({}) is None


@pytest.mark.parametrize("count", [2, 3, 10])
def test_equal_seeds_are_pairs_in_whatever_order(count):
    chance = random.Random(count)
    own, other = (drawn(chance, mean, 0.5, range(count)) for mean in (42, 40))
    found = difference(own, dict(reversed(other.items())), "DINO")
    expected = stats.ttest_rel(numbers(own), numbers(other)).confidence_interval(0.95)
    assert found.how == "paired"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx(numbers(own).mean() - numbers(other).mean())


@pytest.mark.parametrize(("first", "second"), [(2, 3), (3, 10), (2, 2)])
def test_other_seeds_get_welchs_interval(first, second):
    chance = random.Random(first)
    own = drawn(chance, 42, 0.2, range(first))
    other = drawn(chance, 40, 2, range(7, 7 + second))
    found = difference(own, other, "DINO")
    test = stats.ttest_ind(numbers(own), numbers(other), equal_var=False)
    expected = test.confidence_interval(0.95)
    assert found.how == "Welch"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_seeds_that_only_some_have_in_common_are_no_pairs():
    assert difference({(0, 0): 1.0, (1, 1): 2.0}, {(0, 0): 1.0, (2, 2): 2.0}, "").how == "Welch"


def test_an_interval_by_hand():
    """Differences 1, 2 and 3: mean 2, deviation 1, t of two degrees of freedom 4.303."""
    own = {(0, None): 41.0, (1, None): 43.0, (2, None): 45.0}
    other = {(0, None): 40.0, (1, None): 41.0, (2, None): 42.0}
    found = difference(own, other, "DINO")
    assert found.value == 2
    assert found.low == pytest.approx(2 - 4.302653 / 3**0.5)
    assert found.high == pytest.approx(2 + 4.302653 / 3**0.5)


def test_one_seed_has_a_difference_and_a_word_in_the_place_of_an_interval():
    found = difference({(0, 0): 42.0}, {(0, 0): 40.0, (1, 1): 41.0}, "DINO")
    assert (found.value, found.low, found.high, found.how) == (1.5, None, None, "one seed")


def test_equal_values_leave_no_width():
    same, other = ({(seed, shift): 1.0 for seed in range(2)} for shift in (0, 1))
    assert difference(same, same, "").low == 0
    assert difference(same, other, "").high == 0


def test_tiny_variances_do_not_vanish_in_a_square():
    own = {(0, 0): 0.0, (1, 1): 1e-150}
    assert difference(own, {(2, 2): 0.0, (3, 3): 1e-150}, "").how == "Welch"


def test_students_quantile_is_that_of_the_tables():
    assert quantile(1) == pytest.approx(stats.t.ppf(0.975, 1))
    assert quantile(2.5) == pytest.approx(stats.t.ppf(0.975, 2.5))

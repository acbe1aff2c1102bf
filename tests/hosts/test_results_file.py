"""What a host's metrics become."""

import pytest

from selfpatch.hosts.results_file import percent


def test_a_metric_that_the_host_could_not_compute_stays_empty():
    assert percent(0.421, 100) == pytest.approx(42.1)
    assert percent(-1.0, 100) is None
    assert percent(float("nan"), 1) is None
    assert percent(None, 1) is None

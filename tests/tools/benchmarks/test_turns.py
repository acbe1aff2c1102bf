"""What every benchmark is measured with."""

import argparse
import json
from types import SimpleNamespace

import pytest
import torch

from tools.benchmarks import turns
from tools.benchmarks.turns import Turns, flops, in_turns, peak_mib, report


def test_the_ratio_is_the_median_of_the_pairs_and_above_one_where_ours_is_faster():
    assert Turns(ours=(1.0, 1.0, 10.0), textbook=(2.0, 3.0, 10.0)).ratio == 2.0


def test_both_ways_run_equally_often_and_one_run_of_each_does_not_count():
    runs: list[str] = []
    found = in_turns(lambda: runs.append("ours"), lambda: runs.append("textbook"), pairs=3)
    assert (len(found.ours), runs.count("ours"), runs.count("textbook")) == (3, 4, 4)
    assert runs[2:4] != runs[4:6]  # who begins takes turns


def test_a_way_that_takes_twice_as_long_is_half_as_fast(monkeypatch):
    """By a clock that only the work moves: on a busy machine no real one tells."""
    spent = [0.0]
    monkeypatch.setattr(turns, "time", SimpleNamespace(perf_counter=lambda: sum(spent)))
    found = in_turns(lambda: spent.append(1.0), lambda: spent.append(2.0), pairs=3)
    assert found == Turns(ours=(1.0,) * 3, textbook=(2.0,) * 3)
    assert found.ratio == 2.0


def test_a_matrix_product_has_two_operations_per_multiply_add():
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    assert flops(lambda: a @ b) == 2 * 3 * 4 * 5


def hold(mib: int) -> int:
    """Take so much memory."""
    return len(b"\1" * (mib * 2**20))


@pytest.mark.slow
def test_the_peak_of_a_function_is_that_of_its_own_process():
    assert peak_mib(hold, 400) - peak_mib(hold, 1) == pytest.approx(399, rel=0.1)


def test_a_report_prints_the_table_and_writes_its_figures(tmp_path, capsys):
    args = argparse.Namespace(device="cpu", pairs=3, json=tmp_path / "out.json")
    report(["way", "seconds"], [["ours", 0.123456]], args)
    assert "| ours | 0.1235 |" in capsys.readouterr().out
    content = json.loads(args.json.read_text())
    assert content["rows"] == [["ours", 0.123456]]
    assert content["machine"]["device"] == "cpu"

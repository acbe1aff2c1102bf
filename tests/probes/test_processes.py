"""Several processes measure what one does; what a killed one has kept is used."""

import json

import pytest

from tests.probes.drawn_classes import draw_classes
from tests.programs import processes_of

pytestmark = pytest.mark.slow


def line(probe: str, backbone, scenes, *more: str) -> list[str]:
    """The arguments of a probe, printed as JSON."""
    given = ["-m", "selfpatch", "probe", probe, "--weights", str(backbone), "--data", str(scenes)]
    return [*given, "--classes", "3", "--size", "96", "--workers", "0", "--json", *more]


def printed(done) -> dict[str, object]:
    """What a probe printed, but for the time that it took."""
    assert done.returncode == 0, done.stderr[-2000:]
    return {**json.loads(done.stdout), "seconds": 0}


def same(found: dict[str, object], expected: dict[str, object]) -> bool:
    """Whether all is equal, numbers to rounding."""
    return found.keys() == expected.keys() and all(
        found[name] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value)
        for name, value in expected.items()
    )


PROBES = {
    "in-context": ["--bank", "120"],
    "linear": ["--steps", "20"],
    "overclustering": ["--clusters", "9", "--seeds", "2"],
}


@pytest.mark.parametrize("probe", PROBES)
def test_two_processes_measure_what_one_does(probe, scenes, backbone, tmp_path, programs):
    alone = line(probe, backbone, scenes, *PROBES[probe])
    (one,) = processes_of(programs, 1, alone)
    together = [*alone, "--launcher", "pytorch", "--keep", str(tmp_path)]
    first, other = processes_of(programs, 2, together)
    assert same(printed(first), printed(one))
    assert (other.returncode, other.stdout) == (0, "")


@pytest.mark.parametrize("probe", ["knn", "classification", "retrieval"])
def test_two_processes_measure_whole_images_as_one_does(probe, backbone, tmp_path, programs):
    draw_classes(tmp_path, {"train": 5, "val": 3}, ("dark", "light", "red"))
    pair = ["--train", str(tmp_path / "train"), "--val", str(tmp_path / "val")]
    given = {
        "knn": [*pair, "--k", "4"],
        "classification": [*pair, "--epochs", "5", "--crops", "2"],
        "retrieval": ["--data", str(tmp_path / "train")],
    }
    alone = ["-m", "selfpatch", "probe", probe, "--weights", str(backbone), *given[probe]]
    alone += ["--size", "32", "--workers", "0", "--json"]
    (one,) = processes_of(programs, 1, alone)
    first, other = processes_of(programs, 2, [*alone, "--launcher", "pytorch"])
    assert same(printed(first), printed(one))
    assert (other.returncode, other.stdout) == (0, "")

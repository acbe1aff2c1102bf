"""What works here: data roots, and a cluster that may be installed and not answer."""

import pytest

from selfpatch.commands.doctor import cluster, data


def test_data_roots_of_configs_and_plans_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/coco").mkdir(parents=True)
    for name in ("COCO_ROOT", "DAVIS_ROOT", "IMAGENETTE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ADE20K_ROOT", "nowhere")
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path))
    facts = {fact.name: (fact.found, fact.missing) for fact in data()}
    assert facts == {
        "COCO_ROOT": ("data/coco", ""),
        "ADE20K_ROOT": ("nowhere does not exist", "ADE20K is not found: export ADE20K_ROOT=DIR"),
        "DAVIS_ROOT": ("not set", "DAVIS is not found: export DAVIS_ROOT=DIR"),
        "IMAGENETTE_ROOT": ("not set", "IMAGENETTE is not found: export IMAGENETTE_ROOT=DIR"),
        "IMAGENET_ROOT": (str(tmp_path), ""),
    }


@pytest.mark.parametrize(
    ("script", "found", "works"),
    [
        ("echo 'gpu* 4'; echo 'cpu 12'", "gpu* with 4 nodes, cpu with 12 nodes", True),
        ("echo no controller >&2; exit 1", "no partition", False),
    ],
)
def test_a_cluster_is_asked_for_its_partitions(script, found, works, tmp_path, monkeypatch):
    (tmp_path / "sinfo").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "sinfo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (fact,) = cluster()
    assert (fact.found, not fact.missing) == (found, works)


def test_no_cluster_is_nothing_to_say(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(cluster()) == []

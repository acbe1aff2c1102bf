"""Results files: what they say, and what is refused."""

import json
import sys
from dataclasses import asdict
from types import ModuleType
from typing import Any

import pytest

from selfpatch.backbones.file import BackboneInfo
from selfpatch.errors import InputError
from selfpatch.hosts import mmcv_ext
from selfpatch.results.file import (
    TASKS,
    described_data,
    installed_versions,
    read_results,
    write_result,
)
from tests.results.made import backbone, in_files, recipe_of, result, write

NAME = "mmcv operators"


def test_versions_name_no_operators_where_none_were_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)
    assert NAME not in installed_versions()


@pytest.mark.parametrize(
    ("file", "operators"),
    [(mmcv_ext.__file__, "torchvision"), ("mmcv/_ext.cpython-311-x86_64-linux-gnu.so", "compiled")],
)
def test_versions_say_whose_operators_were_loaded(monkeypatch, file, operators):
    loaded = ModuleType("mmcv._ext")
    loaded.__file__ = file
    monkeypatch.setitem(sys.modules, "mmcv._ext", loaded)
    assert installed_versions()[NAME] == operators


def test_a_result_is_read_as_it_was_written(tmp_path):
    info = BackboneInfo({"family": "vit"}, "dino", "b", weights="a", seed=3, settings={"lr": 1e-3})
    path = tmp_path / "run" / "results.json"
    written = write_result(
        path,
        task="davis2017",
        metrics=dict.fromkeys(TASKS["davis2017"], 50.0),
        config="davis_eval",
        dataset=described_data("data", ["a", "b"], "sequences"),
        backbone=info,
        hours=0.1,
        seed=7,
        settings={"walk": {"radius": 12}},
    )
    assert read_results([path]) == read_results([tmp_path]) == {path: written}
    assert (written.seed, written.backbone["seed"]) == (7, 3)
    assert written.backbone["settings"] == {"lr": 1e-3}
    assert written.settings == {"walk.radius": 12}


def test_a_file_that_overlapping_folders_hold_counts_once(tmp_path, monkeypatch):
    results = [result(), result(of=backbone(seed=1, recipe=recipe_of("dino")))]
    write(tmp_path / "runs", results)
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    found = read_results(["runs", "runs/", tmp_path, "runs/0", "link", "./runs/1/results.json"])
    assert list(found.values()) == results
    assert [str(file) for file in found] == [f"runs/{file}" for file in in_files(results)]


def test_names_of_images_need_be_no_text():
    assert described_data("", ["caf\udce9.jpg"], "images")["count"] == 1


def test_one_backbone_has_one_method(tmp_path):
    stated = backbone("dino")
    write(tmp_path, [result(of=stated), result(of={**stated, "method": "mocov3"})])
    with pytest.raises(InputError, match="names a backbone mocov3 that another result names dino"):
        read_results([tmp_path])


def test_a_file_whose_fingerprint_and_architecture_disagree_is_refused(tmp_path):
    stated = backbone()
    stated["architecture"]["num_heads"] = 12
    write(tmp_path, [result(of=stated)])
    with pytest.raises(InputError, match="fingerprint is not that of its weights and architecture"):
        read_results([tmp_path])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"metrics": {"mIoU": 101.0}}, "its mIoU is 101.0, and percents go from 0 to 100"),
        ({"metrics": {"mIoU": -0.1}}, "percents go from 0 to 100"),
        ({"metrics": {"mIoU": True}}, "its mIoU is True"),
        ({"metrics": {"mIoU": float("nan")}}, "its mIoU is nan"),
        (
            {"task": "davis2017", "metrics": {"J&F-Mean": 60.0, "J-Mean": 60.0, "F-Mean": 50.0}},
            "its J&F-Mean is 60.0, and not the mean of 60.0 and 50.0",
        ),
        ({"seed": "0"}, "its seed is no int"),
        ({"settings": []}, "its settings is no dict"),
        ({"dataset": {"path": "", "count": 1, "unit": "images", "names": []}}, "dataset's names"),
        ({"versions": {"torch": 2}}, "one of its versions is no text"),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence, tmp_path):
    write(tmp_path, [result(**{"task": "ade20k-upernet", **changes})])
    with pytest.raises(InputError, match=sentence):
        read_results([tmp_path])


@pytest.mark.parametrize("name", ["method", "network", "settings", "seed", "architecture"])
def test_a_backbone_that_is_not_described_is_refused(name, tmp_path):
    content: dict[str, Any] = asdict(result())
    del content["backbone"][name]
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"its backbone's {name} is no"):
        read_results([tmp_path])

"""The demo's plan: which data it finds, and which commands it makes."""

import shutil

import pytest

from selfpatch.demo.data import Sizes, generate
from selfpatch.demo.plan import Budget, DataSets, find_data, plan
from selfpatch.demo.run import demo
from selfpatch.errors import InputError

BUDGET = Budget(images=6, detection=4, segmentation=2)
SIZES = Sizes(pretraining=2, coco_train=2, coco_val=5, ade_train=1, ade_val=2, frames=3, height=96)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataSets:
    made = generate(tmp_path_factory.mktemp("plan") / "data", SIZES)
    return DataSets("hand-made", made / "images", made / "coco", made / "ade20k", made / "davis")


def test_missing_data_sets_are_listed_in_one_sentence(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError) as caught:
        find_data(tmp_path, tmp_path / "work", SIZES)
    message = str(caught.value)
    assert "COCO" in message
    assert "ADE20K" in message
    assert "DAVIS" in message
    assert "a folder of images" not in message


def test_a_missing_data_folder_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        find_data(tmp_path / "nowhere", tmp_path, SIZES)


def test_a_broken_coco_file_is_one_sentence(data, tmp_path):
    shutil.copytree(data.images.parent, tmp_path / "data")
    broken = tmp_path / "data" / "coco" / "annotations" / "instances_train2017.json"
    broken.write_text("{")
    found = find_data(tmp_path / "data", tmp_path, SIZES)
    with pytest.raises(InputError, match="is no COCO instances file"):
        plan(found, tmp_path / "work", BUDGET)


def test_a_file_as_work_dir_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write to"):
        demo(None, tmp_path / "file", BUDGET)


def test_both_methods_get_the_same_budget_and_the_same_options(data, tmp_path):
    steps = {step.name: step for step in plan(data, tmp_path, BUDGET)}
    assert len(steps) == 12
    for name in ("pretrain DINO", "pretrain SelfPatch"):
        assert "train_cfg.max_epochs=3" in steps[name].command
        assert "train_cfg.schedule.warmup_epochs=0.6" in steps[name].command
    for name in ("Mask R-CNN on DINO", "Mask R-CNN on SelfPatch"):
        assert "train_cfg.max_epochs=2" in steps[name].command
        assert steps[name].typed.startswith("COCO_ROOT=")
    for task in ("Mask R-CNN", "UperNet", "Semantic FPN"):
        dino, selfpatch = (steps[f"{task} on {name}"].typed for name in ("DINO", "SelfPatch"))
        assert dino.replace("/dino/", "/selfpatch/") == selfpatch


def test_a_change_of_the_projects_own_code_runs_its_steps_again(data, tmp_path):
    pretrain = next(iter(plan(data, tmp_path, BUDGET)))
    files = {"/".join(path.parts[-2:]) for path in pretrain.inputs}
    assert {"models/vit.py", "engine/loop.py", "configs/demo_selfpatch.py"} <= files
    assert not {"report/report.py", "demo/plan.py"} & files


def test_real_data_is_found_where_it_lies(real_data, tmp_path):
    data = find_data(real_data, tmp_path, SIZES)
    assert data.images == real_data / "imagenette224" / "train"
    assert not list(tmp_path.iterdir())

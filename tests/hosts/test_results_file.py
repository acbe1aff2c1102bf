"""What a host's metrics become."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import ImgDataPreprocessor
from mmengine.runner import BaseLoop

from selfpatch.errors import InputError
from selfpatch.hosts import settings as host_settings
from selfpatch.hosts.backbones import SelfPatchViT
from selfpatch.hosts.results_file import (
    ResultsFile,
    check_categories,
    check_normalisation,
    measured,
    percent,
)
from selfpatch.hosts.settings import data_of, training_settings
from selfpatch.results.settings import flat
from tests import ROOT


def test_a_metric_that_the_host_could_not_compute_stays_empty():
    assert percent(0.421, 100) == pytest.approx(42.1)
    assert percent(-1.0, 100) is None
    assert percent(float("nan"), 1) is None
    assert percent(None, 1) is None


class Images:
    """Stands for a data set of either host."""

    def __init__(self, *names: str, data_root: str = "data") -> None:
        self.names, self.data_root = names, data_root

    def __len__(self) -> int:
        return len(self.names)

    def get_data_info(self, index: int) -> dict:
        return {"img_path": f"/anywhere/{self.names[index]}"}


def test_data_are_known_by_their_names_through_every_wrapper():
    plain = data_of(Images("a.jpg", "b.jpg", "c.jpg"))
    both = SimpleNamespace(
        datasets=[Images("c.jpg"), SimpleNamespace(dataset=Images("a.jpg", "b.jpg"))]
    )
    assert data_of(both) == plain
    assert plain["count"] == 3
    assert data_of(Images("a.jpg", "b.jpg"))["names"] != plain["names"]


def test_settings_are_all_that_changes_a_number():
    def settings(**options) -> dict:
        cfg = Config.fromfile(ROOT / "mmseg_configs/upernet_selfpatch-small_ade20k-128x128.py")
        cfg.merge_from_dict({name.replace("__", "."): value for name, value in options.items()})
        return {
            **flat({"training": training_settings(cfg, Images("a.jpg"))}),
            **flat({"test": host_settings.test_settings(cfg, "test", several_scales=False)}),
        }

    default = settings()
    for changed in (
        {"optim_wrapper__optimizer__lr": 1e-9},
        {"model__backbone__frozen_stages": 6},
        {"model__test_cfg__mode": "slide"},
        {"test_dataloader__batch_size": 2},
        {"train_dataloader__batch_size": 3},
        {"train_cfg__max_iters": 7},
    ):
        assert settings(**changed) != default, changed
    for same in (
        {"model__backbone__init_cfg__checkpoint": "other.safetensors"},
        {"train_dataloader__num_workers": 7},
        {"train_dataloader__dataset__data_root": "/scratch/ade"},
        {"work_dir": "elsewhere"},
        {"default_hooks__logger__interval": 1},
        {"model__backbone__num_heads": 12},
    ):
        assert settings(**same) == default, same


def test_training_data_may_lie_elsewhere():
    cfg = Config.fromfile(ROOT / "mmseg_configs/upernet_selfpatch-small_ade20k-128x128.py")
    one, other = (
        training_settings(cfg, Images("a.jpg", data_root=root)) for root in ("data", "/scratch")
    )
    assert one == other
    assert one != training_settings(cfg, Images("b.jpg"))


def test_categories_in_another_order_end_a_training_before_its_first_step():
    """Tested on such a file, a detector of 80.6 AP had 0.0."""

    def data(*cat_ids: int) -> SimpleNamespace:
        return SimpleNamespace(ann_file="instances.json", cat_ids=list(cat_ids))

    check_categories(data(1, 2), data(1, 2))
    check_categories(data(1, 2), SimpleNamespace(dataset=data(1, 2, 3)))
    check_categories(SimpleNamespace(), SimpleNamespace())
    with pytest.raises(InputError, match="lists its categories in another order than"):
        check_categories(SimpleNamespace(datasets=[data(1, 2)]), data(2, 1))


def test_the_metrics_of_a_task_of_ones_own_are_those_of_the_host():
    assert measured("cells", {"coco/bbox_mAP": 0.5, "coco/bbox_mAP_s": 0.1}) == {"AP-box": 50.0}
    assert measured("cells", {"accuracy": 0.5, "name": "x"}) == {"accuracy": 0.5}
    found = measured("cells", {"single": np.float32(0.5), "none": float("nan")})
    assert found == {"single": 0.5, "none": None}


def test_a_results_file_that_cannot_be_written_ends_no_training(caplog):
    hook = ResultsFile("cells")
    runner = SimpleNamespace(
        _train_loop=object.__new__(BaseLoop.__subclasses__()[0]),
        work_dir="nowhere",
        model=torch.nn.Module(),
        logger=logging.getLogger("runner"),
    )
    hook.after_val_epoch(runner, {})
    assert "no results file was written" in caplog.text
    runner._train_loop = None
    with pytest.raises(AttributeError):
        hook.after_val_epoch(runner, {})


def test_images_are_normalised_as_the_backbone_takes_them():
    means = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    backbone = SelfPatchViT(
        "vit_tiny", depth=2, image_size=32, out_indices=(0, 1), strides=(8, 16),
        norm_cfg={"type": "BN"}, **means,
    )  # fmt: skip
    for value, fits in ((127.5, True), (123.7, False)):
        model = SimpleNamespace(
            backbone=backbone,
            data_preprocessor=ImgDataPreprocessor(mean=[value] * 3, std=[127.5] * 3),
        )
        if fits:
            check_normalisation(model)
        else:
            with pytest.raises(InputError, match=r"takes images of mean \[127.5, 127.5, 127.5\]"):
                check_normalisation(model)


def test_the_seed_of_the_training_is_that_of_a_later_test():
    """A test draws nothing, and its own runner has another seed."""
    cfg = Config.fromfile(ROOT / "mmseg_configs/upernet_selfpatch-small_ade20k-128x128.py")
    runner = SimpleNamespace(
        cfg=cfg, seed=3, model=SimpleNamespace(backbone=None), _val_loop=None, _resume=False,
        train_dataloader=SimpleNamespace(dataset=Images("a.jpg")), _train_loop=None,
    )  # fmt: skip
    hook, checkpoint = ResultsFile("cells"), {"meta": {"iter": 5}, "state_dict": {}}
    hook.before_train(runner)
    hook.before_save_checkpoint(runner, checkpoint)
    assert checkpoint["meta"]["selfpatch"]["seed"] == 3
    later = ResultsFile("cells")
    runner.seed, runner.model = 99, torch.nn.Module()
    runner.model.backbone = torch.nn.Identity()
    later.after_load_checkpoint(runner, checkpoint)
    assert later.before["seed"] == 3

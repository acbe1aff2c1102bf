"""A bank of drawn scenes segments other scenes: the whole way, and the command."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from selfpatch.backbones.loading import load_backbone
from selfpatch.cli import main
from selfpatch.data.segmented import folder
from selfpatch.errors import InputError
from selfpatch.probes import bank
from selfpatch.probes.bank import build_bank, sample
from selfpatch.probes.confusion import segmentation_metrics
from selfpatch.probes.features import PatchFeatures
from selfpatch.probes.in_context import PART, read_out
from selfpatch.probes.linear import RATES
from selfpatch.probes.segment import enlarged, segment


def features_of(backbone, size: int = 96) -> PatchFeatures:
    trunk, _ = load_backbone(backbone)
    return PatchFeatures(trunk, "cpu", size)


def test_areas_of_a_colour_are_found_without_training(scenes, backbone):
    features = features_of(backbone)
    bank = build_bank(features, folder(scenes, "training", 3), size=10_000)
    assert len(bank.features) == 6 * 36
    matrix = segment(features, bank, folder(scenes, "validation", 3))
    assert matrix.sum() == 3 * 64 * 80  # at the size of the maps as they are stored
    assert segmentation_metrics(matrix)["mIoU"] > 55


def test_a_bank_depends_on_neither_batches_nor_workers(scenes, backbone):
    features, training = features_of(backbone), folder(scenes, "training", 3)
    one = build_bank(features, training, size=60, batch=1)
    other = build_bank(features, training, size=60, batch=4, workers=2)
    assert len(one.features) == 60
    torch.testing.assert_close(one.features, other.features)
    assert all(a.equal(b) for a, b in zip(one.shares, other.shares, strict=True))
    assert not all(
        a.equal(b)
        for a, b in zip(build_bank(features, training, 60, seed=1).shares, one.shares, strict=True)
    )


def test_patches_of_rare_classes_are_drawn_first():
    shares = torch.zeros(100, 3)
    shares[:94, 0] = 1
    shares[94:98, 1] = 1  # four patches; two of class 2, and none is labelled in no patch
    shares[98:, 2] = 1
    shares[0] = 0
    kept = [sample(shares, 6, np.random.default_rng(seed)).tolist() for seed in range(50)]
    rare = np.mean([sum(patch >= 94 for patch in of) for of in kept])
    assert rare > 4
    assert all(0 not in of for of in kept)


@pytest.mark.parametrize("classes", [1, 5, 16, 40])
def test_a_pixel_takes_the_class_of_the_greatest_of_all_enlarged_maps(classes):
    scores = torch.randn(36, classes, generator=torch.Generator().manual_seed(0))
    maps = torch.nn.functional.interpolate(scores.T.view(1, -1, 6, 6), (20, 33), mode="bilinear")
    assert enlarged(scores, 6, (20, 33)).equal(maps[0].argmax(0))


def test_of_equal_scores_the_lowest_class_is_taken():
    assert enlarged(torch.ones(9, 40), 3, (5, 5)).equal(torch.zeros(5, 5, dtype=torch.int64))


def test_halves_of_a_read_out_are_the_halves_of_the_whole(scenes, backbone):
    features = features_of(backbone)
    bank = build_bank(features, folder(scenes, "training", 3), size=120)
    (_, found), *_ = features.batches(folder(scenes, "validation", 3), [0], 1, 0, "")
    whole = read_out(found, bank, 3)
    torch.testing.assert_close(
        torch.cat([read_out(part, bank, 3) for part in found.split(18)]), whole
    )


def test_a_bank_of_less_than_a_patch_of_each_image_is_refused(scenes, backbone):
    with pytest.raises(InputError, match="give --bank 6 or more"):
        build_bank(features_of(backbone), folder(scenes, "training", 3), size=5)


def test_a_bank_larger_than_memory_is_refused_before_anything_is_read(
    scenes, backbone, monkeypatch
):
    search = 4 * 36 * PART["cpu"] * 4
    monkeypatch.setattr(bank, "available_memory", lambda _device: search + 100 * 4 * 192)
    with pytest.raises(
        InputError, match=r"bank of 216 patches .* give --bank 90 or less, or --half"
    ):
        build_bank(features_of(backbone), folder(scenes, "training", 3), size=1000)
    assert len(build_bank(features_of(backbone), folder(scenes, "training", 3), 90).features) == 90


def relabelled(scenes, folder_, change) -> None:
    """A copy of the scenes with other label maps."""
    shutil.copytree(scenes, folder_, dirs_exist_ok=True)
    for path in (folder_ / "labels").rglob("*.png"):
        labels = np.array(Image.open(path))
        Image.fromarray(change(labels, path.parent.name)).save(path)


def test_a_bank_without_labels_is_refused(scenes, backbone, tmp_path):
    relabelled(scenes, tmp_path, lambda labels, _split: np.full_like(labels, 255))
    with pytest.raises(InputError, match="no pixel of the training images' maps is labelled"):
        build_bank(features_of(backbone), folder(tmp_path, "training", 3), size=100)


def test_metrics_of_nothing_right_are_0_and_not_unknown(scenes, backbone, tmp_path, capsys):
    relabelled(scenes, tmp_path, lambda labels, split: np.full_like(labels, split == "validation"))
    given = ["probe", "in-context", "--weights", str(backbone), "--data", str(tmp_path)]
    main([*given, "--classes", "3", "--size", "48", "--workers", "0", "--bank", "60"])
    assert "mIoU 0.00, mAcc 0.00, aAcc 0.00" in capsys.readouterr().out


def test_the_command_writes_a_result(scenes, backbone, tmp_path, capsys):
    given = ["probe", "in-context", "--weights", str(backbone), "--data", str(scenes)]
    given += ["--classes", "3", "--size", "96", "--bank", "120", "--workers", "0"]
    given += ["--out", str(tmp_path / "result.json"), "--device", "cpu"]
    main([*given, "--json"])
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["task"] == printed["task"] == f"{scenes.name}-in-context-96"
    assert written["metrics"]["mIoU"] == printed["mIoU"] > 40
    settings = {name: written["settings"][name] for name in ("size", "bank", "half", "classes")}
    assert settings == {"size": 96, "bank": 120, "half": False, "classes": 3}
    assert printed["bank"] == 120
    main([*given, "--half"])
    assert "mIoU" in capsys.readouterr().out


def test_the_command_trains_linear_classifiers(scenes, backbone, tmp_path, capsys):
    given = ["probe", "linear", "--weights", str(backbone), "--data", str(scenes), "--steps", "30"]
    given += ["--classes", "3", "--size", "96", "--workers", "0", "--keep", str(tmp_path / "kept")]
    main([*given, "--out", str(tmp_path / "result.json"), "--device", "cpu", "--json"])
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["metrics"]["mIoU"] == printed["mIoU"] > 40
    assert written["settings"]["steps"] == 30
    assert printed["lr"] in RATES
    assert written["found"]["lr"] == printed["lr"]
    assert "lr" not in written["settings"]  # backbones of other rates are compared


def test_the_command_asks_for_the_number_of_classes(scenes, backbone, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["probe", "in-context", "--weights", str(backbone), "--data", str(scenes)])
    assert stopped.value.code == 2
    assert "say how many with --classes N" in capsys.readouterr().err

"""Clusters of patches against maps that are enlarged and matched pixel by pixel."""

import json
from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from selfpatch.backbones.loading import load_backbone
from selfpatch.cli import main
from selfpatch.data.segmented import folder
from selfpatch.errors import InputError
from selfpatch.probes.features import PatchFeatures
from selfpatch.probes.overclustering import (
    Contents,
    contents_of,
    drawn,
    matched,
    mean_iou,
    overclustering,
    overlaps,
    projection,
    read,
)


@pytest.fixture(scope="module")
def features(backbone):
    trunk, _ = load_backbone(backbone)
    return PatchFeatures(trunk, "cpu", 96)


@pytest.mark.parametrize("size", [(5, 9), (6, 6), (40, 33)])
def test_overlaps_are_those_of_an_enlarged_map_of_clusters(size):
    generator = np.random.default_rng(0)
    labels = generator.integers(-1, 4, size)
    clusters = torch.from_numpy(generator.integers(0, 7, 36))
    enlarged = F.interpolate(clusters.view(1, 1, 6, 6).float(), size, mode="nearest-exact")[0, 0]
    expected = torch.zeros(4, 7, dtype=torch.int64)
    for label, cluster in zip(labels.flat, enlarged.flatten().long().tolist(), strict=True):
        if label >= 0:
            expected[label, cluster] += 1
    assert overlaps(clusters, contents_of(labels, 6, 4), 7, 4).equal(expected)


def test_clusters_take_the_class_of_most_of_their_pixels():
    overlap = torch.tensor([[90, 6, 0, 3], [10, 5, 4, 0], [0, 0, 5, 0]])
    # By IoU the second cluster would be of class 1: 5 of 25 against 6 of 104 pixels.
    assert matched(overlap).tolist() == [0, 0, 2, 0]
    # Class 0: 99 of 99 + 15; class 1 is never taken; class 2: 5 of 5 + 4.
    assert mean_iou(overlap) == pytest.approx(100 * (99 / 114 + 0 + 5 / 9) / 3)


def test_as_many_clusters_as_classes_are_matched_by_the_best_of_all_permutations():
    overlap = torch.randint(0, 50, (5, 5), generator=torch.Generator().manual_seed(1))
    union = overlap.sum(0) + overlap.sum(1, keepdim=True) - overlap
    ious = overlap / union
    best = max(
        np.mean([ious[of, cluster] for cluster, of in enumerate(order)])
        for order in permutations(range(5))
    )
    assert mean_iou(overlap) == pytest.approx(100 * best)
    assert sorted(matched(overlap).tolist()) == list(range(5))


def test_nothing_labelled_is_no_number():
    assert mean_iou(torch.zeros(3, 8, dtype=torch.int64)) is None


def test_components_are_those_of_standardised_features(features, scenes):
    images = folder(scenes, "validation", 3)
    found = torch.cat([own for _, own in features.batches(images, range(3), 2, 0, "")]).double()
    standardised = (found - found.mean(0)) / found.std(0, correction=0)
    _, scales, directions = torch.linalg.svd(standardised, full_matrices=False)
    points, _ = read(features, images, 2, 0)
    assert points.shape == (3 * 36, 50)
    expected = (standardised @ directions[:50].T).abs()
    torch.testing.assert_close(points.abs().double(), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(points.square().sum(0), scales[:50].square().float())


def test_a_constant_channel_changes_nothing(features, scenes, monkeypatch):
    images = folder(scenes, "validation", 3)
    _, directions = projection(features, images, 2, 0)
    plain = PatchFeatures.read

    def constant(self, items):
        return plain(self, items) * (torch.arange(self.width) > 0) + 3

    monkeypatch.setattr(PatchFeatures, "read", constant)
    _, others = projection(features, images, 2, 0)
    assert not others[0].any()
    assert directions[0].any()


def test_areas_of_a_colour_are_clusters(features, scenes):
    scores = overclustering(features, folder(scenes, "validation", 3), [12, 3], [0, 1])
    assert scores.keys() == {12, 3}
    assert min(scores[12]) > 50
    assert len(scores[3]) == 2


def test_scores_depend_on_the_seed_alone(features, scenes):
    images = folder(scenes, "validation", 3)
    one = overclustering(features, images, [7], [0, 1])
    assert one == overclustering(features, images, [7], [0, 1], workers=2)
    assert one[7][0] != one[7][1]
    assert overclustering(features, images, [7], [1])[7][0] == one[7][1]


def test_k_means_sees_256_patches_for_each_cluster():
    points = torch.arange(2000.0)[:, None]
    some = drawn(points, 3, seed=0)[:, 0]
    assert len(some) == len(some.unique()) == 768
    assert some.equal(drawn(points, 3, seed=0)[:, 0])
    assert not some.equal(drawn(points, 3, seed=1)[:, 0])
    assert drawn(points, 8, seed=0) is points


def test_contents_are_kept_without_zeros():
    contents = contents_of(np.array([[0, 0, 2, -1]]), 2, 3)
    # One row of pixels lies in the middle of two rows of patches, and counts for the lower one.
    assert contents.patches.tolist() == [2, 3]
    assert contents.classes.tolist() == [0, 2]
    assert contents.pixels.tolist() == [2, 1]
    assert isinstance(contents, Contents)


def test_more_clusters_than_patches_are_refused(features, scenes):
    with pytest.raises(InputError, match="3 images of 96 pixels have 108 patches, fewer than 500"):
        overclustering(features, folder(scenes, "validation", 3), [500, 3], [0])


def test_the_command_writes_mean_and_deviation(scenes, backbone, tmp_path, capsys):
    given = ["probe", "overclustering", "--weights", str(backbone), "--data", str(scenes)]
    given += ["--classes", "3", "--size", "96", "--clusters", "12", "--seeds", "3"]
    given += ["--workers", "0", "--device", "cpu", "--out", str(tmp_path / "result.json")]
    main([*given, "--json"])
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["metrics"].keys() == {"mIoU-12", "mIoU-3"}
    assert written["found"].keys() == {"mIoU-12-std", "mIoU-3-std"}
    assert written["metrics"]["mIoU-12"] == printed["mIoU-12"] > 50
    assert written["task"] == f"{scenes.name}-overclustering-96"
    assert written["settings"]["seeds"] == 3
    main([*given, "--seeds", "1", "--json"])  # the last --seeds counts
    assert json.loads(capsys.readouterr().out)["mIoU-12-std"] is None


def test_training_images_are_not_needed_and_a_part_of_them_is_refused(
    scenes, backbone, tmp_path, capsys
):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "validation").symlink_to(scenes / kind / "validation")
    given = ["probe", "overclustering", "--weights", str(backbone), "--data", str(tmp_path)]
    given += ["--classes", "3", "--size", "48", "--clusters", "5", "--seeds", "1", "--workers", "0"]
    main(given)
    assert "mIoU-5 " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*given, "--part", "1/2"])
    assert "leave out --part" in capsys.readouterr().err

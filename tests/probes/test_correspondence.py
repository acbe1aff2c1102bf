"""Correspondence: against DIFT's way of it done naively, cases worked by hand, warped photos."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.transforms.v2.functional import to_pil_image

from selfpatch.backbones.loading import random_backbone
from selfpatch.cli import main
from selfpatch.data.spair import Correspondence, SpairPairs
from selfpatch.models.trunks import trunk_from
from selfpatch.probes.correspondence import (
    correspondences,
    lengths,
    most_similar,
    percentages,
    right,
)
from selfpatch.probes.features import PatchFeatures
from tests.data.drawn_images import photograph
from tests.data.drawn_pairs import warped, write_pair
from tests.programs import processes_of

GRID, WIDTH = 6, 5


def patches(seed: int) -> torch.Tensor:
    return torch.randn(GRID**2, WIDTH, generator=torch.Generator().manual_seed(seed))


def enlarged(features: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(N, D) -> (D, H, W), all of it."""
    return F.interpolate(features.T.view(1, WIDTH, GRID, GRID), size, mode="bilinear")[0]


@pytest.mark.parametrize("size", [(31, 47), (6, 6), (4, 9)])
def test_lengths_are_those_of_the_enlarged_features(size):
    found = lengths(patches(0), GRID, size)
    torch.testing.assert_close(found, enlarged(patches(0), size).norm(dim=0))


@pytest.mark.parametrize("size", [(40, 33), (25, 60)])
def test_the_most_similar_pixel_is_that_of_the_enlarged_features(size):
    points = torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(2))
    cosines = F.normalize(points) @ F.normalize(enlarged(patches(1), size).flatten(1), dim=0)
    column, row = most_similar(points, patches(1), GRID, size).T
    found = cosines.view(-1, *size)[torch.arange(40), row, column]
    torch.testing.assert_close(found, cosines.amax(1), rtol=0, atol=1e-6)
    inside = (row > size[0] // 12) & (row < size[0] * 11 // 12)
    inside &= (column > size[1] // 12) & (column < size[1] * 11 // 12)
    assert inside.sum() > 9  # where no two pixels are equal
    places = row * size[1] + column
    assert places[inside].equal(cosines.argmax(1)[inside])


def pair_of(source: np.ndarray, target: np.ndarray, side: float, category: str) -> Correspondence:
    return Correspondence("pair", category, 0, 0, source, target, side)


def test_a_keypoint_is_right_up_to_a_tenth_of_the_box():
    truth = np.array([[10.0, 20], [50, 60], [0, 0], [0, 0]])
    pair = pair_of(truth, truth, 50.0, "cat")
    predicted = truth + np.array([[3, 4], [3, 4.01], [-5, 0], [0, 6]])
    assert right(pair, predicted).tolist() == [True, False, True, False]


def test_pairs_count_alike_per_image_and_keypoints_alike_per_point():
    spair = SpairPairs.__new__(SpairPairs)
    shapes = [(2, "cat"), (4, "cat"), (3, "dog")]
    spair.pairs = [pair_of(np.zeros((k, 2)), np.zeros((k, 2)), 1.0, name) for k, name in shapes]
    found = percentages(spair, np.array([1, 4, 0]))
    assert found["all"] == pytest.approx((50.0, 500 / 9))
    assert found["cat"] == pytest.approx((75.0, 500 / 6))
    assert found["dog"] == (0.0, 0.0)


class Counted(PatchFeatures):
    """Features of a random trunk; says how many images it has seen."""

    def __init__(self, size: int = 96) -> None:
        state, info = random_backbone("vit_tiny", 0)
        trunk = trunk_from(info.architecture)
        trunk.load_state_dict(state)
        super().__init__(trunk.eval(), "cpu", size)
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        return super().__call__(images)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Photographs of two categories, each paired with itself and with a smaller one of itself."""
    folder = tmp_path_factory.mktemp("spair")
    number = 0
    for seed, category in ((1, "cat"), (2, "dog")):
        image = to_pil_image(photograph(90, 120, seed))
        points = np.random.default_rng(seed).integers(10, 80, (6, 2))
        matrix = np.array([[0.8, 0, 8], [0, 0.9, 4]])
        for target in (("a", image, points), warped(image, points, matrix)):
            number += 1
            write_pair(folder, number, category, ("a", image, points), target)
    return folder


def test_an_image_finds_its_own_keypoints(root):
    spair = SpairPairs(root, "test")
    features = Counted()
    counts = correspondences(features, spair, batch=2)
    assert features.seen == len(spair.files) == 4  # each image once, though one is in three places
    assert counts[[0, 2]].tolist() == [6, 6]


def test_all_is_what_dift_does_naively(root):
    spair, features = SpairPairs(root, "test"), Counted()
    counts = correspondences(features, spair)
    found = dict(features.batches(spair, range(4), 4, 0, ""))
    for pair, count in zip(spair.pairs, counts, strict=True):
        maps = []
        for number in (pair.source, pair.target):
            own = found[number].T.view(1, -1, 6, 6)
            maps.append(F.interpolate(own, spair.sizes[number], mode="bilinear")[0])
        correct = 0
        for (x, y), truth in zip(pair.source_points.astype(int), pair.target_points, strict=True):
            cosine = F.cosine_similarity(maps[0][:, y, x, None, None], maps[1], dim=0)
            row, column = np.unravel_index(int(cosine.argmax()), cosine.shape)
            correct += np.hypot(column - truth[0], row - truth[1]) <= 0.1 * pair.target_side
        assert count == correct


def test_the_command_says_both_kinds_and_every_category(root, backbone, tmp_path, capsys):
    out = tmp_path / "result.json"
    main(["probe", "correspondence", "--weights", str(backbone), "--spair", str(root), "--json",
          "--size", "96", "--workers", "0", "--device", "cpu", "--out", str(out)])  # fmt: skip
    printed = json.loads(capsys.readouterr().out)
    assert printed["task"] == "spair-correspondence-96"
    assert printed["pairs"] == 4
    cat, dog = (printed["per image and per point"][name][1] for name in ("cat", "dog"))
    assert printed["mean of 2 categories, per point"] == pytest.approx((cat + dog) / 2, abs=0.01)
    result = json.loads(out.read_text())
    assert set(result["metrics"]) == {"PCK@0.1-per-image", "PCK@0.1-per-point"}
    assert result["dataset"]["unit"] == "pairs"


def test_a_real_photo_and_its_warp(real_data, tmp_path):
    """Their truth is exact; an untrained trunk already finds what is moved by whole patches."""
    file = sorted((real_data / "coco/val2017").glob("*.jpg"))[0]
    with Image.open(file) as opened:
        image = opened.convert("RGB").resize((128, 128))
    points = np.random.default_rng(0).integers(48, 112, (20, 2))
    matrix = np.array([[1.0, 0, -32], [0, 1, -16]])
    write_pair(tmp_path, 1, "photo", ("photo", image, points), warped(image, points, matrix))
    spair = SpairPairs(tmp_path, "test")
    assert correspondences(Counted(128), spair)[0] > 0


@pytest.mark.slow
def test_two_processes_find_what_one_does(root, backbone, programs):
    line = ["-m", "selfpatch", "probe", "correspondence", "--weights", str(backbone), "--json",
            "--spair", str(root), "--size", "96", "--workers", "0"]  # fmt: skip
    (alone,) = processes_of(programs, 1, line)
    first, other = processes_of(programs, 2, [*line, "--launcher", "pytorch"])
    assert (other.returncode, other.stdout) == (0, "")
    assert {**json.loads(first.stdout), "seconds": 0} == {**json.loads(alone.stdout), "seconds": 0}

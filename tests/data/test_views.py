"""Images become crops, as torchvision crops, and views that seed, epoch and index decide."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from selfpatch.data.draws import Recipe, View
from selfpatch.data.photometric import photometric
from selfpatch.data.views import MultiViewDataset
from tests.data.drawn_images import photograph

VIEWS = [View(32, (0.25, 1.0)), View(16, (0.05, 0.25), count=2), View(16, (0.2, 0.3))]


def save(image: Tensor, path) -> None:
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)


@pytest.fixture
def photographs(tmp_path):
    """A folder with three PNGs of different sizes."""
    for number, size in enumerate([(60, 80), (70, 50), (45, 45)]):
        save(photograph(*size, number), tmp_path / f"{number}.png")
    return tmp_path


def test_a_crop_is_pillows_up_to_its_roundings(photographs):
    item = MultiViewDataset(str(photographs), [View(32, (0.25, 1.0), count=20)], seed=5)[2, 0]
    boxes, _ = Recipe([View(32, (0.25, 1.0))] * 20).draw((5, 2, 0), 60, 80)
    image = Image.open(photographs / "0.png")
    for number, crop in enumerate(item["crops"][0]):
        top, left, height, width, flip = (int(side[number]) for side in boxes)
        box = (left, top, left + width, top + height)
        expected = image.crop(box).resize((32, 32), Image.Resampling.BICUBIC)
        expected = F.pil_to_tensor(expected)
        expected = expected.flip(-1) if flip else expected
        difference = (crop.int() - expected.int()).abs()
        assert difference.max() <= 1
        assert difference.float().mean() < 0.2


def test_a_crop_is_torchvisions_of_the_box_that_was_drawn(photographs):
    views = [View(32, (0.25, 1.0)), View(16, (0.05, 0.25), count=6, interpolation="bilinear")]
    item = MultiViewDataset(str(photographs), views, seed=5)[2, 0]
    boxes, _ = Recipe([views[0], *[views[1]] * 6]).draw((5, 2, 0), 60, 80)
    assert 0 < boxes.flip.sum() < 7
    image = F.pil_to_tensor(Image.open(photographs / "0.png"))
    found = [crop for run in item["crops"] for crop in run]
    for number, crop in enumerate(found):
        top, left, height, width, flip = (int(side[number]) for side in boxes)
        size = [32, 32] if number == 0 else [16, 16]
        how = InterpolationMode.BILINEAR if number else InterpolationMode.BICUBIC
        expected = F.resized_crop(image, top, left, height, width, size, how)
        assert crop.equal(F.horizontal_flip(expected) if flip else expected)


def test_views_of_one_size_in_a_row_are_one_tensor(photographs):
    item = MultiViewDataset(str(photographs), VIEWS)[0, 0]
    assert [tuple(run.shape) for run in item["crops"]] == [(1, 3, 32, 32), (3, 3, 16, 16)]
    assert [len(run.radius) for run in item["draws"]] == [1, 3]


def test_views_depend_on_seed_epoch_and_index_alone(photographs):
    def crops(seed: int, epoch: int, index: int) -> Tensor:
        return MultiViewDataset(str(photographs), VIEWS, seed)[epoch, index]["crops"][1]

    first = crops(0, 1, 2)
    torch.rand(5)
    np.random.rand(5)
    assert crops(0, 1, 2).equal(first)
    for other in ((1, 1, 2), (0, 2, 2), (0, 1, 1)):
        assert not crops(*other).equal(first)
    assert not first[0].equal(first[1])


def test_views_made_by_the_workers_are_those_made_of_a_batch(photographs):
    here, there = (
        MultiViewDataset(str(photographs), VIEWS, photometric_in_workers=in_workers)
        for in_workers in (False, True)
    )
    items = [(0, 0), (0, 1), (0, 2)]
    batch = next(iter(DataLoader(here, batch_size=3, sampler=items)))
    made = next(iter(DataLoader(there, batch_size=3, sampler=items)))
    assert "draws" not in made
    for crops, draws, views in zip(batch["crops"], batch["draws"], made["crops"], strict=True):
        drawn = type(draws)(*(of.flatten(0, 1) for of in draws))
        assert photometric(crops.flatten(0, 1), drawn).equal(views.flatten(0, 1).float())
        assert not crops.equal(views)


def test_a_large_jpeg_is_decoded_at_the_size_that_its_views_need(tmp_path):
    """As long as the smallest crop, at 3:4, has 96 pixels to its short side."""
    image = photograph(480, 640, 0)
    save(image, tmp_path / "large.jpg")
    save(image, tmp_path / "large.png")
    for least_scale, size in ((0.2, (320, 240)), (0.19, (320, 240)), (0.1, (640, 480))):
        dataset = MultiViewDataset(str(tmp_path), [View(96, (least_scale, 1.0))])
        assert dataset.readable(0)[0].size == size
        assert dataset.readable(1)[0].size == (640, 480)  # a PNG has no smaller versions


def test_no_crop_of_a_smaller_version_is_shorter_than_its_view_unless_it_was_before(tmp_path):
    views = [View(224, (0.25, 1.0)), View(96, (0.05, 0.25))]
    for width, height in ((6000, 300), (300, 4000), (2600, 1700), (4100, 900)):
        Image.new("RGB", (width, height)).save(tmp_path / "large.jpg")
        dataset = MultiViewDataset(str(tmp_path), views)
        small = dataset.readable(0)[0]
        for epoch in range(50):
            boxes, _ = dataset.recipe.draw((0, epoch, 0), small.height, small.width)
            for number, view in enumerate(views):
                side = min(boxes.height[number], boxes.width[number])
                assert side >= view.size or small.size == (width, height)


def test_a_jpeg_decoded_at_half_its_size_looks_like_the_whole_one_resized(tmp_path):
    from selfpatch.data.images import read_image

    save(photograph(480, 640, 0), tmp_path / "large.jpg")
    half = F.pil_to_tensor(read_image(tmp_path / "large.jpg", spare=lambda *_: 2))
    whole = F.pil_to_tensor(read_image(tmp_path / "large.jpg"))
    expected = F.resize(whole, [240, 320], InterpolationMode.BICUBIC)
    assert half.shape == expected.shape
    assert (half.float() - expected).abs().mean() < 3

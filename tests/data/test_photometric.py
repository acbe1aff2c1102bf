"""Each operation on pixels is torchvision's, or Pillow's, with the same parameters."""

import pytest
import torch
from PIL import ImageFilter
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from selfpatch.data import photometric as ours
from selfpatch.data.draws import Draws, Recipe, View
from tests.data.drawn_images import photograph
from tests.fake_gpu import fake_gpu

SIZES = (224, 96, 25, 20, 12)


def crops(count: int, size: int) -> Tensor:
    """uint8 (count, 3, size, size), with every colour and with areas of one."""
    return torch.stack([photograph(size, size, seed) for seed in range(count)])


def nothing(count: int) -> dict[str, Tensor]:
    """Draws that change nothing."""
    return {
        "order": torch.full((count, 4), -1),
        "factors": torch.ones(count, 4),
        "gray": torch.zeros(count, dtype=torch.bool),
        "radius": torch.zeros(count),
        "solarize": torch.zeros(count, dtype=torch.bool),
    }


@pytest.mark.parametrize(
    ("operation", "theirs", "values"),
    [
        (ours.adjust_brightness, F.adjust_brightness, (0.6, 1.0, 1.4)),
        (ours.adjust_contrast, F.adjust_contrast, (0.6, 1.0, 1.4)),
        (ours.adjust_saturation, F.adjust_saturation, (0.0, 0.8, 1.2)),
    ],
)
@pytest.mark.parametrize("size", [224, 96])
def test_colors_are_those_of_torchvision_on_images_of_pillow(operation, theirs, values, size):
    images = crops(3, size)
    expected = [
        F.pil_to_tensor(theirs(F.to_pil_image(i), torch.tensor(value).item()))
        for i, value in zip(images, values, strict=True)
    ]
    found = operation(images.float(), torch.tensor(values))
    assert found.equal(torch.stack(expected).float())


@pytest.mark.parametrize("shift", [-0.5, -0.1, 0.0, 0.07, 0.5])
def test_a_hue_is_that_of_torchvision_on_images_of_pillow_up_to_ties(shift):
    """Pillow's hue of 8 bits is cut off, and a rounding in fp32 can change it by one."""
    images = torch.cat([crops(2, 96), torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)])
    expected = torch.stack(
        [F.pil_to_tensor(F.adjust_hue(F.to_pil_image(image), shift)) for image in images]
    )
    difference = (ours.adjust_hue(images.float(), torch.full((4,), shift)) - expected).abs()
    assert (difference == 0).float().mean() > 0.99
    assert difference.max() <= 6


def test_solarisation_is_that_of_torchvision():
    images = crops(2, 96)
    expected = F.solarize(images, 128).float()
    torch.testing.assert_close(ours.solarize(images.float(), torch.tensor([128.0] * 2)), expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [0.1, 0.5, 0.9, 1.3, 1.7, 2.0])
def test_a_blur_is_that_of_pillow_up_to_its_rounding(size, radius):
    """Pillow rounds to whole numbers after each of six passes."""
    (image,) = crops(1, size)
    blurred = F.to_pil_image(image).filter(ImageFilter.GaussianBlur(radius))
    found = ours.gaussian_blur(image[None].float(), ours.three_boxes(torch.tensor([radius])))[0]
    difference = (found - F.pil_to_tensor(blurred)).abs()
    assert difference.max() < 3
    assert difference.mean() < 0.8


def test_a_blur_of_an_image_that_is_not_square_blurs_both_sides():
    image = photograph(40, 130, 0)
    blurred = F.to_pil_image(image).filter(ImageFilter.GaussianBlur(1.5))
    found = ours.gaussian_blur(image[None].float(), ours.three_boxes(torch.tensor([1.5])))[0]
    assert (found - F.pil_to_tensor(blurred)).abs().max() < 3


def test_a_blur_keeps_the_mean_and_has_the_variance_of_its_radius():
    radius = torch.linspace(0.1, 2.0, 20)
    matrix = ours.blur_matrix(64, ours.three_boxes(radius))
    torch.testing.assert_close(matrix.sum(2), torch.ones(20, 64))
    offset = torch.arange(64) - 32.0
    torch.testing.assert_close((matrix[:, 32] * offset**2).sum(1), radius**2, rtol=1e-4, atol=1e-6)


def test_operations_are_done_in_the_order_that_was_drawn():
    (image,) = crops(1, 32)
    factors = torch.tensor([[1.4, 0.6, 0.8, 0.0]])
    steps = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    found = set()
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        expected = F.to_pil_image(image)
        for number in order:
            expected = steps[number](expected, factors[0, number].item())
        draws = Draws(**{**nothing(1), "order": torch.tensor([order]), "factors": factors})
        view = ours.photometric(image[None], draws)[0]
        assert (view != F.pil_to_tensor(expected)).float().mean() < 0.01  # ties of the hue
        found.add(view.sum().item())
    assert len(found) == 3


def test_a_view_is_blurred_after_its_colors_and_solarised_last():
    (image,) = crops(1, 64)
    draws = Draws(
        **{
            **nothing(1),
            "gray": torch.tensor([True]),
            "radius": torch.tensor([1.0]),
            "solarize": torch.tensor([True]),
        }
    )
    pillow = F.to_pil_image(F.rgb_to_grayscale(image, 3)).filter(ImageFilter.GaussianBlur(1.0))
    found = ours.photometric(image[None], draws)[0]
    # A value that is rounded to the other side of the threshold is inverted, or not.
    difference = (found - F.solarize(F.pil_to_tensor(pillow), 128)).abs()
    assert difference.quantile(0.95) < 3


def test_crops_for_which_nothing_was_drawn_stay_as_they_are():
    images = crops(3, 32)
    assert ours.photometric(images, Draws(**nothing(3))).equal(images.float())


def test_views_are_whole_numbers_of_8_bits():
    draws = Recipe([View(48, (0.25, 1.0), blur=0.5, solarize=0.3)] * 40).draw((0,), 50, 50)[1]
    views = ours.photometric(crops(40, 48), draws)
    assert views.equal(views.byte().float())


def drawn_for(count: int, size: int) -> Draws:
    """What is drawn for crops of which every operation is for some."""
    return Recipe([View(size, (0.25, 1.0), blur=0.5, solarize=0.3)] * count).draw((3,), 50, 50)[1]


def test_crops_at_once_become_what_they_become_one_by_one():
    """A GPU takes all crops of an operation at once, a CPU all operations of a crop."""
    crops_, draws = crops(40, 48), drawn_for(40, 48)
    images = crops_.float()
    for operation, rows, values in ours.steps(draws):
        images[rows] = operation(images[rows], values)
    torch.testing.assert_close(ours.photometric(crops_, draws), images, rtol=0, atol=0)


def test_the_number_of_threads_changes_no_view():
    """A worker has one, the process that trains may have several."""
    images, draws, threads = crops(12, 224), drawn_for(12, 224), torch.get_num_threads()
    try:
        views = []
        for number in (1, 2, 4):
            torch.set_num_threads(number)
            views.append(ours.photometric(images, draws))
    finally:
        torch.set_num_threads(threads)
    assert views[0].equal(views[1])
    assert views[0].equal(views[2])


def test_no_operation_leaves_anything_on_the_cpu():
    with fake_gpu():
        images = torch.empty(2, 3, 96, 64, device="cuda")
        for operation in (*ours.JITTER, ours.solarize):
            assert operation(images, torch.empty(2, device="cuda")).device.type == "cuda"
        boxes = torch.empty(2, ours.SHORT, ours.SHORT, device="cuda")
        assert ours.gaussian_blur(images, boxes).device.type == "cuda"
        assert (images.shape, images.device.type) == ((2, 3, 96, 64), "cuda")

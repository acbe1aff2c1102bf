"""Histograms of colours, against counting pixel by pixel."""

import torch

from selfpatch.models.colours import ColourHistogram


def test_a_patch_has_the_share_of_each_colour_in_its_pixels():
    images = torch.rand(2, 3, 12, 9, generator=torch.Generator().manual_seed(0))
    images[0, :, :4, :4] = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1)  # on the edges of levels
    found = ColourHistogram(patch_size=4, levels=2)(images)
    expected = torch.zeros(2, 3 * 2, 8)  # the last column of pixels is in no whole patch
    for image in range(2):
        for row in range(12):
            for column in range(8):
                red, green, blue = (images[image, :, row, column] >= 0.5).long().tolist()
                expected[image, row // 4 * 2 + column // 4, 4 * red + 2 * green + blue] += 1 / 16
    torch.testing.assert_close(found, expected)
    assert found[0, 0, 0b011] == 1

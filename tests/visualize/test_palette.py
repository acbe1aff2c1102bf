"""DAVIS's colours."""

from selfpatch.visualize.palette import standard_palette


def test_palette_begins_with_the_standard_colours():
    palette = standard_palette()
    assert len(palette) == 768
    assert palette[:15] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]
    assert palette[-3:] == [224, 224, 192]

"""Images as they are read from files."""

import pytest
from PIL import ExifTags, Image

from selfpatch.data.images import read_image, read_stored
from selfpatch.errors import InputError


def test_whatever_pillow_raises_names_the_image(tmp_path):
    Image.new("1", (14000, 14000)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"bomb\.png is too large .*196000000 pixels"):
        read_image(tmp_path / "bomb.png")


def test_an_image_is_turned_upright_unless_it_is_wanted_as_stored(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by a quarter
    Image.new("L", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    upright, stored = (read(tmp_path / "a.jpg") for read in (read_image, read_stored))
    assert (upright.size, upright.mode) == ((20, 40), "RGB")
    assert (stored.size, stored.mode) == ((40, 20), "L")


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.jpg does not exist"):
        read_image(tmp_path / "a.jpg")

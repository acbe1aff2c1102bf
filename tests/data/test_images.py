"""Images as they are read from files."""

import numpy as np
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


@pytest.mark.parametrize(
    ("values", "first", "last"),
    [
        (np.arange(-1024, 1025, dtype=np.int32), 0, 255),  # tomography
        (np.arange(0, 4096, dtype=np.uint16), 0, 255),  # 12 bits
        (np.arange(0, 2000, dtype=np.uint16), 0, 124),  # 12 bits that are not all used
        (np.arange(0, 65536, 16, dtype=np.uint16), 0, 255),
        (np.arange(10, 200, dtype=np.int32), 10, 199),  # 8 bits in a file of 32
        (np.arange(0, 10**6, 10, dtype=np.int32), 0, 255),
        (np.linspace(-0.5, 2.0, 1001, dtype=np.float32), 0, 255),
    ],
    ids=["signed", "12 bits", "12 bits, dark", "16 bits", "8 bits", "32 bits", "float"],
)
def test_deep_images_keep_the_order_of_their_values(values, first, last, tmp_path):
    """Signed ones wrapped around, and 12 bits were black."""
    Image.fromarray(values[None].repeat(2, axis=0)).save(tmp_path / "a.tif")
    found = np.asarray(read_image(tmp_path / "a.tif"))
    assert (found == found[:1, :, :1]).all()
    row = found[0, :, 0].astype(int)
    assert (row[0], row[-1]) == (first, last)
    assert (np.diff(row) >= 0).all()


def test_a_constant_deep_image_is_one_colour_and_one_without_numbers_is_named(tmp_path):
    Image.fromarray(np.full((2, 2), -3.0, dtype=np.float32)).save(tmp_path / "a.tif")
    assert not np.asarray(read_image(tmp_path / "a.tif")).any()
    Image.fromarray(np.full((2, 2), np.nan, dtype=np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(InputError, match=r"b\.tif holds values that are infinite or no numbers"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_a_file_of_several_images_is_named(suffix, tmp_path):
    pages = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "green")]
    path = tmp_path / f"a.{suffix}"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=rf"a\.{suffix} holds 3 images; save the one"):
        read_image(path)


def test_a_preview_in_a_cameras_file_does_not_count(tmp_path):
    path = tmp_path / "a.jpg"
    pages = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    pages[0].save(path, format="MPO", save_all=True, append_images=pages[1:])
    assert read_image(path).getpixel((4, 4))[0] > 250

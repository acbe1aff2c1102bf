"""Folders of images and label maps, and what is wrong with them in one sentence."""

import shutil

import numpy as np
import pytest
from PIL import Image

from selfpatch.data.segmented import ade20k, folder
from selfpatch.errors import InputError
from tests.davis_eval.test_png import written


@pytest.fixture
def scenes(tmp_path):
    """Three images with maps of the values 0 ... 3 and 255, in ADE20K's layout and in a folder."""
    for split in ("training", "validation"):
        for kind in ("images", "annotations", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        for number in range(3):
            values = np.arange(48, dtype=np.uint8).reshape(6, 8) % 4
            values[0, 0] = 255
            Image.new("RGB", (8, 6), (number, 0, 0)).save(
                tmp_path / "images" / split / f"{number}.jpg"
            )
            for kind in ("annotations", "labels"):
                Image.fromarray(values).save(tmp_path / kind / split / f"{number}.png")
    return tmp_path


def test_a_map_of_ade20k_counts_from_one(scenes):
    images = ade20k(scenes, "training")
    assert (len(images), images.num_classes) == (3, 150)
    assert images.image(2).size == (8, 6)
    assert images.labels(0)[0].tolist() == [-1, 0, 1, 2, -1, 0, 1, 2]


def test_a_map_of_a_folder_counts_from_zero(scenes):
    assert folder(scenes, "validation", 4).labels(0)[0].tolist() == [-1, 1, 2, 3, 0, 1, 2, 3]


def test_a_class_beyond_the_count_is_named(scenes):
    with pytest.raises(InputError, match=r"0.png holds the value 3, which is none of the 3"):
        folder(scenes, "training", 3).labels(0)


def test_an_image_without_a_map_is_named(scenes):
    (scenes / "labels/training/1.png").unlink()
    with pytest.raises(InputError, match=r"labels/training has no file for 1;"):
        folder(scenes, "training", 4)
    (scenes / "images/training/2.jpg").unlink()
    with pytest.raises(InputError, match=r"labels/training has no file for 1 and 1 more;"):
        folder(scenes, "training", 4)


def test_a_map_of_colours_is_refused(scenes):
    Image.new("RGB", (8, 6)).save(scenes / "labels/training/0.png")
    with pytest.raises(InputError, match=r"0.png is RGB and no map of class numbers"):
        folder(scenes, "training", 4).labels(0)


def test_an_empty_split_is_named(scenes):
    for path in (scenes / "images/validation").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="images/validation"):
        folder(scenes, "validation", 4)


def test_a_map_of_another_size_than_its_image_is_named(scenes):
    Image.new("L", (8, 7)).save(scenes / "labels/training/0.png")
    with pytest.raises(InputError, match=r"0.png is 8x7, its image is 8x6; fetch both"):
        folder(scenes, "training", 4).labels(0)


def test_an_image_that_is_shown_turned_has_a_map_of_its_shown_size(scenes):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 8)).save(scenes / "images/training/0.jpg", exif=exif)
    assert folder(scenes, "training", 4).labels(0).shape == (6, 8)


def test_images_in_subfolders_pair_by_their_paths(scenes):
    for kind, ending in (("images", "jpg"), ("labels", "png")):
        for name in ("a", "b"):
            (scenes / kind / "training" / name).mkdir()
            shutil.copy(
                scenes / kind / f"training/0.{ending}",
                scenes / kind / f"training/{name}/0.{ending}",
            )
    images = folder(scenes, "training", 4)
    assert images.names() == ["0.jpg", "1.jpg", "2.jpg", "a/0.jpg", "b/0.jpg"]
    assert all(
        image.parent.name == labels.parent.name
        for image, labels in zip(images.files, images.maps, strict=True)
    )
    shutil.copy(scenes / "images/training/0.jpg", scenes / "images/training/0.jpeg")
    with pytest.raises(InputError, match="have one name; leave one of them"):
        folder(scenes, "training", 4)


def test_a_grey_map_of_few_bits_holds_the_numbers_that_were_written(scenes):
    values = np.arange(48, dtype=np.uint8).reshape(6, 8) % 4
    (scenes / "labels/training/0.png").write_bytes(written(values, bits=4, color=0))
    assert folder(scenes, "training", 4).labels(0).tolist() == values.tolist()


def test_a_map_that_is_a_jpeg_is_refused(scenes):
    (scenes / "labels/training/0.png").unlink()
    Image.new("L", (8, 6)).save(scenes / "labels/training/0.jpg")
    with pytest.raises(InputError, match=r"0.jpg is a JPEG and no map of class numbers"):
        folder(scenes, "training", 4).labels(0)


def test_as_many_classes_as_leave_no_void_are_refused(scenes):
    with pytest.raises(InputError, match="--classes 256: maps have 255"):
        folder(scenes, "training", 256)


@pytest.mark.parametrize("value", [256, 300, 65535])
def test_a_value_of_16_bits_is_no_class_of_8(value, scenes):
    deep = np.zeros((6, 8), np.uint16)
    Image.fromarray(deep + 2).save(scenes / "labels/training/0.png")
    assert folder(scenes, "training", 4).labels(0).tolist() == (deep + 2).tolist()
    deep[0, 0] = value
    Image.fromarray(deep).save(scenes / "labels/training/0.png")
    with pytest.raises(InputError, match=f"0.png holds the value {value}, which is none"):
        folder(scenes, "training", 4).labels(0)


def test_a_signed_value_is_no_class(scenes):
    signed = np.zeros((6, 8), np.int32)
    signed[0, 0] = -1
    for path in (scenes / "labels/training").iterdir():
        path.unlink()
    for number in range(3):
        Image.fromarray(signed).save(scenes / f"labels/training/{number}.tif")
    with pytest.raises(InputError, match=r"0.tif holds the value -1, which is none"):
        folder(scenes, "training", 4).labels(0)

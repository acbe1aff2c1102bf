"""What segmentation probes are told of their data: its splits, a part, and whether it is whole."""

import argparse
import shutil

import numpy as np
import pytest
from PIL import Image

from selfpatch.cli import main
from selfpatch.commands.probes.data import add_data, data_of, folder_of, settings_of
from selfpatch.data.segmented import checked, folder
from selfpatch.errors import InputError

# pycocotools' decoded arrays predate NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def given(*arguments: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_data(parser)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args([str(argument) for argument in arguments])


@pytest.fixture
def scenes(tmp_path):
    """A folder of 20 training and 60 validation images of 8x6 pixels."""
    for split, count in (("training", 20), ("validation", 60)):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 6)).save(tmp_path / f"images/{split}/{number:02}.png")
            Image.new("L", (8, 6), number % 3).save(tmp_path / f"labels/{split}/{number:02}.png")
    return tmp_path


def test_a_part_is_drawn_by_the_seed_and_lies_in_a_larger_one(scenes):
    whole, validation, name = data_of(given("--data", scenes, "--classes", 3))
    assert (len(whole), len(validation), name) == (20, 60, scenes.name)
    names = {}
    for part in ("1/2", "1/4", "1/20", "1/1"):
        training, all_of_it, name = data_of(given("--data", scenes, "--classes", 3, "--part", part))
        names[part] = set(training.names())
        assert len(all_of_it) == 60
        assert name == scenes.name + ("" if part == "1/1" else f"-{part.replace('/', 'of')}")
        for number, label in enumerate(training.names()):
            assert (training.labels(number) == int(label[:2]) % 3).all()
            assert training.files[number].name == label
    assert [len(names[part]) for part in names] == [10, 5, 1, 20]
    assert names["1/20"] < names["1/4"] < names["1/2"] < names["1/1"]
    other, _, _ = data_of(given("--data", scenes, "--classes", 3, "--part", "1/2", "--seed", 1))
    assert len(other) == 10
    half = data_of(given("--data", scenes, "--classes", 3, "--part", "1/2"))[0]
    assert settings_of(other) == settings_of(half)  # so that seeds are averaged
    assert set(other.names()) != names["1/2"]


def test_a_part_without_an_image_is_refused(scenes):
    with pytest.raises(InputError, match="1/64 of 20 training images is none; give a larger"):
        data_of(given("--data", scenes, "--classes", 3, "--part", "1/64"))


@pytest.mark.parametrize("text", ["2/8", "1/0", "8", "1/", "0.5", "1/-2"])
def test_what_is_no_part_is_refused(text, capsys):
    with pytest.raises(SystemExit):
        given("--data", "x", "--part", text)
    assert f"{text} is no part such as 1/8" in capsys.readouterr().err


def test_every_validation_map_is_looked_at_before_anything_is_computed(scenes, capsys):
    Image.new("L", (8, 6), 9).save(scenes / "labels/validation/04.png")
    checked(folder(scenes, "validation", 3), every=False)  # a sample of 48 of 60 goes without it
    arguments = ["--weights", "none", "--data", str(scenes), "--classes", "3"]
    with pytest.raises(SystemExit):
        main(["probe", "in-context", *arguments])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: {scenes}/labels/validation/04.png holds the value 9")


def test_all_sizes_are_looked_at_and_a_sample_of_maps(scenes):
    images = folder(scenes, "validation", 3)
    assert checked(images, every=False) is images
    Image.new("L", (8, 6), 9).save(scenes / "labels/validation/00.png")  # in every sample
    with pytest.raises(InputError, match=r"00.png holds the value 9"):
        checked(images, every=False)
    Image.new("L", (6, 8), 9).save(scenes / "labels/validation/33.png")
    with pytest.raises(InputError, match=r"33.png is 6x8, its image is 8x6"):
        checked(images, every=False)


def test_an_image_of_both_splits_is_refused(tmp_path, real_data):
    root = tmp_path / "davis"
    shutil.copytree(real_data / "davis/ImageSets", root / "ImageSets")
    for name in ("JPEGImages", "Annotations"):
        (root / name).symlink_to(real_data / "davis" / name)
    names = root / "ImageSets/2017/train.txt"
    names.write_text("dog\nblackswan\n")
    with pytest.raises(InputError, match=r"blackswan/00000.jpg is an image of both splits"):
        data_of(given("--davis", root))
    (root / "ImageSets/2017/val.txt").write_text("car-shadow\n")
    names.write_text("dog\n")
    training, validation, name = data_of(given("--davis", root))
    assert (len(training), len(validation), name) == (60, 40, "davis")
    assert folder_of(given("--davis", root)) == str(root)


def test_classes_are_asked_for_or_known(scenes):
    with pytest.raises(InputError, match="say how many with --classes N"):
        data_of(given("--data", scenes))
    with pytest.raises(InputError, match="--classes is for --data and --coco-stuff"):
        data_of(given("--ade20k", scenes, "--classes", 3))


def test_real_data_of_other_layouts_are_read(real_data):
    for option, classes in (("ade20k", 150), ("coco-things", 12)):
        root = real_data / option.partition("-")[0]
        training, validation, name = data_of(given(f"--{option}", root))
        assert (name, training.num_classes, validation.num_classes) == (option, classes, classes)
    assert (len(training), len(validation)) == (128, 80)


@pytest.mark.parametrize(("aug", "name"), [(False, "voc"), (True, "voc-aug")])
def test_the_name_of_voc_says_which_images_it_learned_from(aug, name, tmp_path):
    for image in ("a", "b", "c"):
        for part, ending in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
            (tmp_path / part).mkdir(exist_ok=True)
            path = tmp_path / part / f"{image}.{ending}"
            Image.fromarray(np.zeros((6, 8), np.uint8)).save(path)
    shutil.copytree(tmp_path / "SegmentationClass", tmp_path / "SegmentationClassAug")
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("c\n")
    if aug:
        (lists / "trainaug.txt").write_text("a\nb\n")
    training, _, found = data_of(given("--voc", tmp_path))
    assert (found, len(training)) == (name, 1 + aug)


@pytest.mark.parametrize(("own", "name"), [("voc", "own-voc"), ("vocals", "vocals")])
def test_a_folder_of_ones_own_is_not_taken_for_a_data_set(scenes, tmp_path, own, name):
    shutil.copytree(scenes / "images", tmp_path / own / "images")
    shutil.copytree(scenes / "labels", tmp_path / own / "labels")
    assert data_of(given("--data", tmp_path / own, "--classes", 3))[2] == name

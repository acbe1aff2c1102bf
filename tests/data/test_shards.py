"""Images in tar shards: the same ones as in files, and damage is named."""

import io
import tarfile

import numpy as np
import pytest
import webdataset

from selfpatch.data.images import ImageFiles
from selfpatch.data.shards import ImageShards, open_images
from selfpatch.errors import InputError
from tests.engine.tiny_pretraining import train


@pytest.fixture
def shards(images, tmp_path) -> str:
    """The images in three tar shards that webdataset wrote, with labels beside them."""
    pattern = str(tmp_path / "part-%02d.tar")
    with webdataset.ShardWriter(pattern, maxcount=5, verbose=0) as writer:
        for number, path in enumerate(sorted(images.rglob("*.png"))):
            writer.write({"__key__": f"{number:03d}", "png": path.read_bytes(), "cls": number})
    return str(tmp_path / "part-{00..02}.tar")


def test_shards_hold_the_same_images_in_order(images, shards, tmp_path):
    files = ImageFiles(images)
    for source in (open_images(shards), open_images(str(tmp_path))):
        assert len(source) == len(files) == 14
        for index in (0, 4, 5, 13):
            assert np.array_equal(source.read(index), files.read(index))
    assert open_images(shards).name(5).endswith("part-01.tar/005.png")


def test_a_run_trains_on_shards(shards, tmp_path):
    train("demo_dino.py", shards, tmp_path / "run")
    assert (tmp_path / "run/backbone.safetensors").is_file()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.unlink(), r"part-01\.tar does not exist; 1 of 3 shards"),
        (lambda path: path.write_bytes(path.read_bytes()[:700]), r"part-01\.tar is no whole"),
        (lambda path: path.write_text("<html>"), r"part-01\.tar is no whole"),
    ],
)
def test_a_bad_shard_is_named(shards, tmp_path, damage, sentence):
    damage(tmp_path / "part-01.tar")
    with pytest.raises(InputError, match=sentence):
        ImageShards(shards)


def test_a_folder_of_images_with_a_stray_tar_file_is_refused(shards, tmp_path, images):
    (tmp_path / "class").mkdir()
    with pytest.raises(InputError, match="holds both tar files"):
        open_images(str(tmp_path))


def test_a_damaged_image_in_a_shard_is_named(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as shard:
        entry = tarfile.TarInfo("x/1.jpg")
        entry.size = 4
        shard.addfile(entry, io.BytesIO(b"1234"))
    with pytest.raises(InputError, match=r"a\.tar/x/1\.jpg cannot be read as an image"):
        open_images(str(tmp_path)).read(0)


def headers(path) -> list[int]:
    with tarfile.open(path) as shard:
        return [member.offset for member in shard]


def test_a_flipped_bit_in_any_header_is_noticed(shards, tmp_path):
    """Python's reader takes it for the end of the archive: the images behind it are lost."""
    path = tmp_path / "part-01.tar"
    whole = path.read_bytes()
    for offset in headers(path):
        for place in (0, 60, 124, 130, 148, 300):  # name, digits, size, checksum, nothing
            damaged = bytearray(whole)
            damaged[offset + place] ^= 1
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=r"part-01\.tar is"):
                open_images(str(path))


def test_a_shard_that_was_cut_anywhere_is_noticed(shards, tmp_path):
    path = tmp_path / "part-01.tar"
    whole = path.read_bytes()
    end = max(headers(path)) + 1024  # where the last member's content ends, one block long
    for length in range(600, end, 331):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"part-01\.tar is"):
            open_images(str(path))


def test_joined_shards_are_noticed(shards, tmp_path):
    both = tmp_path / "both.tar"
    both.write_bytes(b"".join((tmp_path / f"part-0{n}.tar").read_bytes() for n in range(2)))
    with pytest.raises(InputError, match="goes on after its end at byte"):
        open_images(str(both))


@pytest.mark.parametrize(
    "pattern", ["train-{0000..99999999}.tar", "{1..9}" * 9 + ".tar", f"{{0..{'9' * 40}}}.tar"]
)
def test_a_pattern_of_a_hundred_million_shards_is_refused_at_once(pattern):
    with pytest.raises(InputError, match="more than 100,000 shards"):
        ImageShards(pattern)


def test_a_brace_without_its_other_one_is_named():
    with pytest.raises(InputError, match="has a brace without its other one"):
        ImageShards("train-{00..10.tar")

"""Features that are kept are those that are computed, whatever happened in between."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from selfpatch.backbones.file import save_backbone
from selfpatch.backbones.loading import load_backbone, random_backbone
from selfpatch.data.segmented import Part, SegmentedImages, folder
from selfpatch.errors import InputError
from selfpatch.probes.features import PatchFeatures
from selfpatch.probes.tokens import KeptFeatures


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    generator = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (root / kind / "training").mkdir(parents=True)
    for number in range(5):
        pixels = generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images/training" / f"{number}.png")
        Image.fromarray(pixels[:, :, 0] % 3).save(root / "labels/training" / f"{number}.png")
    return folder(root, "training", 3)


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    root, made = tmp_path_factory.mktemp("backbones"), []
    for seed in range(2):
        save_backbone(root / f"{seed}.safetensors", *random_backbone("vit_tiny", seed))
        trunk, info = load_backbone(root / f"{seed}.safetensors")
        made.append((PatchFeatures(trunk, "cpu", 48), info))
    return made


def read(features: PatchFeatures, scenes: SegmentedImages, numbers=range(5), batch=2):
    """Number -> features."""
    return dict(features.batches(scenes, list(numbers), batch, 0, ""))


def test_kept_features_are_the_computed_ones_and_are_computed_once(
    scenes, backbones, tmp_path, monkeypatch
):
    features, info = backbones[0]
    expected = read(features, scenes)
    found = read(KeptFeatures(features, info.fingerprint, tmp_path), scenes)
    assert list(found) == list(expected) == list(range(5))
    for number, own in expected.items():
        torch.testing.assert_close(found[number], own)
    monkeypatch.setattr(PatchFeatures, "__call__", None)  # cannot compute
    for number, own in read(
        KeptFeatures(features, info.fingerprint, tmp_path), scenes, [3, 1]
    ).items():
        assert own.equal(found[number])


def test_after_a_stop_the_rest_alone_is_computed(scenes, backbones, tmp_path, monkeypatch):
    features, info = backbones[0]
    kept = KeptFeatures(features, info.fingerprint, tmp_path)
    whole = read(features, scenes)
    seen = []
    computed = PatchFeatures.__call__

    def watched(self, images):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(len(images))
        return computed(self, images)

    monkeypatch.setattr(PatchFeatures, "__call__", watched)
    with pytest.raises(KeyboardInterrupt):
        read(kept, scenes)
    assert seen == [2, 2]
    seen.clear()
    found = read(kept, scenes)
    assert seen == [1]
    kept.kept(scenes).done[2] = False  # as if killed within the second batch
    seen.clear()
    assert read(kept, scenes)[2].equal(whole[2])
    assert seen == [2]  # both of its images, for the same rounding
    for number, own in whole.items():
        torch.testing.assert_close(found[number], own)


def test_another_backbone_size_or_precision_is_kept_by_itself(scenes, backbones, tmp_path):
    (features, info), (other, other_info) = backbones
    read(KeptFeatures(features, info.fingerprint, tmp_path), scenes)
    read(KeptFeatures(other, other_info.fingerprint, tmp_path), scenes)
    read(KeptFeatures(PatchFeatures(features.trunk, "cpu", 32), info.fingerprint, tmp_path), scenes)
    rounded = PatchFeatures(features.trunk, "cpu", 48, half=True)
    half = read(KeptFeatures(rounded, info.fingerprint, tmp_path), scenes)
    kept = [json.loads(path.read_text()) for path in tmp_path.glob("*/about.json")]
    assert len(kept) == 4
    assert {about["backbone"] for about in kept} == {info.fingerprint, other_info.fingerprint}
    torch.testing.assert_close(half[0], read(features, scenes)[0], atol=1e-2, rtol=1e-2)


def test_a_disk_that_is_full_is_named_and_nothing_is_left(scenes, backbones, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    features, info = backbones[0]
    with pytest.raises(InputError, match=r"tokens.npy needs 0.0 GiB, which the disk does not have"):
        read(KeptFeatures(features, info.fingerprint, tmp_path), scenes)
    assert not list(tmp_path.rglob("*.npy"))


def test_other_images_of_the_same_names_and_sizes_are_other_images(backbones, tmp_path):
    features, info = backbones[0]
    sets = []
    for split, value in (("training", 10), ("validation", 240)):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        Image.new("RGB", (48, 48), (value, 0, 0)).save(tmp_path / "images" / split / "0.bmp")
        Image.new("L", (48, 48)).save(tmp_path / "labels" / split / "0.png")
        sets.append(folder(tmp_path, split, 3))
    kept = KeptFeatures(features, info.fingerprint, tmp_path / "kept")
    one, other = (read(kept, of, [0])[0] for of in sets)
    assert not torch.allclose(one, other)


def test_features_that_another_folder_has_are_not_taken_for_zeros(scenes, backbones, tmp_path):
    features, info = backbones[0]
    kept = KeptFeatures(features, info.fingerprint, tmp_path)
    read(kept, scenes, [0, 2])
    items = kept.items(scenes)
    assert items[2].any()
    with pytest.raises(InputError, match="lacks the features of image 1; give all processes one"):
        items[1]


def test_a_part_of_the_images_uses_what_is_kept_of_all(scenes, backbones, tmp_path, monkeypatch):
    features, info = backbones[0]
    kept = KeptFeatures(features, info.fingerprint, tmp_path)
    whole = read(kept, scenes, [0, 1, 3, 4])
    part = Part(scenes, [1, 2, 4])
    monkeypatch.setattr(PatchFeatures, "__call__", None)  # cannot compute
    found = read(kept, part, [0, 2])
    assert found[0].equal(whole[1])
    assert found[2].equal(whole[4])
    assert kept.items(part)[2].equal(whole[4])
    monkeypatch.undo()
    assert read(kept, part, [1])[1].equal(read(kept, scenes, [2])[2])
    assert len(list(tmp_path.glob("*/about.json"))) == 1


def test_a_damaged_folder_is_named(scenes, backbones, tmp_path):
    features, info = backbones[0]
    read(KeptFeatures(features, info.fingerprint, tmp_path), scenes)
    (own,) = tmp_path.glob("*")
    (own / "tokens.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=f"{own.name} is damaged .*; delete it"):
        read(KeptFeatures(features, info.fingerprint, tmp_path), scenes)

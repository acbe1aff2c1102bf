"""Objects too small to win a patch: named, and kept where that is asked for."""

import json

import numpy as np
import pytest
from PIL import Image

from davis_eval.masks import read_mask, write_mask
from davis_eval.run import first_labels, segment
from davis_eval.sequences import LAYOUTS, find_sequence
from davis_eval.settings import Reading, Settings
from selfpatch import build_trunk
from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.cli import main

GRID = (4, 6)


def labels_of(mask: np.ndarray, keep_small: bool) -> tuple[np.ndarray, list[int]]:
    one_hot, lost = first_labels(mask, GRID, mask.max() + 1, keep_small)
    assert (one_hot.sum(0) == 1).all()
    return one_hot.argmax(0).numpy(), lost


@pytest.fixture
def mask() -> np.ndarray:
    """64 x 96, in patches of 16: object 1 is large, 2 and 3 touch no centre of a patch."""
    mask = np.zeros((64, 96), dtype=np.uint8)
    mask[:32, :32] = 1
    mask[30:32, 64:68], mask[32:33, 64:68] = 2, 2
    mask[49:52, 81:84] = 3
    return mask


def test_an_object_between_the_places_that_are_read_wins_no_patch(mask):
    patches, lost = labels_of(mask, keep_small=False)
    assert lost == [2, 3]
    assert set(np.unique(patches)) == {0, 1}


def test_each_small_object_is_given_the_patch_that_most_of_it_lies_in(mask):
    before, _ = labels_of(mask, keep_small=False)
    patches, lost = labels_of(mask, keep_small=True)
    assert lost == []
    assert np.argwhere(patches == 2).tolist() == [[1, 4]]
    assert np.argwhere(patches == 3).tolist() == [[3, 5]]
    others = ~np.isin(patches, (2, 3))
    assert np.array_equal(patches[others], before[others])


def test_objects_that_win_patches_are_as_without_the_option():
    mask = np.kron(np.arange(24).reshape(GRID) % 3, np.ones((16, 16))).astype(np.uint8)
    for one, other in zip(labels_of(mask, False), labels_of(mask, True), strict=True):
        assert np.array_equal(one, other)


def test_no_object_takes_the_only_patch_of_another_one():
    mask = np.zeros((64, 96), dtype=np.uint8)
    mask[1:3, 1:3], mask[1:3, 4:6], mask[15:17, 13:15] = 1, 2, 3  # 3: as much in patch (1, 0)
    patches, lost = labels_of(mask, keep_small=True)
    assert np.argwhere(patches == 1).tolist() == [[0, 0]]
    assert np.argwhere(patches == 3).tolist() == [[1, 0]]
    assert lost == [2]  # which lies in a patch that is taken, and in no other


@pytest.fixture
def data(tmp_path):
    """A still video of noise; object 7 is small, and object 9, too, which comes in frame 2."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    for number in range(5):
        path = tmp_path / f"data/JPEGImages/v/{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    for number, places in ((0, {3: np.s_[:32, :32], 7: np.s_[49:52, 81:83]}),
                           (2, {9: np.s_[1:3, 81:83]})):  # fmt: skip
        mask = np.zeros((64, 96), dtype=np.uint8)
        for label, place in places.items():
            mask[place] = label
        write_mask(tmp_path / f"data/Annotations/v/{number:05d}.png", mask)
    return tmp_path / "data"


@pytest.mark.parametrize("keep", [False, True])
def test_small_objects_are_followed_where_they_are_kept_also_those_that_appear_later(
    keep, data, tmp_path
):
    vit = build_trunk("vit_tiny", depth=1, patch_size=16, image_size=64).eval()
    settings = Settings(reading=Reading(short_side=64), keep_small=keep)
    sequence = find_sequence(data, "v", LAYOUTS["youtube-vos"])
    assert segment(vit, sequence, tmp_path / "out", settings) == ([] if keep else ["7", "9"])
    found = [set(np.unique(read_mask(tmp_path / f"out/v/{n:05d}.png"))) - {0} for n in range(5)]
    late = [{3, 7}, {3, 7, 9}, {3, 7, 9}, {3, 7, 9}] if keep else [{3}] * 4
    assert found == [{3, 7}, *late]


def test_every_run_names_them_once_and_makes_the_masks_anew_with_the_option(data, tmp_path, capsys):
    vit = build_trunk("vit_tiny", depth=1, patch_size=16, image_size=64)
    weights = tmp_path / "b.safetensors"
    save_backbone(weights, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    line = f"davis run --davis {data} --weights {weights} --out {tmp_path}/out --device cpu"
    line += " --layout youtube-vos --short-side 64"
    main(line.split())
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "v " in errors
    assert "not followed: objects 7, 9; --keep-small gives each one" in errors
    main(line.split())
    again = capsys.readouterr()
    assert "finished before" in again.out
    assert again.err == errors
    main([*line.split(), "--keep-small"])
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "finished before" not in printed.out
    stamp = json.loads((tmp_path / "out/v/finished.json").read_text())
    assert stamp["settings"]["keep_small"] is True

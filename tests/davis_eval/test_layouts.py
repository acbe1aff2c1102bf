"""Data sets of other layouts, from frames to scores."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from davis_eval.masks import read_mask
from davis_eval.run import segment
from davis_eval.sequences import LAYOUTS, Masks, Sequence, find_sequence, read_names
from davis_eval.settings import Reading, Settings
from selfpatch import build_trunk
from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.cli import main
from tests.davis_eval.squares import squares, video

SETTINGS = Settings(reading=Reading(short_side=64))


def frames(root: Path, masks: list[np.ndarray]) -> None:
    """Frames 00000.jpg, ... that show the masks."""
    root.mkdir(parents=True)
    for number, mask in enumerate(masks):
        Image.fromarray(np.repeat(mask[..., None] * 80, 3, axis=2)).save(root / f"{number:05d}.jpg")


def sa_v(root: Path, num_masks: int = 3) -> Path:
    """Two videos: frames at four times the masks' rate, a whole and its part; list and all."""
    for name in ("a", "b"):
        whole = squares(9, 1)
        part = [mask * (np.arange(64) < 12)[:, None].astype(np.uint8) for mask in whole]
        frames(root / "JPEGImages_24fps" / name, whole)
        for folder, masks in (("000", whole), ("001", part)):
            for number in range(0, 4 * num_masks, 4):
                path = root / "Annotations_6fps" / name / folder / f"{number:05d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(masks[number] * 255).save(path)
    (root / "sav_val.txt").write_text("a\nb\n")
    return root


@pytest.fixture
def run(tmp_path):
    """Run the command with a small backbone; gives its exit status."""
    vit = build_trunk("vit_tiny", depth=1, patch_size=8, image_size=64)
    weights = tmp_path / "backbone.safetensors"
    save_backbone(weights, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))

    def call(data: Path, layout: str, *more: str) -> int:
        line = ["davis", "run", "--davis", data, "--layout", layout, "--weights", weights]
        own = ["--out", tmp_path / "out", "--short-side", "64", "--device", "cpu"]
        try:
            main([str(word) for word in (*line, *own, *more)])
        except SystemExit as exit_:
            return int(exit_.code or 0)
        return 0

    return call


def test_sa_v_is_tracked_at_its_frames_rate_and_scored_at_its_masks(run, tmp_path):
    assert run(sa_v(tmp_path / "data"), "sa-v") == 0
    out = tmp_path / "out"
    assert len(list((out / "a/001").glob("*.png"))) == 9
    scores = json.loads((out / "scores.json").read_text())
    assert list(scores["per_object"]) == ["a_000", "a_001", "b_000", "b_001"]
    assert set(scores["per_sequence"]) == {"a", "b"}
    assert json.loads((out / "results.json").read_text())["task"] == "sa-v"
    truth = ["--truth", str(tmp_path / "data/Annotations_6fps")]
    again = tmp_path / "again.json"
    main(["davis", "score", *truth, "--results", str(out), "--json", str(again)])
    assert json.loads(again.read_text()) == scores


def test_mose_is_given_the_first_mask_only_and_the_others_are_truth(run, tmp_path, capsys):
    masks = squares(5, 2)
    frames(tmp_path / "data/JPEGImages/v", masks)
    video(tmp_path / "data", "v", masks, "Annotations")
    sequence = find_sequence(tmp_path / "data", "v", LAYOUTS["mose"])
    assert [path.stem for path in sequence.starts] == ["00000"]
    assert run(tmp_path / "data", "mose") == 0
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert list(scores["per_object"]) == ["v_1", "v_2"]


@pytest.mark.parametrize("layout", ["mose", "youtube-vos", "sa-v", "davis"])
def test_first_masks_alone_make_masks_and_no_scores(layout, run, tmp_path, capsys):
    data, masks = tmp_path / "data", squares(5, 1)
    if layout == "sa-v":
        sa_v(data, num_masks=1)
    else:
        frames(data / LAYOUTS[layout].frames / "v", masks)
        video(data, "v", masks[:1], LAYOUTS[layout].masks)
        (data / "ImageSets/2017").mkdir(parents=True)
        (data / "ImageSets/2017/test-dev.txt").write_text("v\n")
    assert run(data, layout) == 0
    assert "only the masks that tracking is given: there is nothing" in capsys.readouterr().out
    assert len(list((tmp_path / "out").rglob("*.png"))) == (4 * 9 if layout == "sa-v" else 5)
    assert not (tmp_path / "out/scores.json").exists()


def test_the_validation_list_is_read_before_a_test_sets(tmp_path):
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    for name in ("test-dev", "val"):
        (tmp_path / f"ImageSets/2017/{name}.txt").write_text(f"{name}\n")
        assert read_names(tmp_path) == [name]


def test_objects_that_overlap_are_followed_as_if_each_were_alone(tmp_path):
    vit = build_trunk("vit_tiny", depth=1, patch_size=8, image_size=64).eval()
    both = find_sequence(sa_v(tmp_path / "data"), "a", LAYOUTS["sa-v"])
    segment(vit, both, tmp_path / "both", SETTINGS)
    for masks in both.masks:
        segment(vit, Sequence("a", both.frames, (masks,)), tmp_path / "alone", SETTINGS)
        for path in sorted((tmp_path / "alone/a" / masks.object_name).glob("*.png")):
            other = tmp_path / "both" / path.relative_to(tmp_path / "alone")
            assert np.array_equal(read_mask(path), read_mask(other)), path


def test_an_object_with_masks_of_its_own_may_appear_later_than_the_others(tmp_path):
    vit = build_trunk("vit_tiny", depth=1, patch_size=8, image_size=64).eval()
    video = find_sequence(sa_v(tmp_path / "data"), "a", LAYOUTS["sa-v"])
    late = Masks("001", video.masks[1].files, video.masks[1].files[1:])  # begins in frame 4
    segment(vit, Sequence("a", video.frames, (video.masks[0], late)), tmp_path, SETTINGS)
    shown = [read_mask(tmp_path / f"a/001/{number:05d}.png").any() for number in range(9)]
    assert shown[:5] == [False] * 4 + [True]
    assert read_mask(tmp_path / "a/000/00004.png").any()


def test_sa_v_is_shown_with_a_color_per_object(run, tmp_path):
    assert run(sa_v(tmp_path / "data"), "sa-v") == 0
    line = ["--davis", str(tmp_path / "data"), "--results", str(tmp_path / "out")]
    main(["davis", "show", *line, "--out", str(tmp_path / "show"), "--layout", "sa-v"])
    assert {path.name for path in (tmp_path / "show").iterdir()} == {
        "a.mp4", "a.png", "b.mp4", "b.png"
    }  # fmt: skip


def test_hidden_and_stray_folders_beside_masks_are_no_objects(tmp_path):
    frames(tmp_path / "JPEGImages/v", squares(3, 1))
    video(tmp_path, "v", squares(3, 1), "Annotations")
    (tmp_path / "Annotations/v/.cache").mkdir()
    (tmp_path / "Annotations/v/previews").mkdir()
    (masks,) = find_sequence(tmp_path, "v", LAYOUTS["mose"]).masks
    assert (masks.object_name, len(masks.files)) == ("", 3)

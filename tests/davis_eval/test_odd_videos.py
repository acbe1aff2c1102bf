"""Videos that other tools write: a value means the same in every file, and nothing counts twice."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from davis_eval.masks import read_mask, write_mask
from davis_eval.run import segment
from davis_eval.scores import score, summary
from davis_eval.sequences import find_sequence, read_names
from davis_eval.settings import Reading, Settings
from davis_eval.stamps import Finished, find_finished, mark_finished, stamp
from selfpatch import build_trunk
from selfpatch.backbones.file import BackboneInfo
from selfpatch.errors import InputError
from tests.davis_eval.squares import SIZE, squares

Save = Callable[[Path, np.ndarray], None]


def grey(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(path)


def draw(
    root: Path, name: str, masks: Sequence[np.ndarray], save: Save = write_mask, digits: int = 5
) -> None:
    """A video in DAVIS's layout, its frames as bright as its labels."""
    for number, mask in enumerate(masks):
        frame = root / "JPEGImages/480p" / name / f"{number:0{digits}d}.jpg"
        frame.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.repeat(mask[..., None] * 40, 3, axis=2)).save(frame)
        save(root / "Annotations/480p" / name / f"{number:0{digits}d}.png", mask)
    names = root / "ImageSets/2017/val.txt"
    names.parent.mkdir(parents=True, exist_ok=True)
    names.write_text(f"{name}\n")


def j_and_f(root: Path, results: Path, name: str) -> float:
    return 100 * summary(score(root, results, [name]))["J&F-Mean"]


def track(root: Path, name: str, out: Path) -> list[np.ndarray]:
    vit = build_trunk("vit_tiny", depth=1, patch_size=8, image_size=64).eval()
    segment(vit, find_sequence(root, name), out, Settings(reading=Reading(short_side=64)))
    return [read_mask(path) for path in sorted((out / name).glob("*.png"))]


@pytest.mark.parametrize("digits", [1, 5])
def test_frames_whose_names_are_numbers_are_in_the_order_of_the_numbers(digits, tmp_path):
    """0, 1, 10, 11, 2: the last of these names is not the video's last frame."""
    masks = squares(12, 1)
    draw(tmp_path, "v", masks, digits=digits)
    sequence = find_sequence(tmp_path, "v")
    assert [int(frame.stem) for frame in sequence.frames] == list(range(12))
    for number, mask in enumerate(masks):  # only first and last, which do not count, are wrong
        shown = mask * 0 if number in (0, 11) else mask
        write_mask(tmp_path / f"results/v/{number:0{digits}d}.png", shown)
    assert j_and_f(tmp_path, tmp_path / "results", "v") == 100.0


def test_labels_with_a_gap_are_as_many_objects_as_there_are(tmp_path):
    one_and_three = [np.where(mask == 2, 3, mask).astype(np.uint8) for mask in squares(5, 2)]
    draw(tmp_path, "v", one_and_three)
    found = track(tmp_path, "v", tmp_path / "out")
    assert {label for mask in found for label in np.unique(mask).tolist()} <= {0, 1, 3}
    assert found[0].tolist() == one_and_three[0].tolist()
    scores = score(tmp_path, tmp_path / "out", ["v"])
    assert list(scores) == ["v_1", "v_3"]
    empty = [np.zeros(SIZE, dtype=np.uint8) for _ in range(5)]
    for number, mask in enumerate(empty):
        write_mask(tmp_path / f"none/v/{number:05d}.png", mask)
    assert j_and_f(tmp_path, tmp_path / "none", "v") == 0.0


def test_void_is_void_in_grey_as_in_indexed_masks(tmp_path):
    """One frame shows void alone, and would be an object if it were looked at by itself."""
    masks = squares(5, 1)
    for mask in masks:
        mask[40:50, 60:90] = 255
    masks[2][masks[2] == 1] = 0
    draw(tmp_path / "grey", "v", masks, save=grey)
    draw(tmp_path / "indexed", "v", masks)
    results = squares(5, 1)
    values = []
    for kind in ("grey", "indexed"):
        for number, mask in enumerate(results):
            write_mask(tmp_path / kind / f"out/v/{number:05d}.png", mask)
        values.append(j_and_f(tmp_path / kind, tmp_path / kind / "out", "v"))
        read = [read_mask(p) for p in sorted((tmp_path / kind / "Annotations/480p/v").iterdir())]
        assert all(np.array_equal(a, b) for a, b in zip(read, masks, strict=True))
    assert values[0] == values[1]


def test_masks_of_0_and_255_are_one_object_throughout(tmp_path):
    masks = squares(5, 1)
    draw(tmp_path, "v", masks, save=lambda path, mask: grey(path, mask * 255))
    for path, mask in zip(sorted((tmp_path / "Annotations/480p/v").iterdir()), masks, strict=True):
        assert np.array_equal(read_mask(path), mask)


@pytest.mark.parametrize("beside", ["preview.jpg", "preview.webp", "._00000.png"])
def test_only_masks_tell_whether_255_is_an_object(beside, tmp_path):
    (mask,) = squares(1, 1)
    grey(tmp_path / "00000.png", mask * 255)
    Image.fromarray(mask + 100).save(tmp_path / beside)
    assert np.array_equal(read_mask(tmp_path / "00000.png"), mask)


def test_a_grey_mask_with_transparency_is_read_as_its_grey_values(tmp_path):
    (mask,) = squares(1, 2)
    layers = [Image.fromarray(mask), Image.new("L", SIZE[::-1], 255)]
    Image.merge("LA", layers).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask)


@pytest.mark.parametrize("kind", ["1", "I;16"])
def test_other_depths_hold_the_same_labels(kind, tmp_path):
    (mask,) = squares(1, 1 if kind == "1" else 3)
    image = Image.fromarray(mask.astype(bool) if kind == "1" else mask.astype(np.uint16))
    assert image.mode == kind
    image.save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask)
    Image.fromarray(mask.astype(np.uint16) * 300).save(tmp_path / "large.png")
    with pytest.raises(InputError, match=r"holds values from 0 to .*; labels go from 0 to 254"):
        read_mask(tmp_path / "large.png")


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_mask_is_read_from_disk_once(mode, tmp_path, monkeypatch):
    path, (mask,) = tmp_path / "m.png", squares(1, 3)
    write_mask(path, mask)
    with Image.open(path) as image:
        (Image.fromarray(mask) if mode == "L" else image.convert(mode)).save(path)
    read = Path.read_bytes

    def read_and_remove(path: Path) -> bytes:
        content = read(path)
        path.unlink()
        return content

    monkeypatch.setattr(Path, "read_bytes", read_and_remove)
    assert np.array_equal(read_mask(path), mask)
    assert not path.exists()


@pytest.mark.parametrize("radius", [1, 3])
def test_soft_edges_are_no_objects(radius, tmp_path):
    (mask,) = squares(1, 1)
    soft = Image.fromarray(mask * 255).filter(ImageFilter.GaussianBlur(radius))
    soft.save(tmp_path / "m.png")
    with pytest.raises(InputError, match="grey values, which are soft edges or a picture"):
        read_mask(tmp_path / "m.png")


def test_many_small_labels_in_a_grey_mask_are_labels(tmp_path):
    mask = np.zeros((40, 80), dtype=np.uint8)
    for label in range(1, 20):
        mask[4:8, 4 * label : 4 * label + 3] = label
    Image.fromarray(mask).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask)


def test_a_frame_of_another_size_is_named_before_any_work(tmp_path):
    draw(tmp_path, "v", squares(4, 1))
    odd = tmp_path / "JPEGImages/480p/v/00002.jpg"
    Image.new("RGB", (50, 40)).save(odd)
    with pytest.raises(InputError, match=r"00002.jpg is 50x40, but .*00000.jpg is 96x64"):
        track(tmp_path, "v", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_fifth_frame_makes_a_video_and_a_missing_one_is_named(tmp_path):
    draw(tmp_path, "v", squares(4, 1))
    for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        for number in range(3, 0, -1):
            path = tmp_path / folder / f"480p/v/{number:05d}.{suffix}"
            path.rename(path.with_stem(f"{5 * number:05d}"))
    frames = find_sequence(tmp_path, "v").frames
    assert [frame.stem for frame in frames] == ["00000", "00005", "00010", "00015"]
    frames[1].unlink()
    (tmp_path / "Annotations/480p/v/00005.png").unlink()
    with pytest.raises(InputError, match=r"00005.jpg does not exist; v has frames before and"):
        find_sequence(tmp_path, "v")


def test_suffixes_may_be_capitals_and_hidden_files_do_not_count(tmp_path):
    draw(tmp_path, "v", squares(3, 1))
    for folder in ("JPEGImages", "Annotations"):
        for path in list((tmp_path / folder / "480p/v").iterdir()):
            path.with_name(f"._{path.name}").write_bytes(b"resource fork")
            path.rename(path.with_suffix(path.suffix.upper()))
    sequence = find_sequence(tmp_path, "v")
    assert [path.name for path in sequence.frames] == ["00000.JPG", "00001.JPG", "00002.JPG"]
    assert sequence.starts[0].name == "00000.PNG"
    assert len(track(tmp_path, "v", tmp_path / "out")) == 3
    assert 0 <= j_and_f(tmp_path, tmp_path / "out", "v") <= 100


def test_two_files_of_one_frame_are_named(tmp_path):
    draw(tmp_path, "v", squares(3, 1))
    Image.new("RGB", (96, 64)).save(tmp_path / "JPEGImages/480p/v/00001.png")
    with pytest.raises(InputError, match=r"00001.\w+ and 00001.\w+ are one frame; remove one"):
        find_sequence(tmp_path, "v")


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        ("../480p/v", "which is no name of a sequence"),
        ("..", "which is no name of a sequence"),
        ("a\\b", "which is no name of a sequence"),
        ("v" * 300, "which is no name of a sequence"),
        ("v\nw\nv", "lists v twice"),
    ],
)
def test_a_list_names_folders_and_nothing_outside(listed, sentence, tmp_path):
    draw(tmp_path, "v", squares(3, 1))
    (tmp_path / "ImageSets/2017/val.txt").write_text(listed)
    with pytest.raises(InputError, match=sentence):
        read_names(tmp_path)


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path):
    draw(tmp_path, "v", squares(3, 1))
    (tmp_path / "ImageSets/2017/val.txt").write_text("v\n", encoding="utf-8-sig")
    assert read_names(tmp_path) == ["v"]
    (tmp_path / "ImageSets/2017/val.txt").write_bytes(b"\xff\xfev\x00")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_names(tmp_path)


def test_finished_masks_count_for_the_same_frames_and_first_mask_only(tmp_path):
    draw(tmp_path, "v", squares(4, 1))
    out = tmp_path / "out"
    info, settings = BackboneInfo({}, "dino", "x", weights="w"), Settings()

    def noted() -> Finished | None:
        sequence = find_sequence(tmp_path, "v")
        return find_finished(out, sequence, stamp(sequence, info, settings))

    def finish() -> None:
        track(tmp_path, "v", out)
        sequence = find_sequence(tmp_path, "v")
        mark_finished(out, sequence, stamp(sequence, info, settings), Finished(3.0, ("1",)))

    finish()
    assert noted() == Finished(3.0, ("1",))
    (out / "v/00002.png").write_bytes(b"cut")
    assert noted() is None
    finish()
    write_mask(tmp_path / "Annotations/480p/v/00000.png", squares(4, 2)[0])
    assert noted() is None
    finish()
    Image.new("RGB", SIZE[::-1], "red").save(tmp_path / "JPEGImages/480p/v/00001.jpg")
    assert noted() is None
    finish()
    other = BackboneInfo({}, "dino", "x", weights="another")
    sequence = find_sequence(tmp_path, "v")
    assert find_finished(out, sequence, stamp(sequence, other, settings)) is None


@pytest.mark.parametrize(("count", "fits"), [(32, True), (33, False)])
def test_a_grey_mask_holds_at_most_32_objects(count, fits, tmp_path):
    mask = np.arange(count + 1, dtype=np.uint8).repeat(4)[None].repeat(5, axis=0)
    Image.fromarray(mask).save(tmp_path / "m.png")
    if fits:
        assert np.array_equal(read_mask(tmp_path / "m.png"), mask)
    else:
        with pytest.raises(InputError, match="holds 33 grey values"):
            read_mask(tmp_path / "m.png")


@pytest.mark.parametrize(("thin", "wide", "fits"), [(3, 0, True), (4, 3, False), (4, 4, True)])
def test_three_thin_objects_or_as_many_wide_ones_make_labels(thin, wide, fits, tmp_path):
    """More than three without an inside, and more than half of all, are a soft edge."""
    widths = [1] * thin + [4] * wide
    mask = np.zeros((8, 60), dtype=np.uint8)
    left = 3
    for label, width in enumerate(widths, start=1):
        mask[:, left : left + width] = label
        left += width
    Image.fromarray(mask).save(tmp_path / "m.png")
    if fits:
        assert np.array_equal(read_mask(tmp_path / "m.png"), mask)
    else:
        with pytest.raises(InputError, match="soft edges or a picture"):
            read_mask(tmp_path / "m.png")

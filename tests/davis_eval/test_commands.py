"""The evaluator's commands on generated videos: masks, scores, resuming, and bad input."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from davis_eval.masks import read_mask, write_mask
from selfpatch import build_trunk
from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.cli import main
from selfpatch.visualize.palette import standard_palette

SIZE = (96, 160)
SMALL = ("--device", "cpu", "--short-side", "128")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    vit = build_trunk("vit_tiny", depth=1, image_size=96, final_norm=True)
    path = tmp_path_factory.mktemp("weights") / "backbone.safetensors"
    save_backbone(path, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    return path


@pytest.fixture
def davis(tmp_path) -> Path:
    """Two videos of squares that move to the right; the second has two objects and void."""
    root = tmp_path / "davis"
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("one\ntwo\n")
    for name, num_objects in (("one", 1), ("two", 2)):
        for step in range(5):
            mask = np.zeros(SIZE, dtype=np.uint8)
            for k in range(1, num_objects + 1):
                mask[40 * k - 30 : 40 * k, 10 + 8 * step : 50 + 8 * step] = k
            frame = np.full((*SIZE, 3), 90, dtype=np.uint8)
            frame[mask > 0] = np.array(standard_palette()).reshape(-1, 3)[mask[mask > 0]]
            if name == "two":
                mask[0] = 255
            write_mask(root / "Annotations/480p" / name / f"{step:05d}.png", mask)
            path = root / "JPEGImages/480p" / name / f"{step:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frame).save(path)
    return root


@pytest.fixture
def command(davis, weights, tmp_path):
    """Run the program in this process; gives its exit status."""

    def call(name: str, *more: str) -> int:
        own = {
            "run": ["--weights", str(weights), "--out", str(tmp_path / "out"), *SMALL],
            "score": ["--results", str(tmp_path / "out"), "--json", str(tmp_path / "s.json")],
        }[name]
        try:
            main(["davis", name, "--davis", str(davis), *own, *more])
        except SystemExit as exit_:
            return int(exit_.code or 0)
        return 0

    return call


def test_run_leaves_masks_scores_and_a_results_file(command, davis, tmp_path, capsys):
    assert command("run") == 0
    out = tmp_path / "out"
    for name, labels in (("one", {0, 1}), ("two", {0, 1, 2})):
        masks = sorted((out / name).glob("*.png"))
        assert len(masks) == 5
        with Image.open(masks[2]) as image:
            assert image.mode == "P"
            assert image.size == SIZE[::-1]
            assert image.getpalette()[:768] == standard_palette()
            assert set(np.unique(image)) <= labels
    scores = json.loads((out / "scores.json").read_text())
    assert list(scores["per_object"]) == ["one_1", "two_1", "two_2"]
    assert scores["J&F-Mean"] == pytest.approx((scores["J-Mean"] + scores["F-Mean"]) / 2)
    result = json.loads((out / "results.json").read_text())
    assert result["metrics"]["J&F-Mean"] == pytest.approx(100 * scores["J&F-Mean"])
    assert result["settings"]["reading.tokens"] == "last-block"
    assert (out / "global_results-val.csv").read_text().startswith("J&F-Mean,J-Mean,J-Recall")
    capsys.readouterr()

    before = (out / "one/00003.png").stat().st_mtime_ns
    assert command("run") == 0
    assert "finished before" in capsys.readouterr().out
    assert (out / "one/00003.png").stat().st_mtime_ns == before
    assert command("run", "--tokens", "final-norm") == 0
    assert (out / "one/00003.png").stat().st_mtime_ns > before

    assert command("score") == 0
    again = json.loads((tmp_path / "s.json").read_text())
    final = json.loads((out / "scores.json").read_text())
    assert again == final


def test_the_truth_itself_scores_a_hundred(command, davis, tmp_path):
    for mask in (davis / "Annotations/480p").rglob("*.png"):
        labels = read_mask(mask)
        write_mask(
            tmp_path / "out" / mask.parent.name / mask.name, np.where(labels == 255, 0, labels)
        )
    assert command("score") == 0
    assert json.loads((tmp_path / "s.json").read_text())["J&F-Mean"] == 1.0


def spoil(davis: Path, how: str) -> None:
    """Make sequence ``two`` unusable."""
    frames, masks = davis / "JPEGImages/480p/two", davis / "Annotations/480p/two"
    frame, mask = frames / "00002.jpg", masks / "00002.png"
    if how == "first mask missing":
        (masks / "00000.png").unlink()
    elif how == "frame missing":
        frame.unlink()
    elif how == "frame truncated":
        frame.write_bytes(frame.read_bytes()[:200])
    elif how == "mask truncated":
        first = masks / "00000.png"
        first.write_bytes(first.read_bytes()[:60])
    elif how == "sizes differ":
        write_mask(masks / "00000.png", np.ones((8, 8), dtype=np.uint8))
    elif how == "true mask missing in colour":
        Image.fromarray(np.full((*SIZE, 3), 77, dtype=np.uint8)).save(mask)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("first mask missing", "two/00000.png does not exist"),
        ("frame missing", "two/00002.jpg does not exist"),
        ("frame truncated", "two/00002.jpg cannot be read"),
        ("mask truncated", "two/00000.png cannot be read"),
        ("sizes differ", "two/00000.png is 8x8"),
        ("true mask missing in colour", "two/00002.png is RGB with colours outside"),
    ],
)
def test_a_bad_sequence_is_named_and_the_other_one_finished(
    how, sentence, command, davis, tmp_path, capsys
):
    spoil(davis, how)
    assert command("run") == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert "1 of the sequences failed: two" in errors
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert list(scores["per_object"]) == ["one_1"]


def test_results_that_do_not_fit_the_truth_are_named(command, davis, tmp_path, capsys):
    for mask in (davis / "Annotations/480p").rglob("*.png"):
        labels = read_mask(mask)
        labels = np.where(labels == 255, 0, labels).astype(np.uint8)
        write_mask(tmp_path / "out" / mask.parent.name / mask.name, labels)
    write_mask(tmp_path / "out/one/00002.png", np.full(SIZE, 3, dtype=np.uint8))
    write_mask(tmp_path / "out/two/00003.png", np.ones((8, 8), dtype=np.uint8))
    assert command("score") == 2
    errors = capsys.readouterr().err
    assert "one/00002.png holds object 3, but the sequence has 1 only" in errors
    assert "two/00003.png is 8x8, but" in errors


def test_an_empty_list_and_a_text_file_as_weights_are_one_sentence(davis, tmp_path, programs):
    def sentence(*more: str) -> str:
        done = programs.run("-m", "selfpatch", "davis", "run", "--davis", davis, *more)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        return done.stderr

    (tmp_path / "w.pth").write_text("hello")
    more = ("--weights", str(tmp_path / "w.pth"), "--out", str(tmp_path / "out"))
    assert "w.pth is no PyTorch file" in sentence(*more) or "not a safe" in sentence(*more)
    (davis / "ImageSets/2017/val.txt").write_text("\n")
    assert "val.txt lists no sequence" in sentence(*more)


def test_show_draws_results_side_by_side(command, davis, tmp_path, capsys):
    import av

    assert command("run") == 0
    out = str(tmp_path / "out")
    show = ["--davis", str(davis), "--results", out, out, "--titles", "A", "B"]
    line = ["davis", "show", *show, "--out", str(tmp_path / "show")]
    main(line)
    with av.open(str(tmp_path / "show/two.mp4")) as video:
        shapes = [frame.to_ndarray(format="rgb24").shape for frame in video.decode(video=0)]
    assert shapes == [(SIZE[0], 2 * SIZE[1] + 6, 3)] * 5
    with Image.open(tmp_path / "show/one.png") as strip:
        assert strip.width == 840
    (tmp_path / "out/two/00003.png").unlink()
    with pytest.raises(SystemExit) as exit_:
        main(line)
    assert exit_.value.code == 2
    assert "two/00003.png does not exist" in capsys.readouterr().err
    assert (tmp_path / "show/one.mp4").is_file()


def test_a_sweep_says_how_much_it_would_try(davis, weights, tmp_path, capsys):
    line = f"davis sweep --davis {davis} --weights {weights} --json {tmp_path / 's.json'} --dry-run"
    main([*line.split(), "--layer", "1", "--top-k", "2", "5", "--radius", "1", "2", "3"])
    assert "2 sequences, 1 readings, 6 combinations" in capsys.readouterr().out
    assert not (tmp_path / "s.json").exists()


@pytest.mark.slow
def test_a_sweep_gives_what_single_runs_give(command, davis, weights, tmp_path):
    assert command("run", "--radius", "3", "--top-k", "2") == 0
    expected = json.loads((tmp_path / "out/scores.json").read_text())["J&F-Mean"]
    program = [sys.executable, "-m", "selfpatch", "davis", "sweep", "--davis", davis]
    options = [
        "--weights",
        weights,
        "--json",
        tmp_path / "s.json",
        *SMALL,
        "--radius",
        "1",
        "3",
        "--top-k",
        "2",
        "5",
    ]
    subprocess.run([*map(str, [*program, *options])], check=True, capture_output=True)
    results = json.loads((tmp_path / "s.json").read_text())
    assert [r["J&F-Mean"] for r in results] == sorted(
        (r["J&F-Mean"] for r in results), reverse=True
    )
    (same,) = (
        result["J&F-Mean"]
        for result in results
        if result["settings"]["propagation"]["radius"] == 3
        and result["settings"]["propagation"]["top_k"] == 2
    )
    assert same == expected


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (["--radius", "-1"], "radius from 0"),
        (["--temperature", "0"], "positive temperature"),
        (["--top-k", "0"], "top-k from 1"),
        (["--short-side", "10"], "less than 64 pixels"),
        (["--layer", "2"], "layers 1 to 1, not 2"),
        (["--device", "foo"], "device foo cannot be used"),
        (["--workers", "0"], "0 is less than 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(command, option, sentence, capsys):
    assert command("run", *option) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_masks_are_made_again_where_one_is_missing_or_the_stamp_is_damaged(
    command, tmp_path, capsys
):
    assert command("run") == 0
    hours = json.loads((tmp_path / "out/results.json").read_text())["hours"]
    (tmp_path / "out/one/00002.png").unlink()
    (tmp_path / "out/two/finished.json").write_text('{"fing')
    capsys.readouterr()
    assert command("run") == 0
    assert "finished before" not in capsys.readouterr().out
    assert (tmp_path / "out/one/00002.png").is_file()
    before = json.loads((tmp_path / "out/results.json").read_text())["hours"]
    assert command("run") == 0
    assert json.loads((tmp_path / "out/results.json").read_text())["hours"] == before > 0
    assert hours > 0

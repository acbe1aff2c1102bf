"""The score command: without torch, in several processes, and with any folder of true masks."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from davis_eval import processes
from davis_eval.masks import write_mask
from davis_eval.protocols import has_truth, score_tracks
from davis_eval.scores import ObjectScores
from davis_eval.scoring import score_each
from selfpatch.cli import main
from selfpatch.errors import InputError
from tests import ROOT
from tests.davis_eval.naive import naive_scores
from tests.davis_eval.squares import squares, video


@pytest.fixture
def davis(tmp_path) -> Path:
    """Three videos of squares in DAVIS's layout, and results three pixels beside."""
    for name, count in (("one", 1), ("two", 2), ("three", 3)):
        video(tmp_path, name, squares(5, count), "Annotations/480p")
        video(tmp_path, name, squares(5, count, shift=3), "results")
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    (tmp_path / "ImageSets/2017/val.txt").write_text("one\ntwo\nthree\n")
    return tmp_path


def score(folder: Path, *options: str) -> tuple[int, dict]:
    """Exit status and scores of the command; ``options`` say where the truth is."""
    out = folder / "scores.json"
    try:
        main(["davis", "score", "--results", str(folder / "results"), "--json", str(out), *options])
    except SystemExit as exit_:
        return int(exit_.code or 0), {}
    return 0, json.loads(out.read_text()) if out.exists() else {}


def command(folder: Path, *options: str) -> list[str]:
    line = [sys.executable, "-m", "selfpatch", "davis", "score", "--davis", str(folder)]
    return [*line, "--results", f"{folder}/results", "--json", f"{folder}/scores.json", *options]


def test_scoring_imports_neither_torch_nor_scipy_nor_opencv(davis):
    program = "\n".join([
        "import sys",
        "from selfpatch.cli import main",
        "main(sys.argv[1:])",
        "print(*sys.modules)",
    ])  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, *command(davis, "--workers", "1")[3:]],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    modules = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert {"davis_eval", "numpy", "PIL"} <= modules
    assert not modules & {"torch", "torchvision", "timm", "scipy", "cv2", "mmengine", "rich"}


def test_two_processes_score_as_one_does(davis):
    alone, together = (score(davis, "--davis", str(davis), "--workers", n) for n in "12")
    assert alone == together
    names = ["one_1", "two_1", "two_2", "three_1", "three_2", "three_3"]
    assert list(alone[1]["per_object"]) == names


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_scored(davis, capsys):
    (davis / "results/two/00002.png").write_bytes(b"no image")
    assert score(davis, "--davis", str(davis), "--workers", "2")[0] == 2
    assert "two/00002.png cannot be read as an image" in capsys.readouterr().err
    result = json.loads((davis / "scores.json").read_text())
    assert list(result["per_sequence"]) == ["one", "three"]


def test_no_process_is_started_where_there_is_nothing_to_score(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "prepare", lambda module: pytest.fail("it was"))
    assert score_each(score_tracks, tmp_path, tmp_path, [], workers=2) == ({}, [])


@pytest.fixture
def waiting(davis):
    """The command, while it waits for a mask that a pipe stands for; and the pipe's other end."""
    path = davis / "results/two/00002.png"
    path.unlink()
    os.mkfifo(path)
    program = subprocess.Popen(
        command(davis, "--workers", "2"), cwd=ROOT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    pipe = os.open(path, os.O_WRONLY)  # as soon as someone reads
    yield program, pipe
    os.close(pipe)
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.communicate()


def has_reader(pipe: int) -> bool:
    """Whether a process still waits at the pipe, within some seconds."""
    for _ in range(100):
        try:
            os.write(pipe, b"x")
        except BrokenPipeError:
            return False
        time.sleep(0.05)
    return True


def test_ctrl_c_ends_all_processes_with_one_sentence(waiting):
    program, pipe = waiting
    os.killpg(program.pid, signal.SIGINT)
    assert program.communicate(timeout=20)[1] == "interrupted; what was finished is kept\n"
    assert program.returncode == 130
    assert not has_reader(pipe)


def test_processes_end_with_a_command_that_is_killed(waiting):
    program, pipe = waiting
    program.kill()
    assert not has_reader(pipe)


def test_first_masks_alone_are_nothing_to_score(davis, capsys):
    for path in (davis / "Annotations/480p").rglob("*.png"):
        if path.stem != "00000":
            path.unlink()
    assert score(davis, "--davis", str(davis)) == (0, {})
    assert "3 of 3 sequences have only the masks that tracking is given" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["--davis", "--truth"])
def test_a_first_mask_without_any_object_is_nothing_to_score_either(where, tmp_path, capsys):
    video(tmp_path, "v", [np.zeros((64, 96), dtype=np.uint8)], "Annotations/480p")
    (tmp_path / "results").mkdir()
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    (tmp_path / "ImageSets/2017/val.txt").write_text("v\n")
    truth = {"--davis": tmp_path, "--truth": tmp_path / "Annotations/480p"}[where]
    assert score(tmp_path, where, str(truth)) == (0, {})
    assert "1 of 1 sequences have only the masks that tracking is given" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shown", "truth"),
    [
        (["", "1"], False),
        (["1", "2", "13"], False),
        (["1", "1"], True),
        (["1", ""], True),
        (["1", "12", "2"], True),
    ],
)
def test_a_later_mask_with_no_object_that_is_new_is_truth(shown, truth, tmp_path):
    for number, labels in enumerate(shown):
        row = np.array([0, *map(int, labels)], dtype=np.uint8)
        write_mask(tmp_path / f"{number}.png", row[None])
    assert has_truth(sorted(tmp_path.iterdir())) == truth


def labelled(masks: list[np.ndarray], ids: dict[int, int]) -> list[np.ndarray]:
    """Masks with other labels."""
    table = np.zeros(256, dtype=np.uint8)
    table[list(ids)] = list(ids.values())
    return [table[mask] for mask in masks]


def means(scores: dict[str, ObjectScores]) -> dict[str, tuple[float, float]]:
    return {name: (of.region.mean, of.boundary.mean) for name, of in scores.items()}


def seen_later(truth: list[np.ndarray], results: list[np.ndarray]) -> dict[int, list]:
    """J and F of each object in each frame, as vos-benchmark counts them.

    An object counts from the first frame that shows it in truth or result, first and last frame
    apart.
    """
    values: dict[int, list] = {}
    for true, found in list(zip(truth, results, strict=True))[1:-1]:
        for label in {*np.unique(true).tolist(), *np.unique(found).tolist()} - {0}:
            values.setdefault(label, [])
        for label, of in values.items():
            of.append(naive_scores(true == label, found == label))
    return values


def test_any_folder_of_masks_is_truth_and_any_label_an_object(tmp_path):
    ids = {1: 3, 2: 254, 3: 255}
    truth, results = (labelled(squares(5, 3, shift), ids) for shift in (0, 4))
    for mask in (*truth[:2], *results[:2]):
        mask[mask == 254] = 0  # appears late
    truth[1][truth[1] == 255] = 0  # found too early, which counts
    for mask in (truth[3], results[3]):
        mask[mask == 3] = 0  # hidden, which counts as found
    video(tmp_path, "v", truth, "truth")
    video(tmp_path, "v", results, "results")
    expected = {f"v_{k}": np.mean(of, axis=0) for k, of in seen_later(truth, results).items()}
    found = means(score_tracks(tmp_path / "truth", tmp_path / "results", "v"))
    assert list(found) == ["v_3", "v_254", "v_255"]
    for name, values in found.items():
        assert values == pytest.approx(expected[name], abs=1e-12)
    assert score(tmp_path, "--truth", str(tmp_path / "truth"))[0] == 0
    written = json.loads((tmp_path / "scores.json").read_text())["per_object"]
    assert {name: tuple(of.values()) for name, of in written.items()} == found


def test_frames_without_a_true_mask_do_not_count(tmp_path):
    video(tmp_path, "v", squares(9, 1), "truth")
    video(tmp_path, "v", squares(9, 1, shift=2), "results")
    before = score_tracks(tmp_path / "truth", tmp_path / "results", "v")
    for number in (1, 3, 5, 7):
        (tmp_path / f"truth/v/{number:05d}.png").unlink()
    (tmp_path / "results/v/00003.png").write_bytes(b"never read")
    after = score_tracks(tmp_path / "truth", tmp_path / "results", "v")
    assert after["v_1"].region.mean == pytest.approx(before["v_1"].region.mean)


def test_results_have_the_same_names_whatever_the_case_of_the_truths_suffix(davis):
    for path in list((davis / "Annotations/480p").rglob("*.png")):
        path.rename(path.with_suffix(".PNG"))
    found = score(davis, "--davis", str(davis))
    assert found[0] == 0
    assert score(davis, "--truth", str(davis / "Annotations/480p")) == found


def test_objects_in_folders_of_their_own_may_overlap_and_any_value_but_0_is_the_object(tmp_path):
    """SA-V's masks: a whole and its part, one saved as 0 and 255, the other as 0 and 1."""
    whole, part = squares(5, 1), [mask * (np.arange(96) % 40 < 20) for mask in squares(5, 1)]
    moved = [np.roll(mask, 3, axis=1) for mask in whole]
    for name, masks, value in (("000", whole, 255), ("001", part, 1)):
        for number, mask in enumerate(masks):
            folder = tmp_path / f"truth/v/{name}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((mask * value).astype(np.uint8)).save(folder / f"{number:05d}.png")
        video(tmp_path, f"v/{name}", moved, "results")
    found = means(score_tracks(tmp_path / "truth", tmp_path / "results", "v"))
    for name, masks in (("v_000", whole), ("v_001", part)):
        pairs = list(zip(masks, moved, strict=True))[1:-1]
        expected = np.mean([naive_scores(a > 0, b > 0) for a, b in pairs], axis=0)
        assert found[name] == pytest.approx(tuple(expected), abs=1e-12)


def test_first_masks_of_objects_that_come_one_by_one_are_no_truth(youtube_vos, tmp_path):
    assert score_tracks(youtube_vos / "Annotations", tmp_path / "none", "v") == {}
    again = np.full((64, 96), 2, dtype=np.uint8)
    write_mask(youtube_vos / "Annotations/v/00020.png", again)
    with pytest.raises(InputError, match=r"00015\.png does not exist"):
        score_tracks(youtube_vos / "Annotations", tmp_path / "none", "v")


def test_an_object_that_no_true_mask_shows_is_refused(tmp_path):
    video(tmp_path, "v", squares(5, 1), "truth")
    video(tmp_path, "v", squares(5, 2), "results")
    with pytest.raises(InputError, match=r"results/v holds object 2, but .*truth/v does not"):
        score_tracks(tmp_path / "truth", tmp_path / "results", "v")


def test_the_truth_is_one_folder_and_its_protocol_that_of_all_but_davis(davis, capsys):
    assert score(davis, "--truth", str(davis), "--davis", str(davis))[0] == 2
    assert score(davis)[0] == 2
    assert score(davis, "--truth", str(davis), "--protocol", "single-object")[0] == 2
    assert "--protocol single-object is DAVIS's; name its folder" in capsys.readouterr().err
    assert score(davis, "--truth", str(davis / "ImageSets/2017"))[0] == 2
    assert "2017 holds no video" in capsys.readouterr().err

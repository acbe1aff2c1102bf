"""k-NN, DAVIS and the spread of tokens while a run trains."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from selfpatch.cli import main
from selfpatch.engine.launch import evaluations
from selfpatch.engine.monitoring import effective_rank, mean_similarity
from selfpatch.errors import InputError
from selfpatch.results.file import read_results
from selfpatch.results.scalars import read_scalars
from tests.data.drawn_scenes import draw_scenes
from tests.engine.tiny_pretraining import train


def test_spread_of_tokens_by_hand():
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]])  # cosines 0, -1, 0
    assert mean_similarity(tokens) == pytest.approx(-1 / 3)
    assert effective_rank(torch.eye(4) * 3) == pytest.approx(4.0)
    assert effective_rank(torch.ones(5, 3)) == pytest.approx(1.0, abs=1e-2)


def test_evaluations_are_logged_before_and_during_training(images, real_data, tmp_path):
    shutil.copytree(images, tmp_path / "val")
    hooks = evaluations(knn=(str(images), str(tmp_path / "val")))
    hooks += evaluations(davis=str(davis_excerpt(real_data, tmp_path)))
    train("demo_selfpatch.py", images, tmp_path / "run", hooks=hooks)
    lines = read_scalars(tmp_path / "run")
    knn = [(line["epoch"], line["knn_top1"]) for line in lines if "knn_top1" in line]
    assert [epoch for epoch, _ in knn] == [0, 1, 2]
    assert all(0 <= value <= 100 for _, value in knn)
    davis = [line["davis_j_and_f"] for line in lines if "davis_j_and_f" in line]
    assert len(davis) == 3
    assert all(0 < value < 100 for value in davis)
    spread = [line for line in lines if "token_rank" in line]
    assert all(line["token_rank"] >= 1 and abs(line["token_similarity"]) <= 1 for line in spread)


def davis_excerpt(real_data: Path, folder: Path) -> Path:
    """Four frames of a sequence in DAVIS's layout."""
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        target = folder / "davis" / kind / "480p" / "dog"
        target.mkdir(parents=True)
        for path in sorted((real_data / "davis" / kind / "480p/dog").glob(f"*.{suffix}"))[:4]:
            (target / path.name).symlink_to(path)
    names = folder / "davis/ImageSets/2017"
    names.mkdir(parents=True)
    (names / "val.txt").write_text("dog\n")
    return folder / "davis"


def test_an_image_without_a_class_is_named(images, tmp_path):
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "flat/1.png")
    hooks = evaluations(knn=(str(tmp_path / "flat"), str(images)))
    with pytest.raises(InputError, match=r"1\.png is in no class's folder"):
        train("demo_dino.py", images, tmp_path / "run", hooks=hooks)


def test_probes_are_logged_and_their_results_kept(images, tmp_path):
    scenes = draw_scenes(tmp_path / "scenes")
    line = f"in-context --data {scenes} --classes 3 --size 64 --bank 60 --workers 0"
    train("demo_selfpatch.py", images, tmp_path, hooks=evaluations(probes=[line], interval=2))
    task = "scenes-in-context-64"
    found = [line for line in read_scalars(tmp_path) if f"{task}/mIoU" in line]
    assert [line["epoch"] for line in found] == [0, 2]
    (kept,) = read_results([tmp_path / "probes" / f"{task}.json"]).values()
    assert kept.metrics["mIoU"] == pytest.approx(found[-1][f"{task}/mIoU"])
    assert kept.backbone["method"] == "dino+selfpatch"
    assert not list(tmp_path.glob("probes/*.pth"))


def test_a_probe_that_fails_says_why(images, tmp_path):
    line = f"in-context --data {tmp_path / 'nothing'} --classes 3"
    with pytest.raises(InputError, match=r"`selfpatch probe in-context .* said: error: .*nothing"):
        train("demo_selfpatch.py", images, tmp_path, hooks=evaluations(probes=[line]))


def test_a_wrong_line_ends_the_command_before_anything_is_trained(images, tmp_path, capsys):
    given = [
        "pretrain",
        "demo_selfpatch",
        "--data",
        str(images),
        "--work-dir",
        str(tmp_path / "run"),
    ]
    with pytest.raises(SystemExit) as stopped:
        main([*given, "--probe", "in-kontext --size 64"])
    assert stopped.value.code == 2
    assert "in-kontext" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

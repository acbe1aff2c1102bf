"""k-NN, DAVIS and the spread of tokens while a run trains; images and losses that go wrong."""

import io
import json
import math
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import webdataset
from PIL import Image

from selfpatch.data.images import ImageFiles, read_image
from selfpatch.data.labelled import labelled_pair
from selfpatch.data.shards import ImageShards, open_images
from selfpatch.data.views import MultiViewDataset, View
from selfpatch.engine.launch import evaluations
from selfpatch.engine.monitoring import effective_rank, knn_classify, mean_similarity
from selfpatch.errors import InputError
from tests.tiny_pretraining import CONFIG_OPTIONS, ROOT, command, launch, train


def test_nearest_neighbours_vote_with_their_similarity():
    bank, queries = (F.normalize(torch.randn(n, 5), dim=-1) for n in (12, 7))
    labels = torch.randint(0, 3, (12,))
    predicted = []
    for query in queries:
        similarity = [float(query @ key) for key in bank]
        nearest = sorted(range(12), key=lambda i: -similarity[i])[:4]
        votes = [
            sum(math.exp(similarity[i] / 0.07) for i in nearest if labels[i] == c) for c in range(3)
        ]
        predicted.append(votes.index(max(votes)))
    assert knn_classify(queries, bank, labels, k=4, temperature=0.07).tolist() == predicted


def test_spread_of_tokens_by_hand():
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]])  # cosines 0, -1, 0
    assert mean_similarity(tokens) == pytest.approx(-1 / 3)
    assert effective_rank(torch.eye(4) * 3) == pytest.approx(4.0)
    assert effective_rank(torch.ones(5, 3)) == pytest.approx(1.0, abs=1e-2)


def scalars(work_dir: Path) -> list[dict]:
    (path,) = work_dir.glob("*/vis_data/scalars.json")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_evaluations_are_logged_before_and_during_training(images, real_data, tmp_path):
    hooks = evaluations(knn=(str(images), str(images)))
    hooks += evaluations(davis=str(davis_excerpt(real_data, tmp_path)))
    train("demo_selfpatch.py", images, tmp_path / "run", hooks=hooks)
    lines = scalars(tmp_path / "run")
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


def with_damaged_image(images: Path, folder: Path, copies: int) -> Path:
    """``copies`` times the images, and one that is cut off."""
    folder.mkdir()
    content = sorted(images.rglob("*.png"))[0].read_bytes()
    for copy in range(copies):
        for path in images.rglob("*.png"):
            (folder / f"{copy}-{path.name}").symlink_to(path)
    (folder / "broken.png").write_bytes(content[: len(content) // 2])
    return folder


def test_an_unreadable_image_gives_way_to_the_next_and_is_named(images, tmp_path, caplog):
    folder = with_damaged_image(images, tmp_path / "images", copies=2)
    dataset = MultiViewDataset(str(folder), [View(16, (0.25, 1.0))])
    broken = next(i for i in range(len(dataset)) if "broken" in dataset.images.name(i))
    item, following = dataset[3, broken], dataset[3, (broken + 1) % len(dataset)]
    assert item["views"][0].equal(following["views"][0])
    assert "broken.png cannot be read" in item["unreadable"]
    work_dir = train(
        "demo_dino.py", folder, tmp_path / "run", default_hooks__images__max_share=0.04
    )
    (log,) = work_dir.glob("*/*.log")
    assert log.read_text().count("broken.png cannot be read") == 1


def test_too_many_unreadable_images_stop_the_run(images, tmp_path):
    folder = with_damaged_image(images, tmp_path / "images", copies=1)
    line = command("demo_dino.py", folder, tmp_path / "run", CONFIG_OPTIONS["demo_dino.py"])
    process = launch(line)
    errors = process.communicate()[1].strip().splitlines()
    assert process.returncode == 2
    assert "1 of 15 images cannot be read, more than" in errors[-1]
    assert "broken.png" in errors[-1]


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


def test_a_loss_that_is_not_finite_stops_the_run_and_is_explained(images, tmp_path, monkeypatch):
    from selfpatch.objectives.selfpatch import SelfPatchLoss

    calls = iter(range(100))
    forward = SelfPatchLoss.forward
    monkeypatch.setattr(
        SelfPatchLoss,
        "forward",
        lambda *args: forward(*args) * (math.nan if next(calls) == 2 else 1),
    )
    with pytest.raises(InputError, match=r"patch_loss is nan at iteration 2 of epoch 1 on .*\.png"):
        train("demo_selfpatch.py", images, tmp_path)
    saved = torch.load(tmp_path / "non_finite_iter_2_rank_0.pth", weights_only=True)
    assert math.isnan(saved["losses"]["patch_loss"])
    assert math.isfinite(saved["losses"]["cls_loss"])
    assert len(saved["path"]) == len(saved["views"][0]) == 4
    assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_curves_are_drawn_of_several_runs(images, tmp_path):
    for config in ("demo_dino.py", "demo_selfpatch.py"):
        train(config, images, tmp_path / config)
    line = [sys.executable, "tools/curves.py", str(tmp_path / "demo_dino.py")]
    line += [str(tmp_path / "demo_selfpatch.py"), "--out", str(tmp_path / "c.png")]
    subprocess.run(line, cwd=ROOT, check=True)
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size == (990, 572)  # image and patch loss, similarity and rank
    line[2] = str(tmp_path)
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "holds no" in done.stderr


def test_classes_are_the_first_folders_however_the_root_is_written(images):
    bank, _ = labelled_pair(f"{images}//", str(images), 16)
    assert sorted(set(bank.labels)) == [0, 1]


def test_whatever_pillow_raises_names_the_image(tmp_path):
    Image.new("1", (14000, 14000)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"bomb\.png cannot be read as an image"):
        read_image(tmp_path / "bomb.png")

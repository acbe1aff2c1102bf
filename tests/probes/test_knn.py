"""k-NN of a finished backbone, as a command and when a finished run is resumed."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from selfpatch.cli import main
from selfpatch.engine.launch import evaluations
from selfpatch.probes.knn import knn_classify
from selfpatch.results.scalars import read_scalars
from tests.engine.tiny_pretraining import train
from tests.fake_gpu import fake_gpu, images


@pytest.fixture
def classes(tmp_path):
    """Two folders of noise around two colours, which any weights tell apart."""
    chance = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 3)):
        for name, color in (("dark", 40), ("light", 200)):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = chance.integers(-20, 20, (32, 32, 3)) + color
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path


def test_a_backbone_is_judged_by_its_neighbours(classes, tmp_path, capsys):
    weights = str(tmp_path / "b.safetensors")
    main(["export", "random:vit_tiny", weights, "--seed", "3", "--json"])
    made = json.loads(capsys.readouterr().out)["backbone"]
    assert (made["method"], made["seed"]) == ("random", 3)
    folders = ["--train", str(classes / "train"), "--val", str(classes / "val")]
    line = ["knn", "--weights", weights, *folders, "--size", "32", "--k", "3", "--workers", "0"]
    main([*line, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["knn_top1"] == 100.0
    assert (found["images"], found["bank"], found["k"]) == (6, 10, 3)
    assert found["backbone"]["fingerprint"] == made["fingerprint"]
    # The other way round, every label is wrong.
    (classes / "val/dark").rename(classes / "val/x")
    (classes / "val/light").rename(classes / "val/dark")
    (classes / "val/x").rename(classes / "val/light")
    main(line)
    assert "0.00 % of 6 images" in capsys.readouterr().out


def test_random_weights_are_those_of_their_seed(tmp_path, capsys):
    prints = []
    for number, seed in enumerate(("1", "1", "2")):
        main(["export", "random:vit_tiny", str(tmp_path / f"{number}.safetensors"), "--seed", seed])
        prints.append(capsys.readouterr().out.splitlines()[0].rpartition(" ")[2])
    assert prints[0] == prints[1] != prints[2]


def test_a_finished_run_is_evaluated_when_it_is_resumed(classes, images, tmp_path):
    out = train("demo_dino.py", images, tmp_path / "run")
    knn = evaluations(knn=(str(classes / "train"), str(classes / "val")))
    train("demo_dino.py", images, out, resume=True, hooks=knn)
    (found,) = [line["knn_top1"] for line in read_scalars(out) if "knn_top1" in line]
    assert 0 <= found <= 100


def test_neighbours_vote_where_the_vectors_are():
    with fake_gpu():
        labels = torch.zeros(6, dtype=torch.int64, device="cuda")
        found = knn_classify(images(4, 8), images(6, 8), labels, 3, k=2, temperature=0.07)
    assert found.device.type == "cuda"

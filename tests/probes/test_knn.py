"""k-NN of a finished backbone, as a probe and when a finished run is resumed."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from selfpatch.cli import main
from selfpatch.data.labelled import labelled_pair
from selfpatch.engine.launch import evaluations
from selfpatch.errors import InputError
from selfpatch.probes.knn import knn_accuracy, knn_classes
from selfpatch.results.file import read_results
from selfpatch.results.scalars import read_scalars
from tests.engine.tiny_pretraining import train
from tests.fake_gpu import fake_gpu, images
from tests.probes.drawn_classes import draw_classes


@pytest.fixture
def classes(tmp_path):
    """Two folders of noise around two colours."""
    return draw_classes(tmp_path / "tones", {"train": 5, "val": 3}, ("dark", "light"))


@pytest.fixture
def line(classes, tmp_path):
    """The probe of a random backbone on them."""
    weights = str(tmp_path / "b.safetensors")
    main(["export", "random:vit_tiny", weights, "--seed", "3"])
    folders = ["--train", str(classes / "train"), "--val", str(classes / "val")]
    return ["probe", "knn", "--weights", weights, *folders, "--size", "32", "--workers", "0"]


def test_a_backbone_is_judged_by_its_neighbours(classes, line, tmp_path, capsys):
    capsys.readouterr()
    main([*line, "--k", "3", "5", "--json", "--out", str(tmp_path / "result.json")])
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "tones-knn-32"
    assert (found["3-NN"], found["5-NN"], found["images"]) == (100.0, 100.0, 6)
    (result,) = read_results([tmp_path / "result.json"]).values()
    assert result.metrics == {"3-NN": 100.0, "5-NN": 100.0}
    assert (result.settings["training images"], result.settings["temperature"]) == (10, 0.07)
    # The other way round, every label is wrong.
    (classes / "val/dark").rename(classes / "val/x")
    (classes / "val/light").rename(classes / "val/dark")
    (classes / "val/x").rename(classes / "val/light")
    main([*line, "--k", "3"])
    assert "tones-knn-32: 3-NN 0.00 (6 images" in capsys.readouterr().out


def test_what_cannot_be_classified_is_refused(classes, line, capsys):
    for change, sentence in (
        (["--k", "11"], "--k 11 is more than the 10 images in"),
        (["--size", "8"], "less than a patch of 16"),
        (["--train", str(classes / "none")], "none does not exist"),
        (["--val", str(classes / "val/dark")], "dark/0.png is in no class's folder"),
        (["--train", str(classes / "val"), "--val", str(classes)], "classes without training"),
    ):
        with pytest.raises(SystemExit):
            main([*line, "--k", "3", *change])
        assert sentence in capsys.readouterr().err


def test_each_of_several_k_and_the_first_five_are_those_of_a_loop(tmp_path):
    draw_classes(tmp_path, {"train": 20, "val": 10}, ("dark", "light"))
    bank, queries = labelled_pair(str(tmp_path / "train"), str(tmp_path / "val"), 16)
    generator = torch.Generator().manual_seed(1)
    bank.num_classes = 7
    bank.labels, queries.labels = (
        torch.randint(0, 7, (count,), generator=generator).tolist() for count in (40, 20)
    )
    random = torch.randn(3 * 16 * 16, 4, generator=generator)

    def summaries(batch):
        pixels = batch.flatten(1).float()
        return (pixels - pixels.mean(1, keepdim=True)) @ random

    found = knn_accuracy(summaries, bank, queries, (1, 6, 40), temperature=0.1, batch=3)
    own, others = (
        F.normalize(summaries(torch.stack([images[i][0] for i in range(len(images))])), dim=-1)
        for images in (bank, queries)
    )
    for k in (1, 6, 40):
        firsts = fives = 0
        for query, label in zip(others, queries.labels, strict=True):
            similarity = [float(query @ key) for key in own]
            nearest = sorted(range(40), key=lambda i: -similarity[i])[:k]
            votes = dict.fromkeys((bank.labels[i] for i in nearest), 0.0)
            for i in nearest:
                votes[bank.labels[i]] += math.exp(similarity[i] / 0.1)
            order = sorted(votes, key=lambda c: -votes[c])
            firsts, fives = firsts + (order[0] == label), fives + (label in order[:5])
        shares = (found[f"{k}-NN"], found[f"{k}-NN top-5"])
        assert shares == pytest.approx((5 * firsts, 5 * fives))


def test_a_class_without_a_vote_is_none_of_the_first_five():
    found = knn_classes(torch.tensor([[0.9, 0.1]]), torch.tensor([[4, 2]]), 6, 0.07)
    assert found.tolist() == [[4, 2, -1, -1, -1]]


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
        labels = torch.zeros(4, 2, dtype=torch.int64, device="cuda")
        found = knn_classes(images(4, 2), labels, 3, temperature=0.07)
    assert found.device.type == "cuda"


def test_small_temperatures_leave_the_nearest_the_greatest_vote():
    similarity, labels = torch.tensor([[0.999, 0.90, 0.899]]), torch.tensor([[3, 1, 1]])
    for temperature in (0.07, 0.01, 0.001):
        assert knn_classes(similarity, labels, 6, temperature)[0, :2].tolist() == [3, 1]


def test_images_that_vote_and_are_classified_are_refused(tmp_path):
    drawn = tmp_path / "a"
    (drawn / "c").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(drawn / "c/0.png")
    with pytest.raises(InputError, match=r"0.png is among the images that are learned from and"):
        labelled_pair(str(drawn), str(drawn), 16)

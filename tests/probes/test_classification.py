"""Linear classification: against L-BFGS and a trunk that is cut off, and what chooses what."""

import copy
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.optimize import minimize
from torchvision.transforms.v2 import functional

from selfpatch.cli import main
from selfpatch.data.draws import Recipe, View
from selfpatch.data.labelled import RandomCrops, labelled_pair
from selfpatch.errors import InputError
from selfpatch.models.heads import AggregationHead
from selfpatch.models.networks import features_of, image_token
from selfpatch.models.trunks import build_trunk
from selfpatch.probes.classification import (
    Training,
    linear_classification,
    parts_of,
    readings,
    scores,
    statistics,
    train,
)
from selfpatch.probes.linear import split_off
from selfpatch.results.file import read_results
from tests.probes.drawn_classes import draw_classes

READ = {"one": [0], "both": [0, 1]}


def overlapping(count=90):
    """Three classes that no line divides, in two parts of three channels: features, labels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    middles = torch.randn(3, 6, generator=generator)
    features = middles[labels] + 1.5 * torch.randn(count, 6, generator=generator)
    return (5 + 3 * features).view(count, 1, 2, 3), labels


def test_classifiers_reach_what_lbfgs_finds():
    features, labels = overlapping()
    how = Training(epochs=800, batch=len(labels))
    grid = dict.fromkeys(READ, (1e-4, 0.3))
    models = train(features, labels, torch.arange(len(labels)), READ, grid, 3, how)
    for name, parts in READ.items():
        seen = features[:, 0, parts].flatten(1).double()
        seen = (seen - seen.mean(0)) / seen.std(0, correction=0)

        def loss(flat, seen=seen):
            weights = torch.tensor(flat, requires_grad=True)
            matrix = weights.view(3, -1)
            value = F.cross_entropy(seen @ matrix[:, :-1].T + matrix[:, -1], labels)
            return value.item(), torch.autograd.grad(value, weights)[0].numpy()

        best = minimize(loss, np.zeros(3 * (seen.shape[1] + 1)), jac=True, method="L-BFGS-B")
        slow, fast = scores(models[name], features[:, 0, parts], labels)
        assert fast.loss == pytest.approx(best.fun, abs=1e-4)
        assert slow.loss > best.fun + 0.01
        matrix = torch.tensor(best.x).view(3, -1)
        predicted = (seen @ matrix[:, :-1].T + matrix[:, -1]).argmax(1)
        assert fast.top1 == pytest.approx(100 * (predicted == labels).float().mean().item())


def test_features_are_normalised_over_the_images_that_are_learned_from():
    features = torch.randn(7, 3, 2, 4, generator=torch.Generator().manual_seed(0)) * 5 + 2
    mean, std = statistics(features, torch.tensor([0, 2, 5]), batch=2)
    own = features[[0, 2, 5]].flatten(0, 1)
    torch.testing.assert_close(mean, own.mean(0))
    torch.testing.assert_close(std, own.std(0, correction=0))


def test_epochs_take_the_crops_of_an_image_in_turn():
    features, labels = overlapping()
    crops = torch.cat([features, 2 * features + 1], 1)
    how, numbers = Training(epochs=2, batch=len(labels)), torch.arange(len(labels))
    model = train(crops, labels, numbers, READ, {"one": (0.1,)}, 3, how)["one"]
    weights, moved = torch.zeros(3, 4), torch.zeros(3, 4)
    for crop, rate in enumerate((0.1, 0.05)):  # along half a cosine
        seen = (crops[:, crop, 0] - model.mean) / model.std
        weights.requires_grad_()
        F.cross_entropy(seen @ weights[:, :-1].T + weights[:, -1], labels).backward()
        moved = 0.9 * moved + weights.grad
        weights = (weights - rate * moved).detach()
    torch.testing.assert_close(model.layers[0].weight, weights[:, :-1])
    torch.testing.assert_close(model.std, crops[:, :, 0].flatten(0, 1).std(0, correction=0))


@pytest.mark.parametrize(
    "prefix", [{}, {"class_token": True, "num_registers": 2, "final_norm": True}]
)
def test_the_parts_are_the_tokens_of_trunks_that_end_earlier(prefix):
    trunk = build_trunk("vit_tiny", depth=6, **prefix).eval()
    images = torch.randn(2, 3, 48, 64)
    with torch.no_grad():
        found = parts_of(trunk, None, images)
        for part, depth in enumerate((3, 4, 5, 6)):
            shorter = copy.deepcopy(trunk)
            del shorter.blocks[depth:]
            torch.testing.assert_close(found[:, part], image_token(shorter, shorter(images)))
        patches = trunk.norm(trunk(images)[:, trunk.num_prefix_tokens :]).mean(1)
    torch.testing.assert_close(found[:, -1], patches)
    names = ["last", "last 4", "last and patches", "last 4 and patches"]
    assert list(readings(trunk, None)) == names[: 4 if prefix else 2]
    assert max(max(parts) for parts in readings(trunk, None).values()) == found.shape[1] - 1


def test_the_last_part_of_selfpatch_is_its_summary_and_other_trunks_have_one_layer():
    trunk, images = build_trunk("vit_tiny", depth=5).eval(), torch.randn(2, 3, 48, 48)
    head = AggregationHead(trunk.embed_dim, 3).eval()
    with torch.no_grad():
        found, summary = parts_of(trunk, head, images), features_of(trunk, head, images)[0]
    torch.testing.assert_close(found[:, 3], summary)
    assert found.shape[1] == 5
    assert readings(trunk, head)["last and patches"] == [3, 4]
    swin = build_trunk("swin_tiny", depths=[1, 1, 1, 1]).eval()
    with torch.no_grad():
        found = parts_of(swin, None, torch.randn(1, 3, 64, 64))
    assert found.shape == (1, len(readings(swin, None)), swin.embed_dim) == (1, 1, 768)


@pytest.fixture
def classes(tmp_path):
    return draw_classes(tmp_path / "tones", {"train": 8, "val": 3}, ("dark", "light", "red"))


def middle(images):
    """The mean colour of each image, and half of it, in the place of a trunk's tokens."""
    colours = images.float().mean((2, 3))
    return torch.stack([colours, colours / 2], 1)


def pair(classes):
    return labelled_pair(str(classes / "train"), str(classes / "val"), 16)


@pytest.mark.parametrize("crops", [0, 3])
def test_the_rate_is_chosen_without_the_validation_images(classes, crops):
    training, validation = pair(classes)
    how = Training(rates=(1e-9, 0.1), epochs=30, batch=8, held_out=0.25, crops=crops)
    score, chosen = linear_classification(middle, READ, training, validation, how, 4)
    assert (score.top1, chosen.rate, chosen.held_out) == (100.0, 0.1, 100.0)
    validation.labels = [(label + 1) % 3 for label in validation.labels]
    score, again = linear_classification(middle, READ, training, validation, how, 4)
    assert (score.top1, again) == (0.0, chosen)


def test_the_chosen_one_learns_from_the_images_that_were_held_out(classes):
    training, validation = pair(classes)
    how = Training(rates=(0.1,), epochs=60, batch=32, held_out=1 / 3)
    seen, held_out = split_off(24, how.held_out, how.seed)
    files, labels = training.files, training.labels
    order = {place: n for n, place in enumerate([*seen, *held_out])}  # red images come last
    training.files, training.labels = (
        [own[order[n]] for n in range(24)] for own in (files, labels)
    )
    learned = []

    def watched(images):
        learned.append(len(images))
        return middle(images)

    score, chosen = linear_classification(watched, READ, training, validation, how, 32)
    assert (score.top1, chosen.held_out) == (100.0, 0.0)
    assert learned == [24, 9]  # each image once, and none twice for its being held out


def test_crops_depend_on_seed_and_image_alone(classes):
    training, _ = pair(classes)
    one, again, other = (RandomCrops(training, 4, seed)[5][0] for seed in (0, 0, 1))
    assert one.shape == (4, 3, 16, 16)
    assert one.equal(again)
    assert not one.equal(other)
    assert not one[0].equal(one[1])
    assert not one.equal(RandomCrops(training, 4, 0)[6][0])


def test_crops_are_torchvisions_and_half_of_them_are_mirrored(classes):
    training, _ = pair(classes)
    found, label = RandomCrops(training, 40, seed=3)[7]
    image = Image.open(training.files[7])
    boxes, _ = Recipe([View(16, (0.08, 1.0))] * 40).draw((3, 7), 32, 32)
    for crop, (*box, flip) in zip(found, zip(*boxes, strict=True), strict=True):
        own = functional.resized_crop(image, *map(int, box), [16, 16])
        own = functional.hflip(own) if flip else own
        assert crop.equal(functional.pil_to_tensor(own))
    assert label == training.labels[7]
    assert 10 < boxes.flip.sum() < 30


def test_a_single_training_image_is_too_few(tmp_path):
    draw_classes(tmp_path, {"train": 1, "val": 1}, ("dark",))
    with pytest.raises(InputError, match="too few to hold some out"):
        linear_classification(middle, READ, *pair(tmp_path), Training())


def test_the_probe_writes_what_it_found(classes, tmp_path, capsys):
    weights = str(tmp_path / "b.safetensors")
    main(["export", "random:vit_tiny", weights])
    capsys.readouterr()
    line = ["probe", "classification", "--weights", weights, "--train", str(classes / "train")]
    line += ["--val", str(classes / "val"), "--size", "32", "--workers", "0", "--epochs", "20"]
    main([*line, "--json", "--out", str(tmp_path / "result.json")])
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["top-1"], found["top-5"]) == ("tones-classification-32", 100, None)
    assert found["read"] in ("last", "last 4")
    (result,) = read_results([tmp_path / "result.json"]).values()
    assert result.metrics == {"top-1": 100.0, "top-5": None}
    assert (result.settings["epochs"], result.settings["crops"]) == (20, 0)

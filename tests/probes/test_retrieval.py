"""Retrieval: metrics against loops and by hand, the ground truth's door, the probe itself."""

import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from selfpatch.backbones.pickles import unpickle_arrays
from selfpatch.cli import main
from selfpatch.data.retrieval import Shrunk, landmarks, truth_file
from selfpatch.errors import InputError
from selfpatch.probes.retrieval import at_scales, leave_one_out, query_scores, revisited_metrics
from selfpatch.results.file import read_results
from tests.probes.drawn_classes import draw_classes


def looped_scores(order, wanted, passed_over):
    """Area under the line of precision over recall, and precisions, image by image."""
    seen = hits = 0
    area, last = 0.0, 0
    right = []
    for image in order:
        if image in passed_over:
            continue
        seen += 1
        right.append(image in wanted)
        if right[-1]:
            before = hits / (seen - 1) if seen > 1 else 1.0
            hits += 1
            area += (before + hits / seen) / 2 / len(wanted)
            last = seen
    depths = [min(depth, last) for depth in (1, 5, 10)]
    return [area, *(sum(right[:depth]) / depth for depth in depths)]


def test_scores_of_a_query_by_hand():
    # Image 3 is junk; of the others 0 and 2 are wanted, at the second and the third place.
    found = query_scores(np.array([1, 3, 0, 2, 4]), np.array([0, 2]), np.array([3]))
    # Trapezoids of (0 + 1/2) / 2 and (1/2 + 2/3) / 2; nothing is wanted behind the third place.
    assert found == pytest.approx([(0.25 + 7 / 12) / 2, 0, 2 / 3, 2 / 3])


def test_scores_are_those_of_a_loop():
    chance = np.random.default_rng(0)
    for _ in range(50):
        order, kinds = chance.permutation(30), chance.integers(0, 4, 30)
        wanted, passed_over = np.nonzero(kinds == 0)[0], np.nonzero(kinds == 1)[0]
        found = query_scores(order, wanted, passed_over)
        assert found == pytest.approx(looped_scores(order, wanted, passed_over))


def test_levels_differ_in_what_is_wanted_and_queries_without_it_do_not_count():
    none = np.zeros(0, dtype=np.int64)
    easy, hard, junk = np.array([0]), np.array([1]), np.array([2])
    related = [
        {"easy": easy, "hard": none, "junk": junk},
        {"easy": easy, "hard": hard, "junk": junk},
    ]
    ranks = np.array([[2, 0, 3, 1], [3, 0, 2, 1]])
    found = revisited_metrics(ranks, related)
    assert list(found)[:4] == ["mAP-M", "mAP-H", "mAP-E", "mP@1-M"]
    # The second query finds its hard image at the second place, since the easy one does not count.
    assert found["mAP-H"] == pytest.approx(100 * 0.25)
    assert found["mAP-E"] == pytest.approx(100 * (1 + 0.25) / 2)
    assert found["mP@1-E"] == pytest.approx(50)
    assert revisited_metrics(ranks[:1], related[:1])["mAP-H"] is None


def looped_leave_one_out(vectors, labels):
    """mAP@R and Recall@1 in percent, query by query."""
    averages, firsts = [], []
    for query in range(len(labels)):
        others = [i for i in range(len(labels)) if i != query]
        others.sort(key=lambda i: -float(vectors[i] @ vectors[query]))
        r = sum(labels[i] == labels[query] for i in others)
        if not r:
            continue
        right = [bool(labels[i] == labels[query]) for i in others[:r]]
        averages.append(sum(sum(right[: i + 1]) / (i + 1) * right[i] for i in range(r)) / r)
        firsts.append(right[0])
    return {"MAP@R": 100 * np.mean(averages), "Recall@1": 100 * np.mean(firsts)}


def test_leaving_one_out_is_what_a_loop_finds(monkeypatch):
    monkeypatch.setattr("selfpatch.probes.retrieval.QUERIES", 7)
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 9 + [1] * 4 + [2] * 2 + [3])  # the last one is alone
    vectors = F.normalize(torch.randn(16, 5, generator=generator), dim=-1)
    assert leave_one_out(vectors, labels) == pytest.approx(looped_leave_one_out(vectors, labels))


def test_an_image_is_never_found_by_itself():
    # All are equal, so that an image may come after all others in its own order.
    vectors, labels = torch.tensor([[1.0, 0.0]]).repeat(6, 1), torch.arange(6) // 2
    found = leave_one_out(vectors, labels)
    others = leave_one_out(vectors, torch.zeros(6, dtype=torch.int64))
    assert found["Recall@1"] < 100
    assert others == {"MAP@R": 100, "Recall@1": 100}
    with pytest.raises(InputError, match="no class has two images"):
        leave_one_out(vectors, torch.arange(6))


def test_scales_are_the_mean_of_three_sizes():
    found = at_scales(lambda own: own.mean((2, 3)) + own.shape[-1], torch.full((1, 3, 64, 64), 0.5))
    torch.testing.assert_close(found, torch.full((1, 3), 0.5 + (64 + 45 + 32) / 3))


NAMES = ("a_1", "a_2", "b_1", "b_2")
TRUTH: dict[str, Any] = {
    "imlist": list(NAMES),
    "qimlist": ["a", "b"],
    "gnd": [
        {"bbx": [0.0, 0.0, 20.0, 32.0], "easy": [0], "hard": [1], "junk": []},
        {"bbx": np.array([4.2, 1, 32, 30]), "easy": np.array([2]), "hard": [3], "junk": [0]},
    ],
}


@pytest.fixture
def revisited(tmp_path):
    """Two landmarks, dark ones and light ones, in the layout of revisited Oxford."""
    folder = tmp_path / "roxford5k"
    (folder / "jpg").mkdir(parents=True)
    chance = np.random.default_rng(0)
    for name in (*NAMES, "a", "b"):
        pixels = chance.integers(0, 40, (32, 48, 3)) + (200 if name.startswith("b") else 0)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "jpg" / f"{name}.jpg")
    (folder / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(TRUTH, protocol=2))
    return folder


def test_images_are_cut_and_shrunk_and_never_enlarged(revisited):
    data = landmarks(TRUTH, revisited / "gnd_roxford5k.pkl")
    assert data.names() == [*NAMES, "a", "b"]
    whole, cut, large = (
        Shrunk(files, size, boxes)[0][0]
        for files, size, boxes in (
            (data.images, 24, None), (data.queries, 24, data.boxes), (data.images, 100, None)
        )
    )  # fmt: skip
    assert [tuple(own.shape) for own in (whole, cut, large)] == [
        (3, 16, 24), (3, 24, 15), (3, 32, 48)
    ]  # fmt: skip
    with pytest.raises(InputError, match="shrunk to 24x16 pixels, and a side needs 17"):
        Shrunk(data.images, 24, least=17)[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"gnd": TRUTH["gnd"][:1]}, "has 2 queries and truth of 1"),
        ({"imlist": ["a_1"]}, "names images beyond the 1 that it lists"),
        ({"imlist": [*NAMES, "c", "d"]}, "c.jpg is missing, as are 1 more"),
        ({"gnd": [{"bbx": [0, 0, 1, 1]}] * 2}, r"no ground truth .* \('easy'\)"),
        ({"gnd": [{**TRUTH["gnd"][0], "bbx": [5, 0, 1, 1]}] * 2}, "a box"),
        ({"gnd": [{**TRUTH["gnd"][0], "easy": ["x"]}] * 2}, "numbers of images of type"),
        ({"gnd": 3}, "no ground truth of revisited Oxford or Paris"),
    ],
)
def test_ground_truth_that_does_not_fit_is_refused(revisited, change, sentence):
    with pytest.raises(InputError, match=sentence):
        landmarks({**TRUTH, **change}, revisited / "gnd_roxford5k.pkl")


def test_ground_truth_runs_nothing(revisited):
    file = truth_file(revisited)
    found = landmarks(unpickle_arrays(file, "ground truth"), file)
    assert [own["easy"].tolist() for own in found.related] == [[0], [2]]
    file.write_bytes(b"cos\nsystem\n(S'echo'\ntR.")
    with pytest.raises(InputError, match=r"no.* a safe ground truth: it wants to run os\.system"):
        unpickle_arrays(file, "ground truth")
    (revisited / "gnd_other.pkl").touch()
    with pytest.raises(InputError, match="has several files"):
        truth_file(revisited)


@pytest.fixture
def weights(tmp_path):
    main(["export", "random:vit_tiny", str(tmp_path / "b.safetensors")])
    return str(tmp_path / "b.safetensors")


@pytest.mark.parametrize("how", [[], ["--multiscale", "--whole-queries"]])
def test_landmarks_that_any_weights_tell_apart_are_found(revisited, weights, tmp_path, capsys, how):
    capsys.readouterr()
    line = ["probe", "retrieval", "--weights", weights, "--revisited", str(revisited)]
    out = ["--json", "--out", str(tmp_path / "result.json")]
    main([*line, "--size", "48", "--workers", "0", *out, *how])
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["images"], found["queries"]) == ("roxford5k-retrieval-48", 6, 2)
    assert (found["mAP-M"], found["mAP-E"], found["mP@1-H"]) == (100, 100, 100)
    (result,) = read_results([tmp_path / "result.json"]).values()
    assert result.settings["whole queries"] is bool(how)


def test_images_of_a_class_find_each_other(weights, tmp_path, capsys):
    draw_classes(tmp_path, {"tones": 3}, ("dark", "light", "red"))
    folder = str(tmp_path / "tones")
    line = ["probe", "retrieval", "--weights", weights, "--workers", "0", "--size", "32"]
    capsys.readouterr()
    main([*line, "--data", folder])
    assert "tones-retrieval-32: MAP@R 100.00, Recall@1 100.00 (9 images" in capsys.readouterr().out
    for change, sentence in (
        (["--data", folder, "--whole-queries"], "--whole-queries is for --revisited"),
        (["--data", folder, "--size", "20", "--multiscale"], "half of --size 20"),
        (["--revisited", folder], "has no file gnd_NAME.pkl"),
        (["--data", folder + "/dark"], "is in no class's folder"),
    ):
        with pytest.raises(SystemExit):
            main([*line, *change])
        assert sentence in capsys.readouterr().err

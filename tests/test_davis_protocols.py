"""The other protocols and layouts: by hand, and against loops over all assignments."""

import itertools
import json
import multiprocessing
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from davis_eval.__main__ import main
from davis_eval.features import Reading, extract, feature_maps, network_size, resolved, stride
from davis_eval.keypoints import joint_labels, locate, pck, read_video, video_names
from davis_eval.propagation import Propagation, propagate
from davis_eval.protocols import score_single_object, score_unsupervised
from davis_eval.run import Settings, new_objects, segment
from davis_eval.scores import score, summary
from davis_eval.sequences import find_youtube_vos_sequence, read_mask, write_mask, youtube_vos_names
from davis_eval.workers import Job, segment_all
from selfpatch import build_vit
from selfpatch.checkpoint import BackboneInfo, save_backbone
from selfpatch.errors import InputError
from selfpatch.models.trunks import build_trunk, trunk_from

SIZE = (64, 96)


def video(root: Path, name: str, masks: list[np.ndarray], annotations: str) -> None:
    for number, mask in enumerate(masks):
        write_mask(root / annotations / name / f"{number:05d}.png", mask)


def squares(num_frames: int, num_objects: int, shift: int = 0) -> list[np.ndarray]:
    masks = []
    for step in range(num_frames):
        mask = np.zeros(SIZE, dtype=np.uint8)
        for k in range(1, num_objects + 1):
            mask[20 * k - 18 : 20 * k, 4 + 6 * step + shift : 30 + 6 * step + shift] = k
        masks.append(mask)
    return masks


def test_a_single_object_is_all_objects_together(tmp_path):
    truth, result = squares(5, 2), squares(5, 1, shift=3)
    video(tmp_path, "v", truth, "Annotations/480p")
    video(tmp_path, "v", result, "results")
    found = score_single_object(tmp_path, tmp_path / "results", ["v"])
    merged = tmp_path / "merged"
    video(merged, "v", [(mask > 0).astype(np.uint8) for mask in truth], "Annotations/480p")
    assert found == score(merged, tmp_path / "results", ["v"])


def test_proposals_are_assigned_as_the_best_permutation_would(tmp_path):
    truth = squares(6, 3)
    shuffled = [np.select([m == 1, m == 2, m == 3], [3, 1, 2], 0).astype(np.uint8) for m in truth]
    for number, mask in enumerate(shuffled):
        mask[:, :10] = 0
        mask[60:, 60:] = 4 + number % 2  # two proposals nobody asked for
    truth[2][0] = 255
    video(tmp_path, "v", truth, "Annotations_unsupervised/480p")
    video(tmp_path, "v", shuffled, "results")
    found = score_unsupervised(tmp_path, tmp_path / "results", ["v"])
    best = summary(found)["J&F-Mean"]
    totals = []
    for choice in itertools.permutations(range(1, 6), 3):
        relabelled = tmp_path / "".join(map(str, choice))
        masks = [
            np.select([m == c for c in choice], [1, 2, 3], 0).astype(np.uint8) for m in shuffled
        ]
        video(relabelled, "v", masks, "results")
        same = score_unsupervised(tmp_path, relabelled / "results", ["v"])
        totals.append(summary(same)["J&F-Mean"])
    assert max(totals) == pytest.approx(best)
    assert found["v_1"].region.mean > 0.5


def test_too_many_proposals_are_refused(tmp_path):
    video(tmp_path, "v", squares(3, 1), "Annotations_unsupervised/480p")
    many = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint8) % 25
    video(tmp_path, "v", [many.astype(np.uint8)] * 3, "results")
    with pytest.raises(InputError, match="24 proposals; 20 are allowed"):
        score_unsupervised(tmp_path, tmp_path / "results", ["v"])


def test_an_object_that_appears_later_is_followed_from_there():
    """Every patch differs from the others and stays: labels must stay where they were given."""
    features = torch.eye(20).view(4, 5, -1)
    first = torch.zeros(3, 4, 5)
    first[0], first[0, 0, 0], first[1, 0, 0] = 1, 0, 1
    new = torch.zeros(3, 4, 5)
    new[2, 3, 4] = 1
    frames = propagate([features] * 12, first, Propagation(context_frames=2, top_k=1), {4: new})
    for number, soft in enumerate(frames, start=1):
        assert soft[1].nonzero().tolist() == [[0, 0]]
        assert soft[2].nonzero().tolist() == ([[3, 4]] if number >= 4 else [])


def test_only_objects_not_seen_before_are_new():
    one, both = np.array([[0, 1]]), np.array([[2, 1]])
    found = new_objects({0: one, 3: one, 7: both, 9: both})
    assert {number: mask.tolist() for number, mask in found.items()} == {7: [[2, 0]]}


@pytest.fixture
def youtube_vos(tmp_path) -> Path:
    """A video whose second object has its first mask in frame 3; frames are 5 apart."""
    masks = squares(6, 2)
    for number in range(6):
        path = tmp_path / f"data/JPEGImages/v/{5 * number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.repeat(masks[number][..., None] * 80, 3, axis=2)).save(path)
    folder = tmp_path / "data/Annotations/v"
    write_mask(folder / "00000.png", np.where(masks[0] == 1, 1, 0).astype(np.uint8))
    write_mask(folder / "00015.png", np.where(masks[3] == 2, 2, 0).astype(np.uint8))
    return tmp_path / "data"


def test_youtube_vos_videos_are_segmented(youtube_vos, tmp_path):
    assert youtube_vos_names(youtube_vos) == ["v"]
    sequence = find_youtube_vos_sequence(youtube_vos, "v")
    assert [number for number, _ in sequence.given()] == [0, 3]
    backbone = build_vit("vit_tiny", depth=1, patch_size=8, image_size=64).eval()
    segment(backbone, sequence, tmp_path / "out", Settings(reading=Reading(short_side=64)))
    labels = [
        set(np.unique(read_mask(tmp_path / f"out/v/{5 * n:05d}.png"))) - {0} for n in range(6)
    ]
    assert all(2 not in found for found in labels[:3])
    assert 2 in labels[3]


@pytest.mark.parametrize(
    ("trunk", "reading", "pixels", "width"),
    [
        (lambda: build_vit("vit_tiny", depth=3, patch_size=14), {"layer": 2}, 14, 192),
        (lambda: build_vit("vit_tiny", depth=2, class_token=True, final_norm=True),
         {"tokens": "final-norm"}, 16, 192),
        (lambda: build_trunk("swin_tiny", depths=(1, 1, 1, 1)), {"layer": 2}, 8, 192),
        (lambda: build_trunk("swin_tiny", depths=(1, 1, 1, 1)), {}, 32, 768),
        (lambda: trunk_from({"family": "resnet", "depth": 50}), {}, 16, 1024),
    ],
    ids=["ViT/14", "ViT with norm", "Swin stage 2", "Swin", "ResNet-50"],
)  # fmt: skip
@torch.no_grad()
def test_every_backbone_gives_a_feature_per_stride(trunk, reading, pixels, width, tmp_path):
    backbone = trunk().eval()
    stated = resolved(Reading(short_side=96, **reading), backbone)
    assert stride(backbone, stated) == pixels
    Image.new("RGB", (160, 100), (90, 20, 30)).save(tmp_path / "f.png")
    (features,) = extract(backbone, [tmp_path / "f.png"], stated)
    height, long_side = network_size(100, 160, 96, pixels)
    assert features.shape == (height // pixels, long_side // pixels, width)


@torch.no_grad()
def test_the_last_block_is_what_the_trunk_itself_gives():
    vit = build_vit("vit_tiny", depth=3, class_token=True, image_size=64, final_norm=True).eval()
    images = torch.randn(2, 3, 64, 96)
    tokens = vit(images)[:, 1:]
    for name, expected in (("last-block", tokens), ("final-norm", vit.norm(tokens))):
        reading = resolved(Reading(tokens=name), vit)
        found = feature_maps(vit, images, reading)
        torch.testing.assert_close(found.flatten(1, 2), expected, atol=1e-5, rtol=1e-5)


def test_a_layer_that_is_not_there_is_one_sentence():
    vit = build_vit("vit_tiny", depth=3)
    with pytest.raises(InputError, match="layers 1 to 3, not 4"):
        resolved(Reading(layer=4), vit)
    with pytest.raises(InputError, match="no norm for layer 3"):
        resolved(Reading(tokens="final-norm"), trunk_from({"family": "resnet", "depth": 50}))


@pytest.fixture
def job(youtube_vos, tmp_path) -> Job:
    vit = build_vit("vit_tiny", depth=1, patch_size=8, image_size=64)
    weights = tmp_path / "b.safetensors"
    save_backbone(weights, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    settings = Settings(reading=Reading(layer=1, short_side=64))
    return Job(youtube_vos, "youtube-vos", str(weights), tmp_path / "out", settings, "cpu")


def test_two_workers_give_the_masks_of_one(job, youtube_vos, tmp_path):
    for kind in ("JPEGImages", "Annotations"):
        (youtube_vos / kind / "w").symlink_to(youtube_vos / kind / "v")
    (youtube_vos / "JPEGImages/x").mkdir()
    for workers in (1, 2):
        own = replace(job, out=tmp_path / str(workers), workers=workers)
        outcomes = {outcome.name: outcome.error for outcome in segment_all(own, ["v", "w", "x"])}
        assert outcomes["v"] is outcomes["w"] is None
        assert "holds no .jpg" in str(outcomes["x"])
    for path in (tmp_path / "1").rglob("*.png"):
        other = tmp_path / "2" / path.relative_to(tmp_path / "1")
        assert np.array_equal(read_mask(path), read_mask(other))


def test_a_killed_worker_is_one_sentence(job):
    def kill_one_of_both() -> None:
        while len(children := multiprocessing.active_children()) < 2:
            time.sleep(0.01)
        time.sleep(0.5)  # Both have been told what to do; importing torch takes them longer.
        children[0].kill()

    killer = threading.Thread(target=kill_one_of_both)
    killer.start()
    outcomes = list(segment_all(replace(job, workers=2), ["v", "v"]))
    killer.join()
    assert [outcome.name for outcome in outcomes] == ["v", "v"]
    assert any("killed" in str(outcome.error) for outcome in outcomes)


def test_joints_are_found_where_they_were_put():
    joints = torch.tensor([[3.5, 2.5], [7.0, 4.0]])
    found = locate(joint_labels(joints, (9, 12)))
    torch.testing.assert_close(found, joints, atol=0.1, rtol=0)


def test_pck_by_hand():
    true = np.zeros((2, 2, 2))
    true[:, 1] = (30, 40)  # size 0.6 * 50 = 30
    found = true.copy()
    found[1] += [[3.0, 0.0], [3.1, 0.0]]
    assert pck(found, true, 0.1) == 0.5
    assert pck(found, true, 0.2) == 1.0


def test_jhmdb_is_read_and_tracked(tmp_path, monkeypatch, capsys):
    """Two joints on a picture that stands still stay where they are."""
    frames = tmp_path / "Rename_Images/wave/v"
    frames.mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    for number in range(1, 5):
        Image.fromarray(picture).save(frames / f"{number:05d}.png")
    joints = np.array([[20.0, 70.0], [12.0, 50.0]])[:, :, None].repeat(4, axis=2)
    (tmp_path / "joint_positions/wave/v").mkdir(parents=True)
    scipy.io.savemat(tmp_path / "joint_positions/wave/v/joint_positions.mat", {"pos_img": joints})
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/wave_test_split1.txt").write_text("v.avi 2\nother.avi 1\n")
    assert list(video_names(tmp_path)) == ["wave/v"]
    video = read_video(tmp_path, "wave/v")
    assert video.joints[2].tolist() == [[19.0, 11.0], [69.0, 49.0]]
    vit = build_vit("vit_tiny", depth=1, patch_size=8, image_size=64)
    weights = tmp_path / "b.safetensors"
    save_backbone(weights, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    line = f"davis_eval keypoints --jhmdb {tmp_path} --weights {weights} --short-side 64 --top-k 1"
    monkeypatch.setattr(sys, "argv", [*line.split(), "--json", str(tmp_path / "k.json")])
    main()
    assert json.loads((tmp_path / "k.json").read_text())["PCK@0.1"] == 1.0
    (tmp_path / "joint_positions/wave/v/joint_positions.mat").write_text("nothing")
    with pytest.raises(SystemExit):
        main()
    assert "joint_positions.mat is missing or holds no joints" in capsys.readouterr().err

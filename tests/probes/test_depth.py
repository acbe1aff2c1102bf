"""Depth: losses and metrics against formulas, read-outs on drawn rooms, and the command."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from selfpatch.cli import main
from selfpatch.data.depth import nyu
from selfpatch.probes.depth import (
    depth_bank,
    depth_metrics,
    in_context_depth,
    linear_depth,
    measured,
    mixed_depth,
    patch_depths,
    regression,
    scale_invariant,
)
from selfpatch.probes.features import PatchFeatures
from selfpatch.probes.in_context import read_out
from selfpatch.probes.linear import Step, Training
from tests.data.drawn_depths import draw_depths, save_depth
from tests.programs import processes_of


class Colours(PatchFeatures):
    """The mean colour of each patch, in the place of a trunk's tokens."""

    def __init__(self) -> None:
        self.device, self.size, self.patch_size, self.width = "cpu", 64, 8, 3
        self.layer, self.half = None, False

    def __call__(self, images):
        return F.avg_pool2d(images.float(), 8).flatten(2).transpose(1, 2)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return draw_depths(tmp_path_factory.mktemp("nyu"))


def test_depths_are_means_of_bins_weighted_linearly():
    logits = torch.full((2, 256), -3.0)
    logits[1, 100] = 7.5
    depths = mixed_depth(logits)
    spacing = (10 - 1e-3) / 255
    assert depths[0].item() == pytest.approx((1e-3 + 10) / 2, rel=1e-5)  # all weights are 0.1
    others = 0.1 * sum(1e-3 + n * spacing for n in range(256) if n != 100)
    expected = (others + 7.6 * (1e-3 + 100 * spacing)) / (0.1 * 255 + 7.6)
    assert depths[1].item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_forgives_most_of_a_common_factor():
    metres = torch.tensor([1.0, 2.0, 4.0, 8.0])
    factor = 1.5 * (metres + 1e-3) - 1e-3
    assert scale_invariant(factor[:, None], metres).item() == pytest.approx(
        math.sqrt(0.15) * math.log(1.5), rel=1e-4
    )
    wrong = metres * torch.tensor([1.5, 1 / 1.5, 1.5, 1 / 1.5])
    spread = math.sqrt(4 * math.log(1.5) ** 2 / 3)  # of the sample
    assert scale_invariant(wrong[:, None], metres).item() == pytest.approx(spread, rel=1e-3)


def test_metrics_are_those_of_a_loop():
    generator = np.random.default_rng(0)
    truth, told = generator.uniform(0.5, 9, (2, 500))
    told[:3] = [-2, 0, 40]  # are taken for 1 mm and 10 m
    rmse = delta = relative = 0.0
    for a, b in zip(truth, np.clip(told, 1e-3, 10), strict=True):
        rmse += (a - b) ** 2 / 500
        delta += (max(a / b, b / a) < 1.25) / 5
        relative += abs(a - b) / a / 5
    found = depth_metrics(torch.from_numpy(told), torch.from_numpy(truth))
    assert found.tolist() == pytest.approx([100 * math.sqrt(rmse), delta, relative])


def test_metrics_are_mmsegmentations():
    metric = pytest.importorskip("mmseg.evaluation.metrics.depth_metric").DepthMetric
    truth, told = torch.rand(2, 300, generator=torch.Generator().manual_seed(0)) * 8 + 0.5
    theirs = metric._calc_all_metrics(truth, told)
    expected = [100 * theirs[name] for name in ("rmse", "d1", "abs_rel")]
    assert depth_metrics(told, truth).tolist() == pytest.approx(expected, rel=1e-5)


def test_images_count_alike_and_those_without_depth_not_at_all(root, tmp_path):
    images = nyu(draw_depths(tmp_path), "test")
    truths = [images.labels(number) for number in range(3)]
    truths[1][:] = -1
    images.labels = lambda number: truths[number]
    (found,) = measured(Colours(), images, [0, 1, 2], lambda own: torch.full((len(own), 1), 3.0))
    expected = [
        100 * math.sqrt(np.square(own[own >= 0] / 1000 - 3).mean())
        for own in (truths[0], truths[2])
    ]
    assert found["RMSE-cm"] == pytest.approx(np.mean(expected))
    truths[0][:] = truths[2][:] = -1
    (found,) = measured(Colours(), images, [0, 1, 2], lambda own: torch.full((len(own), 1), 3.0))
    assert set(found.values()) == {None}


def test_a_patch_is_as_far_as_its_pixels_with_depth():
    millimetres = torch.tensor([[1000, 3000, -1, -1], [-1, 2000, -1, -1]])
    found = patch_depths(millimetres, 2)
    torch.testing.assert_close(found, torch.tensor([[2.0, 1.0], [0.0, 0.0]]))


def test_an_image_without_depth_adds_nothing_to_the_loss():
    def model(features):
        return [features[:, :1] * torch.linspace(-1, 1, 256)]

    found = torch.rand(2, 4, 1, requires_grad=True)
    rows, columns = torch.zeros(2, 5, dtype=torch.int64), torch.arange(5).expand(2, 5)
    labels = torch.tensor([[500, 900, 2000, 3000, 4000], [-1] * 5])
    both, number = regression(model, 2, Step(found, [(6, 6)] * 2, rows, columns, labels))
    first = Step(found[:1], [(6, 6)], rows[:1], columns[:1], labels[:1])
    alone, _ = regression(model, 2, first)
    torch.testing.assert_close(both, alone)
    assert number == 1
    both.sum().backward()
    assert found.grad is not None
    assert found.grad[0].abs().sum() > 0
    assert not found.grad[1].any()


def test_depths_that_brightness_tells_are_learned(root):
    training, test = nyu(root, "train"), nyu(root, "test")
    how = Training(rates=(1e-6, 1e-2), steps=80, images=4, pixels=128, held_out=0.2)
    metrics, rate = linear_depth(Colours(), training, test, how)
    assert rate == 1e-2  # the other one learns nothing
    (constant,) = measured(
        Colours(), test, [0, 1, 2], lambda found: torch.full((len(found), 1), 4.5)
    )
    assert metrics["RMSE-cm"] < 0.7 * constant["RMSE-cm"]


class Angles(Colours):
    """The brightness of each patch as a direction."""

    def __call__(self, images):
        angles = super().__call__(images).mean(-1) / 255 * math.pi
        return torch.stack([angles.cos(), angles.sin(), torch.zeros_like(angles)], dim=-1)


def test_neighbours_tell_depths_without_training(root):
    training, test = nyu(root, "train"), nyu(root, "test")
    bank = depth_bank(Angles(), training, 10_000)
    assert len(bank.features) == 6 * 64
    (constant,) = measured(
        Colours(), test, [0, 1, 2], lambda found: torch.full((len(found), 1), 4.5)
    )
    assert in_context_depth(Angles(), bank, test)["RMSE-cm"] < 0.6 * constant["RMSE-cm"]


def test_the_depth_is_the_mean_of_the_neighbours_weighted_by_similarity(root):
    training = nyu(root, "train")
    bank = depth_bank(Angles(), training, 6)  # one patch of each image, and one with a depth
    depths = bank.shares.shares[::2]
    assert bank.shares.shares[1::2].tolist() == [1.0] * 6
    assert ((depths >= 1) & (depths <= 8)).all()
    query = F.normalize(torch.randn(1, 3))
    weights = (query @ bank.features.T / 0.02).softmax(-1)[0]
    total, share = read_out(query, bank, 2)[0]
    assert (total / share).item() == pytest.approx((weights * depths).sum().item(), rel=1e-4)


def test_neighbours_without_depth_say_nothing(tmp_path):
    root = draw_depths(tmp_path, train=2, test=1)
    depth = np.full((96, 128), 3000)
    save_depth(root / "annotations/test/room_0.png", depth)
    depth[:, :64] = 0
    for number in range(2):
        save_depth(root / f"annotations/train/room_{number}.png", depth)
    bank = depth_bank(Angles(), nyu(root, "train"), 128)
    assert len(bank.shares.shares) < 1.5 * 128  # of all, two for each
    assert in_context_depth(Angles(), bank, nyu(root, "test"))["RMSE-cm"] < 0.1


READOUTS = {"linear": ["--steps", "6"], "in-context": ["--bank", "120"]}


@pytest.mark.parametrize("readout", READOUTS)
def test_the_command_writes_a_result(root, backbone, tmp_path, capsys, readout):
    out = tmp_path / "result.json"
    main(["probe", "depth", "--weights", str(backbone), "--nyu", str(root), "--readout", readout,
          "--size", "64", *READOUTS[readout], "--workers", "0", "--device", "cpu",
          "--json", "--out", str(out)])  # fmt: skip
    printed = json.loads(capsys.readouterr().out)
    assert printed["task"] == f"nyu-depth-{readout}-64"
    result = json.loads(out.read_text())
    assert set(result["metrics"]) == {"RMSE-cm", "delta1", "AbsRel"}
    assert result["dataset"]["count"] == 3
    assert result["settings"]["training images"] == 6


def test_an_option_of_the_other_read_out_is_refused(root, backbone, capsys):
    line = ["probe", "depth", "--weights", str(backbone), "--nyu", str(root), "--readout"]
    for readout, unused in (("linear", "bank"), ("in-context", "steps")):
        with pytest.raises(SystemExit):
            main([*line, readout, f"--{unused}", "5"])
        assert f"--{unused} is not for --readout {readout}" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("readout", READOUTS)
def test_two_processes_measure_what_one_does(root, backbone, programs, readout):
    line = ["-m", "selfpatch", "probe", "depth", "--weights", str(backbone), "--nyu", str(root),
            "--readout", readout, "--size", "64", *READOUTS[readout],
            "--workers", "0", "--json"]  # fmt: skip
    (alone,) = processes_of(programs, 1, line)
    first, other = processes_of(programs, 2, [*line, "--launcher", "pytorch"])
    assert (other.returncode, other.stdout) == (0, "")
    one, two = json.loads(alone.stdout), json.loads(first.stdout)
    assert one.get("lr") == two.get("lr")
    for name in ("RMSE-cm", "delta1", "AbsRel"):
        assert two[name] == pytest.approx(one[name], rel=1e-4)

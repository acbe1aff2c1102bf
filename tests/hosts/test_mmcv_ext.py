"""torchvision's operators in the place of mmcv's: same results, and a word where there is none."""

import importlib
import importlib.util
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch

from selfpatch.errors import InputError
from selfpatch.hosts import mmcv_ext
from tools.build_backend import STARTUP

FOUND = PathFinder.find_spec("mmcv._ext", mmcv.__path__)
COMPILED = FOUND is not None and str(FOUND.origin).endswith(tuple(EXTENSION_SUFFIXES))
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
needs_compiled = pytest.mark.skipif(
    not COMPILED, reason="mmcv has no compiled operators here (make setup MMCV=compiled)"
)


@pytest.fixture
def compiled():
    """mmcv's own extension."""
    return importlib.import_module("mmcv._ext")


def boxes_and_scores(kind: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    count = 0 if kind == "empty" else 300
    corners = torch.rand(count, 2, generator=draw) * 100
    sides = torch.rand(count, 2, generator=draw) * 50
    scores = torch.rand(count, generator=draw)
    if kind == "ties":  # whole numbers: equal boxes, equal scores, overlaps at the threshold
        corners, sides, scores = corners.round(), sides.div(10).round(), scores.mul(9).round() / 10
    return torch.cat([corners, corners + sides], dim=1), scores


def naive_nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, offset: int):
    """Best first; each box is kept unless it overlaps one already kept too much."""
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        overlaps = (overlap(boxes[i].numpy(), boxes[j].numpy(), offset) for j in kept)
        if all(value <= np.float32(threshold) for value in overlaps):
            kept.append(i)
    return kept


def overlap(a: np.ndarray, b: np.ndarray, offset: int) -> np.float32:
    side = np.float32(offset)
    sizes = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]) + side
    inside = np.prod(np.maximum(sizes, 0), dtype=np.float32)
    areas = [np.prod(box[2:] - box[:2] + side, dtype=np.float32) for box in (a, b)]
    whole = areas[0] + areas[1] - inside
    return inside / whole if whole else np.float32(0)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("kind", ["random", "ties", "empty"])
def test_nms_keeps_what_a_plain_loop_keeps(kind, offset):
    boxes, scores = (values[:100] for values in boxes_and_scores(kind, seed=0))
    for threshold in (0.3, 0.5, 0.7):
        kept = mmcv_ext.nms(boxes, scores, threshold, offset)
        assert kept.tolist() == naive_nms(boxes, scores, threshold, offset)


def test_an_overlap_of_exactly_the_threshold_is_kept():
    boxes = torch.tensor([[0.0, 0, 10, 3], [0, 0, 10, 10]])  # 0.3 as a float is above 0.3
    assert mmcv_ext.nms(boxes, torch.tensor([0.9, 0.8]), 0.3, offset=0).tolist() == [0, 1]


def align(features: torch.Tensor, rois: torch.Tensor, **changes) -> torch.Tensor:
    settings = dict(aligned_height=3, aligned_width=2, spatial_scale=0.5, sampling_ratio=2,
                    pool_mode=1, aligned=True) | changes  # fmt: skip
    output = features.new_zeros(len(rois), features.shape[1], 3, 2)
    nothing = features.new_zeros(0)
    mmcv_ext.roi_align_forward(features, rois, output, nothing, nothing, **settings)
    return output


def align_gradient(gradient: torch.Tensor, rois: torch.Tensor, shape, **changes) -> torch.Tensor:
    settings = dict(aligned_height=3, aligned_width=2, spatial_scale=0.5, sampling_ratio=2,
                    pool_mode=1, aligned=True) | changes  # fmt: skip
    found, nothing = gradient.new_zeros(shape), gradient.new_zeros(0)
    mmcv_ext.roi_align_backward(gradient, rois, nothing, nothing, found, **settings)
    return found


def test_roi_align_of_a_slope_is_the_slope_at_the_centres_of_the_bins():
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    features = torch.stack([rows, columns])[None]
    left, top, right, bottom = 8.0, 4.0, 28.0, 34.0
    found = align(features, torch.tensor([[0.0, left, top, right, bottom]]))[0]
    at_rows = (top + (bottom - top) * torch.tensor([1, 3, 5]) / 6) * 0.5 - 0.5
    at_columns = (left + (right - left) * torch.tensor([1, 3]) / 4) * 0.5 - 0.5
    torch.testing.assert_close(found[0], at_rows[:, None].expand(3, 2))
    torch.testing.assert_close(found[1], at_columns.expand(3, 2))


@pytest.mark.parametrize("count", [0, 40])
def test_roi_aligns_gradient_is_its_adjoint(count):
    features = torch.randn(2, 3, 20, 30, dtype=torch.float64)
    rois = some_rois(count).double()
    gradient = torch.randn(count, 3, 3, 2, dtype=torch.float64)
    forward = (align(features, rois) * gradient).sum()
    backward = (align_gradient(gradient, rois, features.shape) * features).sum()
    torch.testing.assert_close(backward, forward)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_roi_align_of_half_precision_is_that_of_single_precision_rounded(kind, autocast):
    features, rois = torch.randn(2, 3, 20, 30).to(kind), some_rois(40).to(kind)
    gradient = torch.randn(40, 3, 3, 2).to(kind)
    with torch.autocast("cpu", kind, enabled=autocast):
        forward = align(features, rois)
        backward = align_gradient(gradient, rois, features.shape)
    assert forward.equal(align(features.float(), rois.float()).to(kind))
    expected = align_gradient(gradient.float(), rois.float(), features.shape)
    assert backward.equal(expected.to(kind))


def some_rois(count: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    corners = torch.rand(count, 2, generator=draw) * 40 - 5  # some begin outside the image
    sides = torch.rand(count, 2, generator=draw) * 30
    images = torch.randint(2, (count, 1), generator=draw).float()
    return torch.cat([images, corners, corners + sides], dim=1)


@needs_compiled
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("kind", ["random", "ties", "empty"])
def test_nms_equals_the_compiled_one(compiled, kind, offset, device):
    for seed in range(20):
        boxes, scores = (x.to(device) for x in boxes_and_scores(kind, seed))
        for threshold in (0.3, 0.5, 0.7):
            ours = mmcv_ext.nms(boxes, scores, threshold, offset)
            theirs = compiled.nms(boxes, scores, iou_threshold=threshold, offset=offset)
            assert ours.tolist() == theirs.tolist()


@needs_compiled
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("count", [0, 40])
def test_roi_align_equals_the_compiled_one(compiled, count, sampling_ratio, aligned, device):
    changes = {"sampling_ratio": sampling_ratio, "aligned": aligned}
    settings = dict(aligned_height=3, aligned_width=2, spatial_scale=0.5, pool_mode=1) | changes
    features, rois = torch.randn(2, 3, 20, 30, device=device), some_rois(count).to(device)
    nothing = features.new_zeros(0)
    theirs = features.new_zeros(count, 3, 3, 2)
    compiled.roi_align_forward(features, rois, theirs, nothing, nothing, **settings)
    torch.testing.assert_close(align(features, rois, **changes), theirs, rtol=0, atol=1e-6)
    gradient, grad_theirs = torch.randn_like(theirs), torch.zeros_like(features)
    compiled.roi_align_backward(gradient, rois, nothing, nothing, grad_theirs, **settings)
    ours = align_gradient(gradient, rois, features.shape, **changes)
    torch.testing.assert_close(ours, grad_theirs, rtol=1e-6, atol=1e-5)


def test_any_other_operator_is_refused_by_name():
    with pytest.raises(InputError, match=r"operator 'softnms' .*`make setup MMCV=compiled`"):
        mmcv_ext.softnms(torch.zeros(1, 4), iou_threshold=0.5)
    with pytest.raises(InputError, match="pool_mode='max'"):
        align(torch.zeros(1, 1, 4, 4), torch.zeros(0, 5), pool_mode=0)
    assert not hasattr(mmcv_ext, "__wrapped__")


@pytest.mark.skipif(COMPILED, reason="mmcv's operators are compiled here")
def test_the_operators_are_there_before_anything_of_this_project_is_imported(tmp_path):
    program = (
        "import sys, mmcv.ops\n"
        "assert 'selfpatch' not in sys.modules\n"
        "print(sys.modules['mmcv._ext'].__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("hosts/mmcv_ext.py")


def test_a_compiled_extension_is_found_first(tmp_path, monkeypatch):
    """An extension in mmcv's folder wins, as Python asks the start-up's finder last."""
    (tmp_path / "_ext.py").write_text("")
    monkeypatch.setattr(mmcv, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)
    spec = importlib.util.find_spec("mmcv._ext")
    assert spec is not None
    assert spec.origin == str(tmp_path / "_ext.py")
    names = [getattr(finder, "__name__", "") for finder in sys.meta_path]
    assert names.index("StandIns") > names.index("PathFinder")


def test_a_folder_named_like_the_project_hides_no_operators(tmp_path):
    """Python takes any folder in the working directory for a package without files of its own."""
    (tmp_path / "selfpatch").mkdir()
    program = (
        "import runpy, sys\n"
        "sys.path.insert(0, '')\n"
        "finder = runpy.run_path(sys.argv[1])['StandIns']\n"
        "print(finder.find_spec('mmcv._ext').origin)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, STARTUP], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_file()


def test_configs_of_mmseg_resolve_with_the_fork(tmp_path):
    """mmengine looks for them in a package that is named mmsegmentation."""
    from mmengine.config import Config

    (tmp_path / "config.py").write_text('_base_ = ["mmseg::_base_/default_runtime.py"]\n')
    assert Config.fromfile(tmp_path / "config.py").default_scope == "mmseg"

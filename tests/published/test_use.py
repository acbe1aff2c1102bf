"""Files that the methods' own code wrote, used: imported, tracked with, trained in each host.

Some of each kind; all of them with ``EVERY_LAYOUT=1``, which takes a quarter of an hour.
"""

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from PIL import Image

from davis_eval.masks import write_mask
from selfpatch.backbones.loading import load_backbone
from selfpatch.cli import main
from tests.published import names, unpacked

pytestmark = pytest.mark.slow

SOME = (
    "dino-full", "vissl-dino", "dinov3-hub-plus", "transformers-dinov2-giant", "clip-openai",
    "timm-eva02", "ibot-swin-full", "mocov2-detectron2", "torchvision-resnet18",
    "selfpatch-detector",
)  # fmt: skip
USED = names() if os.environ.get("EVERY_LAYOUT") else SOME
BACKBONES = {"vit": "SelfPatchViT", "swin": "SelfPatchSwin", "resnet": "SelfPatchResNet",
             "timm": "SelfPatchTimm"}  # fmt: skip


@pytest.fixture(scope="module")
def davis(tmp_path_factory) -> Path:
    """One video of three frames, of a square that moves to the right."""
    root = tmp_path_factory.mktemp("davis")
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("one\n")
    (root / "JPEGImages/480p/one").mkdir(parents=True)
    for step in range(3):
        mask = np.zeros((96, 128), dtype=np.uint8)
        mask[20:60, 20 + 8 * step : 60 + 8 * step] = 1
        write_mask(root / f"Annotations/480p/one/{step:05d}.png", mask)
        frame = np.where(mask[..., None] > 0, (250, 40, 40), (90, 90, 90)).astype(np.uint8)
        Image.fromarray(frame).save(root / f"JPEGImages/480p/one/{step:05d}.jpg")
    return root


@pytest.fixture(scope="module")
def hosts():
    """Both hosts, imported when the first test asks for them."""
    return importlib.import_module("tests.host_configs.small_inputs")


@pytest.fixture(params=USED)
def backbone(request, tmp_path, capsys) -> Path:
    """A backbone file that the command has imported."""
    written, source = unpacked(request.param, tmp_path / "written")
    told = [f"{name}={value}" for name, value in written.options.get("told", {}).items()]
    options = ["--method", written.options["method"]] if "method" in written.options else []
    out = tmp_path / "backbone.safetensors"
    main(["import", str(source), str(out), *options, *(["--set", *told] if told else [])])
    return out


def test_it_is_tracked_with(backbone, davis, tmp_path, capsys):
    small = ("--device", "cpu", "--short-side", "96")
    out = tmp_path / "out"
    main(["davis", "run", "--davis", str(davis), "--weights", str(backbone), "--out", str(out),
          *small])  # fmt: skip
    assert (out / "one/00002.png").is_file()
    assert (out / "results.json").is_file()


def model_on(cfg: Any, path: Path) -> Any:
    """A host's model with a backbone file in the place of its own backbone."""
    trunk, _ = load_backbone(path)
    kind = BACKBONES[trunk.architecture["family"]]
    norm = {} if kind == "SelfPatchSwin" else {"norm_cfg": {"type": "BN"}}
    cfg.backbone = dict(type=kind, init_cfg={"type": "Pretrained", "checkpoint": str(path)}, **norm)
    maps = MODELS.build(cfg.backbone).eval()(torch.zeros(1, 3, 64, 64))
    cfg.neck.in_channels = [level.shape[1] for level in maps]
    for name in ("mean", "std"):
        cfg.data_preprocessor[name] = [255 * value for value in getattr(trunk, name)]
    return revert_sync_batchnorm(MODELS.build(cfg))


@pytest.mark.parametrize(
    ("host", "config"),
    [
        ("mmdet", "mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py"),
        ("mmseg", "mmseg_configs/semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py"),
    ],
    ids=["mmdet", "mmseg"],
)
def test_a_host_trains_a_step_on_it(host, config, backbone, hosts):
    batch = hosts.detection_batch() if host == "mmdet" else hosts.segmentation_batch()
    with hosts.in_scope(host):
        model = model_on(hosts.read(Path(config)).model, backbone).train()
        before = {name: p.detach().clone() for name, p in model.backbone.named_parameters()}
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        data = model.data_preprocessor(batch, training=True)
        loss, _ = model.parse_losses(model(**data, mode="loss"))
        loss.backward()
        optimizer.step()
    assert loss.isfinite()
    changed = [not p.equal(before[name]) for name, p in model.backbone.named_parameters()]
    assert any(changed)

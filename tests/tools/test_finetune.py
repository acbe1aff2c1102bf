"""Fine-tuning under the hosts' own tools: train, save, resume, test, results, bad input."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selfpatch import build_trunk
from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.demo.data import Sizes, generate
from tests import ROOT
from tests.programs import Done, Parent

pytestmark = pytest.mark.slow
PACKAGES = ("datasets", "engine", "evaluation", "models", "visualization")
"""Packages of a host that its tools import when they look for something by its name."""

HOSTS = {
    "mmdet": (
        "mmdet_configs/mask-rcnn_selfpatch-small_fpn_coco.py",
        "coco-mask-rcnn",
        {"AP-box", "AP-mask"},
        ["train_dataloader.dataset.indices=4", "val_dataloader.dataset.indices=2"],
        ["train_cfg.max_epochs=1"],
        ["train_cfg.max_epochs=2"],
        "epoch_{}.pth",
    ),
    "mmseg": (
        "mmseg_configs/semantic-fpn_selfpatch-small_ade20k-128x128.py",
        "ade20k-semantic-fpn",
        {"mIoU", "mAcc", "aAcc"},
        ["val_dataloader.dataset.indices=2", "train_cfg.val_interval=2"],
        ["train_cfg.max_iters=2", "default_hooks.checkpoint.interval=2"],
        ["train_cfg.max_iters=4", "default_hooks.checkpoint.interval=2"],
        "iter_{}.pth",
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    sizes = Sizes(pretraining=1, coco_train=4, coco_val=2, ade_train=4, ade_val=2, frames=3)
    return generate(tmp_path_factory.mktemp("data") / "tiny", sizes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    vit = build_trunk("vit_tiny", depth=6, image_size=96)
    path = tmp_path_factory.mktemp("weights") / "backbone.safetensors"
    save_backbone(path, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    return path


@pytest.fixture(scope="module")
def run(data) -> Iterator[Callable[..., Done]]:
    """Runs a program from another folder than the project's, with one host imported."""
    parents: dict[str, Parent] = {}

    def call(host: str, command: list[str], folder: Path, root: Path = data) -> Done:
        if host not in parents:
            parents[host] = Parent(
                ["selfpatch.hosts.backbones", *(f"{host}.{p}" for p in PACKAGES)]
            )
        roots = {"COCO_ROOT": str(root / "coco"), "ADE20K_ROOT": str(root / "ade20k")}
        return parents[host].run(*command, cwd=folder, env=roots)

    yield call
    for parent in parents.values():
        parent.close()


def stock_tool(host: str, name: str) -> str:
    spec = importlib.util.find_spec(host)
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / ".mim/tools" / name)


@pytest.mark.parametrize("host", HOSTS)
def test_train_save_resume_and_test(host, data, weights, run, tmp_path):
    """Training through our door, resuming and testing through the host's own tools."""
    config, task, metrics, small, first, second, checkpoint = HOSTS[host]
    work_dir = ["--work-dir", str(tmp_path / "work")]
    init = f"model.backbone.init_cfg.checkpoint={weights}"
    config = str(ROOT / config)
    command = ["-m", "selfpatch", "finetune", config, *work_dir, "--cfg-options", init]
    done = run(host, [*command, *small, *first], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((tmp_path / "work/results.json").read_text())
    assert result["task"] == task
    assert result["metrics"].keys() == metrics
    assert result["backbone"]["method"] == "dino"
    assert result["dataset"]["path"].startswith(str(data))
    assert result["dataset"]["count"] == 2
    step = 1 if host == "mmdet" else 2

    command = [stock_tool(host, "train.py"), config, *work_dir, "--resume", "--cfg-options", init]
    done = run(host, [*command, *small, *second], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"resumed epoch: {1 if host == 'mmdet' else 0}" in done.stdout + done.stderr
    last = tmp_path / "work" / checkpoint.format(2 * step)
    assert last.is_file()
    resumed = json.loads((tmp_path / "work/results.json").read_text())
    assert resumed["hours"] > result["hours"], "the hours before count"

    (tmp_path / "work/results.json").unlink()
    command = [stock_tool(host, "test.py"), config, str(last), *work_dir, "--cfg-options"]
    done = run(host, [*command, "test_dataloader.dataset.indices=2"], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    tested = json.loads((tmp_path / "work/results.json").read_text())
    assert tested["backbone"]["fingerprint"] == result["backbone"]["fingerprint"]
    assert tested["settings"]["iterations"] == 4
    trained = {n: v for n, v in result["settings"].items() if n.startswith("training.")}
    assert len(trained) > 50
    assert (
        tested["settings"].items()
        >= {n: v for n, v in trained.items() if "max_" not in n and "end" not in n}.items()
    )
    assert tested["hours"] > result["hours"]


@pytest.fixture(scope="module")
def segmenter(weights, run, tmp_path_factory) -> Path:
    """A checkpoint of Semantic FPN after two iterations."""
    folder = tmp_path_factory.mktemp("segmenter")
    command = ["-m", "selfpatch", "finetune", str(ROOT / HOSTS["mmseg"][0])]
    options = [f"model.backbone.init_cfg.checkpoint={weights}", *HOSTS["mmseg"][3]]
    options += HOSTS["mmseg"][4]
    done = run("mmseg", [*command, "--work-dir", str(folder), "--cfg-options", *options], folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "iter_2.pth"


def test_a_checkpoint_of_another_model_is_never_scored(segmenter, run, tmp_path):
    """mmengine would warn, and test UperNet's head as it was drawn."""
    config = str(ROOT / "mmseg_configs/upernet_selfpatch-small_ade20k-128x128.py")
    command = [stock_tool("mmseg", "test.py"), config, str(segmenter), "--work-dir", "work"]
    done = run("mmseg", command, tmp_path)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "iter_2.pth does not fill the model: missing decode_head.psp_modules" in last
    assert not (tmp_path / "work/results.json").exists()


def test_a_head_of_another_shape_is_never_scored(segmenter, run, tmp_path):
    """mmengine would warn, and test a classifier as it was drawn."""
    config = str(ROOT / HOSTS["mmseg"][0])
    command = [stock_tool("mmseg", "test.py"), config, str(segmenter), "--work-dir", "work"]
    command += ["--cfg-options", "model.decode_head.num_classes=7"]
    done = run("mmseg", command, tmp_path)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    wrong = "iter_2.pth does not fill the model: decode_head.conv_seg.weight is (150, "
    assert wrong in last
    assert "instead of (7, " in last
    assert not (tmp_path / "work/results.json").exists()


def test_the_hosts_multi_scale_test_writes_its_result_as_one(data, segmenter, tmp_path):
    config, model = str(ROOT / HOSTS["mmseg"][0]), segmenter
    small = ["val_dataloader.dataset.indices=1", "test_dataloader.dataset.indices=1"]
    small += [f"tta_pipeline.1.transforms.0.{i}.scale=(128,{16 * i + 32})" for i in range(6)]
    command = [stock_tool("mmseg", "test.py"), config, str(model), "--tta"]
    line = [sys.executable, *command, "--work-dir", "work", "--cfg-options", *small]
    environment = {**os.environ, "ADE20K_ROOT": str(data / "ade20k")}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((tmp_path / "work/results.json").read_text())
    assert result["settings"]["test.tta_model.type"] == "SegTTAModel"
    assert result["metrics"].keys() == {"mIoU", "mAcc", "aAcc"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing.py"], "the config nothing.py does not exist"),
        ([HOSTS["mmdet"][0], "model.backbone.init_cfg.checkpoint=none.pth"], "none.pth does not"),
        ([HOSTS["mmdet"][0], "model.backbone.patchsize=8"], "patchsize"),
        ([HOSTS["mmdet"][0], "model.backbone.patch_size=8"], "the config says patches of 8"),
        ([HOSTS["mmdet"][0], "model.type=MaskRCN"], "MaskRCN is not in the"),
        (
            [HOSTS["mmdet"][0], "modle.type=x"],
            "--cfg-options names; did you mean model?",
        ),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence, weights, run, tmp_path):
    config, *options = arguments
    command = ["-m", "selfpatch", "finetune", str(ROOT / config) if options else config]
    init = [f"model.backbone.init_cfg.checkpoint={weights}", *options]
    done = run("mmdet", [*command, "--cfg-options", *init], tmp_path)
    assert done.returncode == 2, done.stderr[-3000:]
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_an_unreadable_image_or_an_empty_data_set_is_one_sentence(data, weights, run, tmp_path):
    command = ["-m", "selfpatch", "finetune", str(ROOT / HOSTS["mmseg"][0])]
    command += ["--cfg-options", f"model.backbone.init_cfg.checkpoint={weights}"]
    broken = tmp_path / "data/ade20k"
    shutil.copytree(data / "ade20k", broken)
    images = sorted((broken / "images/training").iterdir())
    for image in images:
        image.write_bytes(image.read_bytes()[:200])
    done = run("mmseg", command, tmp_path, root=tmp_path / "data")
    assert done.returncode == 2, done.stderr[-3000:]
    assert "is no readable image" in done.stderr.splitlines()[-1]

    for image in images:
        image.unlink()
    done = run("mmseg", command, tmp_path, root=tmp_path / "data")
    assert done.returncode == 2, done.stderr[-3000:]
    assert done.stderr.splitlines()[-1].endswith("has no image; check the data root")
    assert "Traceback" not in done.stderr


def test_an_image_that_is_listed_but_missing_is_one_sentence(data, weights, run, tmp_path):
    command = ["-m", "selfpatch", "finetune", str(ROOT / HOSTS["mmdet"][0])]
    command += ["--cfg-options", f"model.backbone.init_cfg.checkpoint={weights}"]
    shutil.copytree(data / "coco", tmp_path / "data/coco")
    images = sorted((tmp_path / "data/coco/train2017").iterdir())
    for image in images:
        image.unlink()
    done = run("mmdet", command, tmp_path, root=tmp_path / "data")
    assert done.returncode == 2, done.stderr[-3000:]
    assert any(f"'{image}'; `selfpatch check-data` says" in done.stderr for image in images)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("host", "variable"), [("mmdet", "COCO_ROOT"), ("mmseg", "ADE20K_ROOT")])
def test_a_missing_data_root_is_named_with_its_variable(host, variable, run, tmp_path):
    command = ["-m", "selfpatch", "finetune", str(ROOT / HOSTS[host][0])]
    done = run(
        host, [*command, "--cfg-options", "model.backbone.init_cfg=None"], tmp_path, tmp_path
    )
    assert done.returncode == 2, done.stderr[-3000:]
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path}")
    assert f"does not exist; set {variable} to" in done.stderr.splitlines()[-1]

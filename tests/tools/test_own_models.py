"""The configs of docs/own_models.md: trained, tested, and read by the hosts' inferencers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from selfpatch import build_trunk
from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.commands.finetune import host_tool
from tests import ROOT
from tests.programs import Parent
from tests.tools.test_finetune import PACKAGES

pytestmark = pytest.mark.slow

DETECTOR, SEGMENTER, _ = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/own_models.md").read_text(), flags=re.DOTALL
)
INFERENCE = {
    "mmdet": (
        "from mmdet.apis import inference_detector as infer, init_detector as init\n",
        "pred_instances.bboxes.shape",
    ),
    "mmseg": (
        "from mmseg.apis import inference_model as infer, init_model as init\n",
        "pred_sem_seg.data.shape",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder as the page describes it: a backbone, data of both kinds, the configs."""
    folder = tmp_path_factory.mktemp("own")
    vit = build_trunk("vit_tiny", depth=4, image_size=64, num_heads=12, class_token=True)
    info = BackboneInfo(vit.architecture, "mocov3", "test")
    save_backbone(folder / "backbone.safetensors", vit.state_dict(), info)
    for split, count in (("train", 4), ("val", 2)):
        draw_shapes(folder / "data/shapes", split, count)
        draw_fields(folder / "data/fields", split, count)
    (folder / "my_detector.py").write_text(DETECTOR)
    (folder / "my_segmenter.py").write_text(SEGMENTER)
    return folder


def draw_shapes(root: Path, split: str, count: int) -> None:
    (root / split).mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        image = Image.new("RGB", (96, 72), "grey")
        box = [10 * number, 8 * number, 30, 24]
        corners = [box[0], box[1], box[0] + box[2], box[1] + box[3]]
        ImageDraw.Draw(image).rectangle(corners, fill="red")
        image.save(root / split / f"{number}.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 96, "height": 72})
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1 + number % 3, "bbox": box,
             "area": box[2] * box[3], "iscrowd": 0}
        )  # fmt: skip
    names = ("ball", "kite", "sign")
    categories = [{"id": 1 + place, "name": name} for place, name in enumerate(names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / f"{split}.json").write_text(json.dumps(content))


def draw_fields(root: Path, split: str, count: int) -> None:
    for part in ("images", "annotations"):
        (root / part / split).mkdir(parents=True)
    for number in range(count):
        labels = Image.new("L", (80, 72), number % 4)
        ImageDraw.Draw(labels).rectangle([20, 20, 60, 50], fill=(number + 1) % 4)
        labels.save(root / f"annotations/{split}/{number}.png")
        labels.point(lambda value: 60 * value).convert("RGB").save(
            root / f"images/{split}/{number}.jpg"
        )


@pytest.fixture
def parent(host) -> Iterator[Parent]:
    found = Parent(["selfpatch.hosts", *(f"{host}.{package}" for package in PACKAGES)])
    yield found
    found.close()


@pytest.mark.parametrize(
    ("host", "config", "short", "checkpoint", "task", "metrics"),
    [
        ("mmdet", "my_detector.py",
         ["train_cfg.max_epochs=1", "train_cfg.val_interval=1", "train_dataloader.num_workers=0"],
         "epoch_1.pth", "my-shapes", ["AP-box"]),
        ("mmseg", "my_segmenter.py",
         ["train_cfg.max_iters=2", "train_cfg.val_interval=2", "train_dataloader.num_workers=0",
          "default_hooks.checkpoint.interval=2"],
         "iter_2.pth", "my-fields", ["mIoU", "mAcc", "aAcc"]),
    ],
    ids=["mmdet", "mmseg"],
)  # fmt: skip
def test_a_model_of_ones_own_is_trained_tested_and_read_by_the_inferencers(
    parent, host, config, short, checkpoint, task, metrics, folder
):
    work_dir = folder / "work" / host
    done = parent.run(
        "-m", "selfpatch", "finetune", config, "--work-dir", work_dir, "--cfg-options", *short,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    trained = json.loads((work_dir / "results.json").read_text())
    assert (trained["task"], list(trained["metrics"])) == (task, metrics)
    assert (trained["backbone"]["method"], trained["dataset"]["count"]) == ("mocov3", 2)

    (work_dir / "results.json").unlink()
    (folder / config).write_text(  # the checkpoint is enough
        (folder / config).read_text().replace("backbone.safetensors", "gone.safetensors")
    )
    test_tool = host_tool(host, "test")
    line = [test_tool, config, work_dir / checkpoint, "--work-dir", work_dir]
    done = parent.run(*line, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    tested = json.loads((work_dir / "results.json").read_text())
    assert tested["metrics"] == trained["metrics"]
    assert tested["backbone"] == trained["backbone"]
    assert tested["backbone"]["architecture"]["num_heads"] == 12

    imports, shape = INFERENCE[host]
    image = "data/shapes/val/1.jpg" if host == "mmdet" else "data/fields/images/val/0.jpg"
    program = folder / f"infer_{host}.py"
    program.write_text(
        f"{imports}model = init({config!r}, {str(work_dir / checkpoint)!r}, device='cpu')\n"
        f"print(tuple(infer(model, {image!r}).{shape}))\n"
        "print(model.backbone.info.method, model.backbone.info.fingerprint)\n"
    )
    done = parent.run(program, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"mocov3 {tested['backbone']['fingerprint']}" in done.stdout

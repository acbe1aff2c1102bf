"""DenseCL: what OpenSelfSup's runner saves, and the trunk that is published."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import mmcv
import mmcv.cnn
import mmengine
import mmengine.dist
import mmengine.model
import mmengine.runner
import torch

from tests.published.writers import writer
from tests.published.writers.resnets import (
    SIZES,
    converted,
    fill_both,
    last_stage,
    parameters_of,
)


def old_mmcv() -> None:
    """Put back what this repository imports of mmcv 1.0 and what its setup would generate."""
    runner, version = ModuleType("mmcv.runner"), ModuleType("openselfsup.version")
    runner.load_checkpoint = mmengine.runner.load_checkpoint  # type: ignore[attr-defined]
    runner.get_dist_info = mmengine.dist.get_dist_info  # type: ignore[attr-defined]
    version.__version__ = version.short_version = "0.2.0"  # type: ignore[attr-defined]
    cluster = ModuleType("sklearn.cluster")
    cluster.KMeans = None  # type: ignore[attr-defined]
    modules = (runner, version, ModuleType("sklearn"), cluster)
    sys.modules |= {module.__name__: module for module in modules}
    mmcv.Config, mmcv.is_str = mmengine.Config, lambda value: isinstance(value, str)
    for name in ("constant_init", "kaiming_init", "normal_init"):
        setattr(mmcv.cnn, name, getattr(mmengine.model, name))


def save(path: Path) -> Any:
    """Write a training checkpoint -> the trunk in it that is trained."""
    old_mmcv()
    from openselfsup.models import build_model  # type: ignore[import-not-found]

    config = mmengine.Config.fromfile(
        f"{sys.path[0]}/configs/selfsup/densecl/densecl_coco_800ep.py", import_custom_modules=False
    )
    config.model.queue_len = 256
    model = build_model(config.model)
    fill_both(model)
    content = {
        "meta": {
            "openselfsup_version": "0.2.0+b64bbb6",
            "config": config.text.replace(f"{sys.path[0]}/", ""),
            "epoch": 800,
            "iter": 368000,
            "mmcv_version": "1.0.3",
            "time": "Tue Dec  1 00:00:00 2020",
        },
        "state_dict": mmengine.runner.weights_to_cpu(mmengine.runner.get_state_dict(model)),
        "optimizer": {},
    }
    torch.save(content, path)  # as mmcv 1.0.3 does
    return model.backbone


def known(trunk: Any, file: str, code: str) -> dict[str, Any]:
    """What is known of a file that holds this trunk."""
    return {
        "file": file,
        "code": code,
        "method": "densecl",
        "parameters": parameters_of(trunk),
        "tokens": last_stage(trunk),
        "sizes": SIZES,
        "note": "the meta, and that torch.save wrote it, are as in mmcv 1.0.3, which was not run",
    }


@writer("densecl-full", "WXinlong/DenseCL")
def full(folder: Path) -> dict[str, Any]:
    """A training checkpoint: both encoders, two queues, and the trunk once more."""
    return known(save(folder / "epoch_800.pth"), "epoch_800.pth", "build_model of openselfsup")


@writer("densecl-extracted", "WXinlong/DenseCL")
def extracted(folder: Path) -> dict[str, Any]:
    """The trunk alone, as it is published."""
    trunk = save(folder / "source.pth")
    script, file = "tools/extract_backbone_weights.py", "densecl_r50_coco_800ep.pth"
    converted(Path(sys.path[0]) / script, folder / "source.pth", folder / file)
    (folder / "source.pth").unlink()
    return known(trunk, file, script)

"""MoCo-v2: what ``main_moco.py`` saves, and the same for detectron2."""

from pathlib import Path
from typing import Any

import torchvision
from torch import nn

from tests.published.writers import writer
from tests.published.writers.resnets import (
    SIZES,
    fill_both,
    last_stage,
    parameters_of,
)

NOTE = "later commits of the repository remove all files"


def save(path: Path) -> Any:
    """Write a training checkpoint -> the encoder in it that is trained."""
    import main_moco  # type: ignore[import-not-found]
    import moco.builder  # type: ignore[import-not-found]

    model = moco.builder.MoCo(torchvision.models.resnet50, K=256, T=0.2, mlp=True)
    fill_both(model)
    content = {
        "epoch": 200,
        "arch": "resnet50",
        "state_dict": nn.DataParallel(model).state_dict(),
        "optimizer": {},
    }
    main_moco.save_checkpoint(content, is_best=False, filename=str(path))
    return model.encoder_q


def known(encoder: Any, file: str, code: str) -> dict[str, Any]:
    """What is known of a file that holds this encoder."""
    return {
        "file": file,
        "code": code,
        "method": "mocov2",
        "parameters": parameters_of(encoder),
        "tokens": last_stage(encoder),
        "sizes": SIZES,
        "note": NOTE,
    }


@writer("mocov2-full", "facebookresearch/moco")
def full(folder: Path) -> dict[str, Any]:
    """A training checkpoint: both encoders in DistributedDataParallel's wrapper, and the queue."""
    file = "checkpoint_0199.pth.tar"
    return known(save(folder / file), file, "main_moco.save_checkpoint of moco.builder.MoCo")

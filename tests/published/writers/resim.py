"""ReSim: what ``main_moco.py`` of its repository saves."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from tests.published.writers import writer
from tests.published.writers.resnets import (
    SIZES,
    fill_both,
    last_stage,
    parameters_of,
)


def save(path: Path) -> Any:
    """Write a training checkpoint of ReSim-FPN -> the encoder in it that is trained."""
    gone = ModuleType("torchvision.models.utils")
    gone.load_state_dict_from_url = torch.hub.load_state_dict_from_url  # type: ignore[attr-defined]
    sys.modules[gone.__name__] = gone
    import moco.builder  # type: ignore[import-not-found]
    import moco.models  # type: ignore[import-not-found]

    model = moco.builder.MoCo(moco.models.resnet50, K=256, T=0.2, mlp=True, fpn_bn=True)
    fill_both(model)
    content = {
        "epoch": 200,
        "arch": "resnet50",
        "state_dict": nn.DataParallel(model).state_dict(),
        "optimizer": {},
    }
    torch.save(content, path)  # save_checkpoint of main_moco.py, which wants an old torchvision
    return model.encoder_q


def known(encoder: Any, file: str, code: str) -> dict[str, Any]:
    """What is known of a file that holds this encoder."""
    return {
        "file": file,
        "code": code,
        "method": "resim",
        "parameters": parameters_of(encoder),
        "tokens": last_stage(encoder),
        "sizes": SIZES,
    }


@writer("resim-full", "Tete-Xiao/ReSim")
def full(folder: Path) -> dict[str, Any]:
    """A training checkpoint: both encoders with their feature pyramids, and the queue."""
    file = "resim_fpn_checkpoint_latest.pth.tar"
    return known(save(folder / file), file, "main_moco.py, of moco.builder.MoCo")

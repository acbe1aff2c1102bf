"""DetCo: the trunk, and what its repository's script makes of it for detectron2."""

import sys
from pathlib import Path
from typing import Any

import torch
import torchvision

from tests.published import fill
from tests.published.writers import writer
from tests.published.writers.resnets import SIZES, converted, last_stage, parameters_of

NOTE = "the repository holds no training code: the trunk is torchvision's ResNet-50"


def save(path: Path) -> Any:
    """Write a trunk as the script expects it -> the trunk."""
    trunk = torchvision.models.resnet50()
    trunk.fc = torch.nn.Identity()
    fill(trunk)
    torch.save({"state_dict": trunk.state_dict()}, path)
    return trunk


@writer("detco-detectron2", "xieenze/DetCo")
def detectron2(folder: Path) -> dict[str, Any]:
    """Numpy arrays in a plain pickle, which names OpenSelfSup as its author."""
    trunk, file = save(folder / "source.pth"), "detco_200ep.pkl"
    script = "benchmarks/detection/convert-pretrain-to-detectron2.py"
    converted(Path(sys.path[0]) / script, folder / "source.pth", folder / file)
    (folder / "source.pth").unlink()
    return {
        "file": file,
        "code": script,
        "method": "detco",
        "options": {"method": "detco"},
        "parameters": parameters_of(trunk),
        "tokens": last_stage(trunk),
        "sizes": SIZES,
        "note": NOTE,
    }

"""Files for detectron2: what the authors' ``convert-pretrain-to-detectron2.py`` make of theirs."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.published.writers import densecl, moco, resim, writer
from tests.published.writers.resnets import converted

SCRIPT = "convert-pretrain-to-detectron2.py"


def of(layout: ModuleType, folder: Path, script: str) -> dict[str, Any]:
    """Write the file of another module of writers, and keep what the script makes of it."""
    source = folder / "source.pth"
    network = layout.save(source)
    converted(Path(sys.path[0]) / script, source, folder / "output.pkl")  # of the checkout
    source.unlink()
    return {**layout.known(network, "output.pkl", script)}


@writer("mocov2-detectron2", "facebookresearch/moco")
def mocov2(folder: Path) -> dict[str, Any]:
    """MoCo-v2's trained encoder and its head: numpy arrays in a plain pickle."""
    return of(moco, folder, "detection/" + SCRIPT)


@writer("resim-detectron2", "Tete-Xiao/ReSim")
def resim_fpn(folder: Path) -> dict[str, Any]:
    """ReSim's trained encoder, its head and feature pyramid: numpy arrays, by torch.save."""
    return of(resim, folder, "detection/" + SCRIPT)


@writer("densecl-detectron2", "WXinlong/DenseCL")
def densecl_trunk(folder: Path) -> dict[str, Any]:
    """The published trunk of DenseCL; the file names OpenSelfSup as its author."""
    published = densecl.extracted(folder)
    source, script = folder / published["file"], "benchmarks/detection/" + SCRIPT
    converted(Path(sys.path[0]) / script, source, folder / "output.pkl")
    source.unlink()
    told = {"method": "densecl"}
    return {**published, "file": "output.pkl", "code": script, "options": told}

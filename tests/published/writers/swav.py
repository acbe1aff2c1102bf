"""SwAV: what ``main_swav.py`` saves, and the published file."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.published import fill
from tests.published.writers import writer
from tests.published.writers.resnets import SIZES, flat, parameters_of


def network() -> Any:
    """SwAV's ResNet-50 with its head; its prototypes are fewer than usual."""
    from src.resnet50 import resnet50  # type: ignore[import-not-found]

    model = resnet50(normalize=True, hidden_mlp=2048, output_dim=128, nmb_prototypes=300)
    fill(model)
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


def known(model: Any, file: str, code: str) -> dict[str, Any]:
    """What is known of a file that holds this network."""
    model.eval()
    model.eval_mode = True  # gives the map before the pooling
    return {
        "file": file,
        "code": code,
        "method": "swav",
        "parameters": parameters_of(model),
        "tokens": lambda images: flat(model.forward_backbone(images)),
        "sizes": SIZES,
    }


@writer("swav-full", "facebookresearch/swav")
def full(folder: Path) -> dict[str, Any]:
    """A training checkpoint, in DistributedDataParallel's wrapper."""
    model = network()
    content = {"epoch": 400, "state_dict": nn.DataParallel(model).state_dict(), "optimizer": {}}
    torch.save(content, folder / "checkpoint.pth.tar")
    return known(model, "checkpoint.pth.tar", "main_swav.py, of src.resnet50.resnet50")


@writer("swav-published", "facebookresearch/swav")
def published(folder: Path) -> dict[str, Any]:
    """The state dict alone, wrapper, head and prototypes in it, as hubconf.py reads it."""
    model, file = network(), "swav_800ep_pretrain.pth.tar"
    torch.save(nn.DataParallel(model).state_dict(), folder / file)
    return known(model, file, "state_dict of src.resnet50.resnet50, see hubconf.py")

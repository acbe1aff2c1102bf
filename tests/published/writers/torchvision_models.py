"""torchvision: classifiers trained on labels, as ``torch.save(model.state_dict())`` keeps them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor
from torchvision.models import VisionTransformer
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import interpolate_embeddings

from tests.published import fill
from tests.published.writers import writer
from tests.published.writers.resnets import SIZES, flat, last_stage


def saved(model: Any, folder: Path, file: str, beside: str) -> dict[str, Any]:
    """Fill a classifier and write its state dict -> what is known of any such file.

    Args:
        model: A classifier.
        folder: To write to.
        file: Its name.
        beside: What the name of every parameter starts with that is no part of the trunk.
    """
    fill(model.eval())
    torch.save(model.state_dict(), folder / file)
    trunk = [p for name, p in model.named_parameters() if not name.startswith(beside)]
    return {
        "file": file,
        "code": f"state_dict of torchvision.models.{type(model).__name__}",
        "method": "supervised",
        "options": {"method": "supervised"},
        "parameters": sum(p.numel() for p in trunk),
    }


def resnet(name: str, file: str) -> Callable[[Path], dict[str, Any]]:
    """A writer of one of torchvision's ResNets."""

    def write(folder: Path) -> dict[str, Any]:
        model = torchvision.models.get_model(name)
        known = saved(model, folder, file, "fc.")
        return {**known, "tokens": last_stage(model), "sizes": SIZES}

    return write


writer("torchvision-resnet18", "torchvision")(resnet("resnet18", "resnet18-f37072fd.pth"))
writer("torchvision-resnet50", "torchvision")(resnet("resnet50", "resnet50-11ad3fa6.pth"))
writer("torchvision-resnet101", "torchvision")(resnet("resnet101", "resnet101-cd907fc2.pth"))


@writer("torchvision-vit", "torchvision")
def vit(folder: Path) -> dict[str, Any]:
    """A ViT of two blocks; its class has other names than timm's."""

    def of_size(pixels: int) -> Any:
        return VisionTransformer(pixels, 16, 2, 12, hidden_dim=768, mlp_dim=3072).eval()

    model, larger = of_size(32), of_size(48)
    known = saved(model, folder, "vit_b_16-c867db91.pth", "heads.")
    larger.load_state_dict(interpolate_embeddings(48, 16, model.state_dict()))

    def tokens(images: Tensor) -> Tensor:
        network = model if images.shape[-1] == 32 else larger
        patches = network._process_input(images)
        return network.encoder(torch.cat([network.class_token, patches], dim=1))

    note = "it takes images of one size; for the other, interpolate_embeddings resized positions"
    return {**known, "tokens": tokens, "sizes": [(32, 32), (48, 48)], "note": note}


@writer("torchvision-swin", "torchvision")
def swin(folder: Path) -> dict[str, Any]:
    """A Swin of one or two blocks per stage, with the width of Swin-T."""
    model = SwinTransformer([4, 4], 96, [2, 1, 1, 2], [3, 6, 12, 24], [7, 7])
    known = saved(model, folder, "swin_t-704ceda3.pth", "head.")

    def tokens(images: Tensor) -> Tensor:
        return flat(model.permute(model.norm(model.features(images))))

    return {**known, "tokens": tokens, "sizes": [(64, 64), (96, 160)]}

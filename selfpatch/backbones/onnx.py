"""Backbone -> an ONNX model that takes any number of images of any size."""

import importlib.util
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.export import Dim

from selfpatch.atomic import atomic_write
from selfpatch.backbones.file import BackboneInfo
from selfpatch.errors import InputError
from selfpatch.models.swin import Swin
from selfpatch.models.trunks import Trunk
from selfpatch.models.vit import VisionTransformer

CHECKED_SIZES = [(1, 3, 64, 64), (3, 3, 96, 160), (2, 3, 224, 224)]
"""Batches that onnxruntime has to agree on, besides one of the trunk's native size."""

CUBIC = -0.75
"""The free constant of PyTorch's bicubic kernel (Keys, 1981)."""


class Portable(nn.Module):
    """``trunk.norm(trunk(images))``, written so that the size stays a variable of the graph.

    PyTorch's bicubic resizing of a ViT's positions becomes a product with a matrix per axis. That
    is how a graph is written, not what a trunk does: so the ViT is told apart here, and no trunk
    has a second forward for the export.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> tokens after the last norm, (B, prefix + rows * columns, D)."""
        if isinstance(self.trunk, VisionTransformer):
            return self.trunk.norm(self.vit_tokens(self.trunk, images))
        return self.trunk.norm(self.trunk(images))

    @staticmethod
    def vit_tokens(vit: VisionTransformer, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> the tokens that ``vit(images)`` gives."""
        patches = vit.patch_embed.proj(images)
        grid, count, own = patches.shape[-2:], images.shape[0], int(vit.cls_token is not None)
        sequence = [patches.flatten(2).transpose(1, 2)]
        first = [] if vit.cls_token is None else [vit.cls_token]
        if vit.pos_embed is not None:
            position, native = vit.pos_embed.split([own, vit.pos_embed.shape[1] - own], dim=1)
            sequence = [sequence[0] + resized(native, vit.native_grid, grid, vit.resizing)]
            first = [token + position for token in first]
        if vit.register_tokens is not None:
            first.append(vit.register_tokens)
        tokens = torch.cat([token.expand(count, -1, -1) for token in first] + sequence, dim=1)
        tokens, rotary = vit.norm_pre(tokens), vit.rotary(grid)
        for block in vit.blocks:
            tokens = vit.run_block(block, tokens, rotary)
        return tokens


def resized(
    positions: Tensor, native: tuple[int, int], grid: tuple[int, int], resizing: str = "dino"
) -> Tensor:
    """Positions of a grid (1, n * m, D) -> those of ``grid``, (1, rows * columns, D).

    The same as :func:`selfpatch.models.vit.resized_positions`, whose native grid is left as it is.
    """
    is_native = torch.stack(
        [torch.scalar_tensor(s) == n for s, n in zip(grid, native, strict=True)]
    ).all()
    offset = 0.1 if resizing == "dino" else 0.0
    along = [
        torch.where(is_native, same(one, side), bicubic(one, side, offset))
        for one, side in zip(native, grid, strict=True)
    ]
    return torch.einsum("rn,cm,nmd->rcd", *along, positions[0].unflatten(0, native)).flatten(0, 1)[
        None
    ]


def same(native: int, side: int) -> Tensor:
    """(side, native): ones on the diagonal."""
    return (torch.arange(side)[:, None] == torch.arange(native)).float()


def bicubic(native: int, side: int, offset: float) -> Tensor:
    """(side, native): PyTorch's bicubic interpolation with the scale (side + offset) / native."""
    places = (torch.arange(side)[:, None] + 0.5) * (native / (side + offset)) - 0.5
    before = places.floor()
    matrix = torch.zeros(1)
    for tap in (-1, 0, 1, 2):
        x = (places - before - tap).abs()
        if tap in (0, 1):
            weight = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
        else:
            weight = CUBIC * (((x - 5) * x + 8) * x - 4)
        taken = (before + tap).clamp(0, native - 1)  # the border is repeated
        matrix = matrix + weight * (taken == torch.arange(native))
    return matrix


def export_onnx(path: str | os.PathLike[str], trunk: Trunk, info: BackboneInfo) -> float:
    """Write the model and check it with onnxruntime; ``info`` goes into its metadata.

    Input ``images`` (B, 3, H, W), normalised; output ``tokens`` after the last norm. A Swin takes
    sides that are multiples of 32, everything else takes any size from one patch on.

    Returns:
        The largest difference from the trunk over all checked sizes, as a part of the largest
        value.

    Raises:
        InputError: The extra ``export`` is not installed, positions are resized in a way that no
            graph is written for, or onnxruntime computes something else.
    """
    resizing = getattr(trunk, "resizing", "dino")
    if resizing not in ("dino", "bicubic"):
        raise InputError(
            f"its positions are resized as {resizing!r}, which no graph is written for; export it"
            " as a backbone file or for timm"
        )
    for module in ("onnxscript", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            raise InputError(f"ONNX needs {module}: pip install 'selfpatch[export]'")
    smallest = trunk.patch_size
    sides = {2: Dim("height", min=smallest), 3: Dim("width", min=smallest)}
    if isinstance(trunk, Swin):  # which images a graph is written for concerns the export alone
        sides = {axis: 32 * Dim(f"{dim.__name__}_32", min=2) for axis, dim in sides.items()}
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            Portable(trunk).eval(),
            (torch.randn(2, 3, 96, 160),),
            dynamo=True,
            dynamic_shapes=({0: Dim("batch"), **sides},),
            input_names=["images"],
            output_names=["tokens"],
            verbose=False,
        )
    if program is None:
        raise AssertionError("torch.onnx.export gave no program")
    program.model.metadata_props["selfpatch"] = json.dumps(info.described())
    model = program.model_proto.SerializeToString()
    difference = largest_difference(model, trunk)
    if difference > 1e-4:
        raise InputError(f"onnxruntime differs by {difference:.1e} of the largest value")
    with atomic_write(path) as file:
        file.write(model)
    return difference


@torch.no_grad()
def largest_difference(model: bytes, trunk: Trunk) -> float:
    """How far onnxruntime's tokens are from the trunk's, as a part of the largest value."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    native = trunk.architecture.get("image_size", 224)
    sides = (native, native) if isinstance(native, int) else tuple(native)
    found = []
    for size in [*CHECKED_SIZES, (1, 3, *sides)]:
        images = torch.randn(size)
        wanted = trunk.norm(trunk(images))
        tokens = torch.from_numpy(session.run(["tokens"], {"images": images.numpy()})[0])
        found.append((tokens - wanted).abs().max().item() / wanted.abs().max().item())
    return max(found)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's remarks on itself from the terminal."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)

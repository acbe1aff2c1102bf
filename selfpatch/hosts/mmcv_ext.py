"""mmcv's compiled operators, as far as torchvision has them too: loaded as ``mmcv._ext``.

mmcv without its C++ extension is pure Python and installs in seconds. Of the operators in that
extension, the models of this suite call the three below. Their signatures are those of the
extension, their results too (``tests/hosts/test_mmcv_ext.py``); every other operator is refused
when it is called. :mod:`selfpatch.hosts.startup` brings this module in place where no compiled
one is installed.
"""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import torch
import torchvision
from torch import Tensor

_AVERAGE = 1
"""mmcv's number for pooling by the mean; 0 is the maximum."""


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: ``(n, 4)``: left, top, right, bottom.
        scores: ``(n,)``.
        iou_threshold: Of two boxes that overlap more than this, the better one stays.
        offset: 1 where right and bottom are the last pixels inside, 0 where they are edges.

    Returns:
        Indices of the boxes kept, best first; equal scores in the order of :func:`torch.sort`.
    """
    # The extension compares in single precision; 0.3 as a double would be another threshold.
    threshold = float(np.float32(iou_threshold))
    edges = boxes + boxes.new_tensor([0, 0, offset, offset])
    # It also sorts without caring for the order of equals; torchvision alone would keep it.
    best_first = scores.sort(descending=True)
    kept = torchvision.ops.nms(edges[best_first.indices], best_first.values, threshold)
    return best_first.indices[kept]


def roi_align_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign (Mask R-CNN, section 3) into ``output``.

    Args:
        features: ``(images, channels, rows, columns)``.
        rois: ``(n, 5)``: image, left, top, right, bottom, in pixels of the image.
        output: ``(n, channels, aligned_height, aligned_width)``, written in place.
        argmax_y: Unused, as is ``argmax_x``: they belong to pooling by the maximum.
        argmax_x: See ``argmax_y``.
        aligned_height: Rows of bins.
        aligned_width: Columns of bins.
        spatial_scale: Cells of the feature map per pixel.
        sampling_ratio: Points per side of a bin; 0: as many as the bin has cells.
        pool_mode: 1, the mean of a bin's points.
        aligned: Whether cells' centres lie at half numbers.
    """
    _refuse_maximum(pool_mode)
    # Not torchvision.ops.roi_align, which turns to slow Python where algorithms must be
    # deterministic; what it calls otherwise is this.
    output.copy_(
        torch.ops.torchvision.roi_align(
            _single(features),
            _single(rois),
            spatial_scale,
            aligned_height,
            aligned_width,
            sampling_ratio,
            aligned,
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient of :func:`roi_align_forward` to ``grad_input``, its features' shape."""
    _refuse_maximum(pool_mode)
    grad_input += torch.ops.torchvision._roi_align_backward(
        _single(grad_output),
        _single(rois),
        spatial_scale,
        aligned_height,
        aligned_width,
        *grad_input.shape,
        sampling_ratio,
        aligned,
    )


def get_compiler_version() -> str:
    """What mmcv reports as the compiler of its operators."""
    return f"none (operators of torchvision {torchvision.__version__})"


def get_compiling_cuda_version() -> str:
    """What mmcv reports as the CUDA version of its operators: torch's."""
    return torch.version.cuda or "not available"


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """Stand in for any other operator, so that importing mmcv.ops finds its names."""
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        _refuse(f"operator {name!r}")

    return missing


def _single(values: Tensor) -> Tensor:
    """Half precision -> single, as torchvision does under autocast: it has no kernels for bf16."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _refuse_maximum(pool_mode: int) -> None:
    if pool_mode != _AVERAGE:
        _refuse("RoIAlign with pool_mode='max'")


def _refuse(what: str) -> NoReturn:
    from selfpatch.errors import InputError  # not needed to import mmcv

    raise InputError(
        f"mmcv's {what} needs its compiled extension, and this mmcv has torchvision's operators"
        " only; `make setup MMCV=compiled` builds all of them, or install a compiled mmcv"
    )

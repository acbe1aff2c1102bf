"""Tracking on a GPU, without one: fake tensors know their device, and refuse those of another."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode

from davis_eval import features, propagation
from davis_eval.features import extract
from davis_eval.propagation import hard_mask, propagate
from davis_eval.settings import Propagation, Reading
from selfpatch import build_trunk


class InTurn(ThreadPoolExecutor):
    """Works in the thread that calls it, the only one whose new tensors are fake."""

    def map(self, function: Any, *iterables: Any, **_: Any) -> Iterator[Any]:  # type: ignore[override]
        return map(function, *iterables)


class Answer(TorchFunctionMode):
    """Whether fake tensors are true, which have no values that could tell; any other read fails.

    Each such read waits until a GPU has done all that it was given: they are counted.
    """

    def __init__(self, answer: bool) -> None:
        self.answer, self.reads = answer, 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function not in (Tensor.__bool__, Tensor.tolist):
            return function(*args, **(kwargs or {}))
        self.reads += 1
        return self.answer if function is Tensor.__bool__ else [self.answer] * len(args[0])


@pytest.fixture
def mode(monkeypatch) -> Iterator[FakeTensorMode]:
    """A mode for fake tensors; frames are loaded and tiles labelled in this thread."""
    monkeypatch.setattr(features, "ahead", map)
    monkeypatch.setattr(propagation, "tile_threads", lambda device: InTurn(1))
    monkeypatch.setattr(propagation, "TILE", 4)  # several to a frame
    monkeypatch.delattr(FakeTensor, "tolist")  # a read per value, unlike that of other tensors
    propagation.window_bias.cache_clear()
    yield FakeTensorMode()
    propagation.window_bias.cache_clear()


def on_gpu(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """A real model with its parameters and buffers as fake ones on a GPU."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                values = mode.from_tensor(parameter).detach().to("cuda")
                module._parameters[name] = nn.Parameter(values, requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = mode.from_tensor(buffer).to("cuda")
    return model


def test_a_tensor_that_is_left_on_the_cpu_is_found(mode):
    with mode, pytest.raises(RuntimeError, match="on the same device"):
        torch.ones(3, device="cuda") + torch.ones(3)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("trunk", ["vit_tiny", "swin_tiny", "resnet50"])
def test_features_propagation_and_mask_stay_on_the_gpu(trunk, ties, mode, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path in paths:
        Image.fromarray(np.zeros((96, 160, 3), dtype=np.uint8)).save(path)
    options = {"final_norm": True, "class_token": True} if trunk == "vit_tiny" else {}
    model = build_trunk(trunk, **options).eval()
    with mode:
        on_gpu(model, mode)
    tokens = "final-norm" if trunk == "vit_tiny" else "last-block"
    maps = extract(model, paths, Reading(tokens=tokens, short_side=96))
    with mode, Answer(ties) as answer:
        first = torch.zeros(3, 6, 8, device="cuda")
        later = {2: torch.full((3, 6, 8), -1.0, device="cuda")}
        found = list(propagate(maps, first, Propagation(context_frames=1), later))
        masks = [hard_mask(soft, 16) for soft in found]
    assert [soft.device.type for soft in found] == ["cuda"] * 3
    assert answer.reads == 3  # one per frame
    assert [(mask.device.type, tuple(mask.shape)) for mask in masks] == [("cuda", (96, 128))] * 3

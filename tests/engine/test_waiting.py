"""The host never waits for the device in a step, and all that a step needs is on the device."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from selfpatch.engine.loop import PretrainLoop
from selfpatch.engine.optimizer import PretrainOptimWrapper
from selfpatch.engine.pretrainer import Pretrainer
from tests.engine.test_pretrainer import TEMP, tiny
from tests.engine.tiny_pretraining import ACCUMULATED, CONFIG_OPTIONS, train
from tests.fake_gpu import fake_gpu, images, on_gpu

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal")
CONFIG = "demo_selfpatch.py"
QUIET = {"default_hooks.logger.interval": 1000, "default_hooks.tokens.interval": 1000}


class Waits(TorchDispatchMode):
    """Notes each operation whose outcome a host would have to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        indices = [i for i in args[1] if i is not None] if name.startswith("index") and (
            len(args) > 1 and isinstance(args[1], list | tuple)) else []  # fmt: skip
        by_mask = any(index.dtype in (torch.bool, torch.uint8) for index in indices)
        if by_mask or name.startswith(WAITS):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


FP16 = {"optim_wrapper.precision": "fp16"}


@pytest.mark.parametrize("changed", [{}, ACCUMULATED, FP16], ids=["batches", "accumulated", "fp16"])
@pytest.mark.parametrize("objective", ["dino", "moby", "mocov3"])
def test_a_step_waits_for_nothing(objective, changed, images, tmp_path, monkeypatch):
    steps = []
    run_iter = PretrainLoop.run_iter

    def watched(self: PretrainLoop, *args: object, **kwargs: object) -> None:
        with Waits() as waits:
            run_iter(self, *args, **kwargs)
        steps.append(waits.found)

    monkeypatch.setattr(PretrainLoop, "run_iter", watched)
    options = {**QUIET, **changed}
    if objective != "dino":
        own = {"_delete_": True, "name": objective, "hidden_dim": 8, "out_dim": 4}
        tiny_options = {n: v for n, v in CONFIG_OPTIONS[CONFIG].items() if "objective" not in n}
        monkeypatch.setitem(CONFIG_OPTIONS, CONFIG, {**tiny_options, "model.objective": own})
    train(CONFIG, images, tmp_path, **options)
    assert steps == [[]] * (12 if changed == ACCUMULATED else 6)


def test_a_wait_would_be_noted():
    values = torch.arange(4.0)
    with Waits() as waits:
        values.sum().item()
        values[values > 1]
        values[torch.tensor([0])]
        values[values > 1] = torch.ones(2)
    assert waits.found == ["_local_scalar_dense", "index", "index_put_"]


ABLATIONS = [None, {}, {"neighbourhood": "all", "k": "all"}, {"aggregation": "mean"},
             {"aggregation": "none", "views": "global"}, {"border": "clip"}]  # fmt: skip


@pytest.mark.parametrize("patches", ABLATIONS, ids=str)
@pytest.mark.parametrize("objective", ["dino", "moby", "mocov3"])
def test_everything_that_a_step_needs_is_on_the_device(objective, patches):
    model = tiny(objective, patches)
    with fake_gpu():
        on_gpu(model)
        views = [images(2, 3, 32, 32), images(2, 3, 32, 32), images(2, 3, 16, 16)]
        teacher = model.look(views)
        for first, run in model.runs(views):
            share = model(run, first, len(views), teacher, TEMP)
            assert share["loss"].device.type == "cuda"
        model.update(teacher)
        update(model)
        model.move_centers()
        model.move_teacher(0.9)


def update(model: Pretrainer) -> None:
    """Clip, and move the weights."""
    trained = [p for p in model.student.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.grad = torch.empty_like(parameter)
    groups = [{"params": trained, "decays": True}]
    optimizer = PretrainOptimWrapper(torch.optim.AdamW(groups, fused=True), clip_norm=3.0)
    assert optimizer.clip_gradients().device.type == "cuda"
    optimizer.step()

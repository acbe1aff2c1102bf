"""The host never waits for the device in a step, and all that a step needs is on the device."""

from contextlib import contextmanager
from itertools import cycle

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from selfpatch.data import photometric
from selfpatch.data.draws import Draws, Recipe, View
from selfpatch.engine.loop import PretrainLoop
from selfpatch.engine.optimizer import PretrainOptimWrapper
from selfpatch.engine.preprocessor import ViewPreprocessor, with_views
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


def test_a_batch_becomes_views_on_the_device_and_no_copy_is_waited_for(monkeypatch):
    recipe = Recipe([View(32, (0.25, 1.0), blur=0.5, solarize=0.3)] * 8)
    drawn = [list(photometric.steps(recipe.draw((n,), 50, 50)[1])) for n in range(2)]
    preprocess = ViewPreprocessor([120.0] * 3, [60.0] * 3)
    with fake_gpu():
        made = cycle([[(of, rows, torch.empty(values.shape)) for of, rows, values in run]
                     for run in drawn])  # fmt: skip
        monkeypatch.setattr(photometric, "steps", lambda _draws: next(made))
        # Memory that is not swapped takes a real GPU to be had.
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
        draws = Draws(*(torch.empty(2, 4) for _ in range(5)))
        crops = [torch.empty(2, 4, 3, side, side, dtype=torch.uint8) for side in (32, 16)]
        on_gpu(preprocess)._device = torch.device("cuda")
        batch = {"crops": crops, "draws": [draws, draws]}
        preprocess(batch)  # what is kept for all batches is made with the first one
        copies, to = [], torch.Tensor.to

        def noted(tensor: torch.Tensor, device: torch.device, non_blocking: bool = False):
            copies.append(non_blocking)
            return to(tensor, device)

        monkeypatch.setattr(torch.Tensor, "to", noted)
        views = preprocess(batch)
    assert [(tuple(view.shape), view.device.type) for view in views] == [
        ((2, 3, side, side), "cuda") for side in (32,) * 4 + (16,) * 4
    ]
    assert len(copies) > 20
    assert all(copies)


def test_views_are_made_beside_the_step_before_and_kept_until_their_own_is_done(monkeypatch):
    happened = []

    class Stream:
        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: "Stream") -> None:
            happened.append(f"{self.name} waits for {other.name}")

    class OneView:
        def record_stream(self, stream: Stream) -> None:
            happened.append(f"kept for {stream.name}")

    class Preprocess:
        device = torch.device("cuda")

        def __call__(self, batch: dict) -> list[OneView]:
            happened.append(f"views {batch['number']} on {current[-1].name}")
            return [OneView()]

    @contextmanager
    def on(stream: Stream):
        current.append(stream)
        yield
        current.pop()

    current = [Stream("steps")]
    monkeypatch.setattr(torch.cuda, "Stream", lambda *_, **__: Stream("beside"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: current[-1])
    monkeypatch.setattr(torch.cuda, "stream", on)
    for batch in with_views([{"number": 0}, {"number": 1}], Preprocess()):
        happened.append(f"step {batch['number']}")
    one = ["steps waits for beside", "kept for steps"]
    assert happened == ["views 0 on beside", *one, "step 0", "views 1 on beside", *one, "step 1"]

"""A training step of ours in turns with a textbook's: seconds, share of the device's rate, memory.

Both have the same weights and views: two of 224 pixels and eight of 96. Memory is that of a process
of its own. The loss after the timed steps shows that they train.

Examples:
    python -m tools.benchmarks.step
    python -m tools.benchmarks.step --device cuda --precision bf16 --batch 128
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor

import selfpatch.engine  # noqa: F401 (registers the model)
from selfpatch.data.allocation import keep_freed_memory
from selfpatch.engine.loop import add_gradients, move
from selfpatch.engine.optimizer import PRECISIONS, DecayGroups, PretrainOptimWrapper
from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.engine.schedules import StepSettings
from tools.benchmarks.textbook_step import TEACHER_TEMP, Textbook
from tools.benchmarks.turns import (
    Work,
    add_arguments,
    flops,
    in_turns,
    matmul_rate,
    peak_mib,
    report,
)  # fmt: skip

CONFIGS = Path(__file__).resolve().parents[2] / "selfpatch/configs"
METHODS = {
    "dino": "dino-matched_vit-s16_8xb128-200e_in1k.py",
    "dino+selfpatch": "selfpatch_vit-s16_8xb128-200e_in1k.py",
}
SETTINGS = StepSettings(1e-4, 0.04, 0.996, TEACHER_TEMP, last_layer_frozen=False)
COLUMNS = ["method", "s", "textbook s", "times as fast", "images/s", "TFLOP", "share of peak",
           "peak MiB", "textbook MiB", "share of memory", "loss", "textbook loss"]  # fmt: skip


def main() -> None:
    """Read the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, pairs=5)
    parser.add_argument("--precision", choices=list(PRECISIONS)[:2], default="fp32")
    parser.add_argument("--batch", type=int, default=8, help="images of a step")
    parser.add_argument("--variant", default="vit_small")
    args = parser.parse_args()
    rows = [measured(method, args) for method in METHODS]
    report(COLUMNS, rows, args)


def measured(method: str, args: argparse.Namespace) -> list:
    """A row of the table."""
    what = (method, args.variant, args.precision, args.batch, args.device)
    losses: list[list[Any]] = [[], []]
    steps = [step(way, *what) for way in ("ours", "textbook")]

    def noted(which: int) -> Work:
        return lambda: losses[which].append(steps[which]())

    work = flops(steps[0])
    steps[1]()
    turns = in_turns(noted(0), noted(1), args.pairs, args.device)
    rate = matmul_rate(args.device, PRECISIONS[args.precision])
    ours, textbook = turns.seconds
    del steps[:]
    memory = [peak_mib(several_steps, way, *what) for way in ("ours", "textbook")]
    return [
        method, ours, textbook, turns.ratio, args.batch / ours, work / 1e12,
        work / ours / rate, *memory, memory[0] / memory[1], float(losses[0][-1]), losses[1][-1],
    ]  # fmt: skip


def several_steps(way: str, *what: object) -> None:
    """As many steps as it takes until memory no longer grows."""
    work = step(way, *what)  # type: ignore[arg-type]
    for _ in range(3):
        work()


def step(way: str, method: str, variant: str, precision: str, batch: int, device: str) -> Work:
    """A step of one of the two ways, which returns its loss."""
    if way == "ours" and device == "cpu":
        keep_freed_memory(2**31 - 1)  # as a run does; the textbook in this process profits, too
    model, views = build(method, variant, device), views_of(batch, device)
    if way == "ours":
        return ours(model, optimizer_of(model, precision), views)
    textbook = Textbook(model, SETTINGS.lr, SETTINGS.weight_decay)
    return lambda: textbook.step(views, SETTINGS.momentum, PRECISIONS[precision])


def build(method: str, variant: str, device: str) -> Pretrainer:
    """A method's model with another trunk, the same weights each time."""
    cfg = Config.fromfile(CONFIGS / METHODS[method])
    cfg.model.trunk.variant = variant
    torch.manual_seed(0)
    model: Pretrainer = MODELS.build(cfg.model).to(device).train()
    return model


def views_of(batch: int, device: str) -> list[Tensor]:
    """Views that are noise: what they show costs nothing."""
    shapes = [224] * 2 + [96] * 8
    return [torch.randn(batch, 3, side, side, device=device) for side in shapes]


def optimizer_of(model: Pretrainer, precision: str) -> PretrainOptimWrapper:
    """The recipe's optimiser."""
    wrapper = {"type": "PretrainOptimWrapper", "clip_norm": 3.0, "precision": precision}
    wrapper["optimizer"] = {"type": "AdamW"}
    optimizer: PretrainOptimWrapper = DecayGroups(wrapper)(model)
    optimizer.set_rates(SETTINGS.lr, SETTINGS.weight_decay)
    return optimizer


def ours(model: Pretrainer, optimizer: PretrainOptimWrapper, views: list[Tensor]) -> Work:
    """The lines that a run computes a step with."""

    def run() -> Tensor:
        losses = add_gradients(model, optimizer, views, SETTINGS.teacher_temp)
        move(model, optimizer, SETTINGS)
        return losses["loss"]

    return run


if __name__ == "__main__":
    main()

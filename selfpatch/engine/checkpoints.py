"""A running training -> checkpoints that can be trusted, and back."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, is_main_process, master_only
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from selfpatch.atomic import atomic_write
from selfpatch.backbones.file import read_backbone, save_backbone
from selfpatch.data.draws import DRAWS
from selfpatch.engine.resuming import settings_of, take_up
from selfpatch.engine.sharding import gathered, is_sharded, scatter_checkpoint, whole_weights
from selfpatch.errors import InputError
from selfpatch.models.distributed import unwrapped
from selfpatch.results.versions import installed_versions


@HOOKS.register_module()
class Checkpoints(Hook):
    """Save regularly and after the last epoch; keep the last ones and every so many for good.

    An old checkpoint is deleted only after the new one is complete.

    Args:
        interval: Epochs, or iterations, between two checkpoints.
        by_epoch: Count epochs.
        keep_last: Newest checkpoints to keep; 0 keeps all.
        keep_every: Checkpoints whose number divides by this one stay; 0 keeps none for good.
    """

    priority = "VERY_LOW"

    def __init__(
        self, interval: int = 1, by_epoch: bool = True, keep_last: int = 3, keep_every: int = 0
    ) -> None:
        if not interval >= 1 or min(keep_last, keep_every) < 0:
            raise InputError(
                f"default_hooks.checkpoint: interval={interval} must be 1 or above,"
                f" keep_last={keep_last} and keep_every={keep_every} 0 or above"
            )
        self.interval, self.by_epoch = interval, by_epoch
        self.keep_last, self.keep_every = keep_last, keep_every
        self.unit = "epoch" if by_epoch else "iter"
        self.provenance: dict[str, Any] = {}
        self.last: Path | None = None

    def before_train(self, runner: Runner) -> None:
        """Refuse to save between two accumulated batches: their gradients would be lost."""
        accumulated = runner.optim_wrapper.accumulative_counts
        if not self.by_epoch and self.interval % accumulated:
            raise InputError(
                f"default_hooks.checkpoint.interval={self.interval} iterations does not divide by"
                f" optim_wrapper.accumulative_counts={accumulated}; make it a multiple"
            )
        self.provenance = {
            "recipe": runner.cfg.pretty_text,
            "versions": installed_versions(),
            "git": git_state(),
            "settings": settings_of(runner),
            "draws": DRAWS,
            "accumulative_counts": accumulated,
        }

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save every ``interval`` iterations and after the last one."""
        if self.by_epoch:
            return
        last = runner.iter + 1 == runner.max_iters
        if last or self.every_n_train_iters(runner, self.interval):
            self._save(runner, runner.iter + 1, {"epoch": runner.epoch, "iter": runner.iter + 1})

    def after_train_epoch(self, runner: Runner) -> None:
        """Save every ``interval`` epochs and after the last one."""
        if not self.by_epoch:
            return
        last = runner.epoch + 1 == runner.max_epochs
        if last or self.every_n_epochs(runner, self.interval):
            self._save(runner, runner.epoch + 1, {"epoch": runner.epoch + 1, "iter": runner.iter})

    def _save(self, runner: Runner, number: int, meta: dict[str, int]) -> None:
        """Write everything a run needs to go on, in plain types only."""
        runner.train_loop.read()  # which ends a run whose losses are not finite
        model = unwrapped(runner.model)
        checkpoint = {
            "meta": {**meta, "seed": runner.seed, "experiment_name": runner.experiment_name},
            "state_dict": whole_weights(model),
            "optimizer": gathered(runner.optim_wrapper.state_dict()),
            "message_hub": {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}},
            "selfpatch": {
                "architecture": architecture_of(model),
                "method": model.method,
                **self.provenance,
            },
        }
        if is_main_process():
            path = Path(runner.work_dir, f"{self.unit}_{number}.pth")
            with atomic_write(path) as file:
                torch.save(checkpoint, file)
            runner.logger.info(f"saved {path}")
            self._prune(path.parent, number)
            self.last = path

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take up a run where it stopped; shard what was saved whole."""
        if runner._resume:
            take_up(runner, checkpoint)
        model = unwrapped(runner.model)
        if is_sharded(model):
            scatter_checkpoint(checkpoint, model, runner.optim_wrapper.optimizer)

    def _prune(self, folder: Path, newest_number: int) -> None:
        """Delete what need not be kept of the checkpoints up to the one just written."""
        numbers = sorted(
            int(match[1])
            for path in folder.glob(f"{self.unit}_*.pth")
            if (match := re.fullmatch(rf"{self.unit}_(\d+)\.pth", path.name))
            and int(match[1]) <= newest_number  # a greater one was damaged, and is written again
        )
        for number in numbers[: -self.keep_last] if self.keep_last else []:
            if not self.keep_every or number % self.keep_every:
                (folder / f"{self.unit}_{number}.pth").unlink()

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Write the last checkpoint's teacher as ``backbone.safetensors``."""
        path = Path(runner.work_dir, "backbone.safetensors")
        info = save_backbone(path, *read_backbone(self.last or newest(runner.work_dir)[0]))
        runner.logger.info(f"backbone file: {path} ({info.method}, {info.fingerprint[:12]})")


def architecture_of(model: Any) -> dict[str, Any]:
    """The teacher's trunk, and how the images that it has seen were normalised."""
    pixels = model.data_preprocessor
    mean, std = (
        [round(v / 255, 6) for v in x.flatten().tolist()] for x in (pixels.mean, pixels.std)
    )
    return {**model.teacher.trunk.architecture, "mean": mean, "std": std}


def git_state() -> str:
    """Commit of this source tree, with ``+changes`` if it was edited; empty outside of git."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        if commit.returncode:
            return ""
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True
        )
    except OSError:
        return ""
    return commit.stdout.strip() + "+changes" * bool(status.stdout.strip())


def newest(work_dir: str | os.PathLike[str]) -> list[Path]:
    """The checkpoints of a run, that of the greatest number first, whatever the files' times.

    Only those of epochs and of iterations, which a run has after its interval was changed, cannot
    be told by their numbers.
    """
    found = [
        (match[1], int(match[2]), path)
        for path in Path(work_dir).glob("*.pth")
        if (match := re.fullmatch(r"(epoch|iter)_(\d+)\.pth", path.name))
    ]
    if len({unit for unit, _, _ in found}) > 1:
        found.sort(key=lambda entry: entry[2].stat().st_mtime_ns)
    else:
        found.sort(key=lambda entry: entry[1])
    return [path for _, _, path in reversed(found)]


def find_checkpoint(work_dir: str) -> str | None:
    """The newest checkpoint that is whole, the same for all processes; None if there is none.

    Raises:
        InputError: There are checkpoints, and none can be read.
    """
    answer: list[Any] = [None]
    if is_main_process():
        answer = [_find_checkpoint(work_dir)]
    broadcast_object_list(answer)
    if isinstance(answer[0], InputError):
        raise answer[0]
    return answer[0]


def _find_checkpoint(work_dir: str) -> str | InputError | None:
    damaged = []
    for path in newest(work_dir):
        damage = damage_of(path)
        if damage is None:
            return str(path)
        damaged.append(f"{path} ({damage})")
        print(f"cannot resume from {damaged[-1]}; trying the one before", file=sys.stderr)
    if not damaged:
        return None
    return InputError(f"cannot resume from {' nor '.join(damaged)}; delete what is damaged")


def damage_of(path: Path) -> str | None:
    """What keeps a checkpoint from being used; None for a whole and safe one."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return "its content does not fit its checksum"
        content = torch.load(path, map_location="meta", weights_only=True, mmap=True)
    except zipfile.BadZipFile:
        return "it is not complete"
    except Exception as error:  # whatever a hostile or damaged pickle makes torch raise
        return f"it cannot be read safely: {type(error).__name__}"
    missing = {"state_dict", "optimizer", "meta", "selfpatch"} - set(content)
    return f"it lacks {', '.join(sorted(missing))}" if missing else None

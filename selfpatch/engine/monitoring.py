"""What a pretraining run is worth while it runs: k-NN accuracy, probes, spread of the tokens."""

import os
import shlex
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from selfpatch.atomic import atomic_write
from selfpatch.data.labelled import labelled_pair
from selfpatch.engine.checkpoints import architecture_of
from selfpatch.engine.pretrainer import Network
from selfpatch.engine.sharding import whole_teacher
from selfpatch.errors import InputError
from selfpatch.models.distributed import unwrapped
from selfpatch.probes.knn import knn_accuracy
from selfpatch.results.file import read_results

OF_A_GROUP = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Variables of a process that is one of several."""


class EvaluationHook(Hook, ABC):
    """Evaluate the teacher before training, every ``interval`` epochs and after the last one.

    Args:
        interval: In epochs.
    """

    priority = "LOWEST"  # after the checkpoint

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval
        self.was_run = False

    def before_train(self, runner: Runner) -> None:
        """What random weights are worth; a resumed run knows already."""
        if runner.iter == 0:
            self.run(runner, epoch=0)

    def after_train_epoch(self, runner: Runner) -> None:
        """Evaluate when it is time to."""
        last = runner.epoch + 1 == runner.max_epochs
        if last or self.every_n_epochs(runner, self.interval):
            self.run(runner, runner.epoch + 1)

    def after_train(self, runner: Runner) -> None:
        """Evaluate a run that was finished when it was resumed."""
        if not self.was_run:
            self.run(runner, runner.epoch)

    @torch.no_grad()
    def run(self, runner: Runner, epoch: int) -> None:
        """Evaluate on the first process and log; the others wait."""
        self.was_run = True
        teacher = whole_teacher(unwrapped(runner.model)).eval()
        if is_main_process():
            metrics = self.evaluate(runner, teacher)
            runner.visualizer.add_scalars({**metrics, "epoch": epoch}, step=runner.iter)
            shown = ", ".join(f"{name} {value:.2f}" for name, value in metrics.items())
            runner.logger.info(f"Epoch [{epoch}] {shown}")
        teacher.train()
        barrier()

    @abstractmethod
    def evaluate(self, runner: Runner, teacher: Network) -> dict[str, float]:
        """Metrics by the name they are logged under."""


@HOOKS.register_module()
class KNNAccuracy(EvaluationHook):
    """Top-1 accuracy of the weighted nearest neighbours, DINO's protocol, in percent.

    Args:
        train: Labelled images that vote, one folder per class.
        val: Labelled images that are classified; its classes are among those of ``train``.
        k: Votes per image.
        temperature: Temperature of the votes.
        size: Side of the square the images are resized and cropped to; that of the first view, if
            left out.
        batch_size: Images per forward pass.
        interval: In epochs.
    """

    def __init__(
        self,
        train: str,
        val: str,
        k: int = 20,
        temperature: float = 0.07,
        size: int | None = None,
        batch_size: int = 64,
        interval: int = 1,
    ) -> None:
        super().__init__(interval)
        self.folders, self.size = (train, val), size
        self.k, self.temperature, self.batch_size = k, temperature, batch_size

    def before_train(self, runner: Runner) -> None:
        """List the images, so that a wrong folder shows at once."""
        size = self.size or runner.cfg.views[0].size
        self.bank, self.queries = labelled_pair(*self.folders, size)
        super().before_train(runner)

    def evaluate(self, runner: Runner, teacher: Network) -> dict[str, float]:
        """Classify the validation images by their neighbours in the bank."""
        normalized = unwrapped(runner.model).data_preprocessor.normalized

        def summaries(images: Tensor) -> Tensor:
            return teacher.features(normalized(images))[0]

        accuracies = knn_accuracy(
            summaries,
            self.bank,
            self.queries,
            [self.k],
            self.temperature,
            self.batch_size,
            runner.train_dataloader.num_workers,
        )
        return {"knn_top1": accuracies[f"{self.k}-NN"]}


@HOOKS.register_module()
class Probe(EvaluationHook):
    """What ``selfpatch probe`` measures of the teacher, by that command in a process of its own.

    The latest result of each probe stays in ``probes`` in the work dir.

    Args:
        line: What follows ``selfpatch probe``, such as ``in-context --ade20k DIR --size 224``.
        interval: In epochs.
    """

    def __init__(self, line: str, interval: int = 1) -> None:
        super().__init__(interval)
        self.line, self.task = shlex.split(line), ""

    def evaluate(self, runner: Runner, teacher: Network) -> dict[str, float]:
        """Write the teacher as a checkpoint, and let the command measure it.

        Raises:
            InputError: The command ended with an error before anything was trained.
        """
        model = unwrapped(runner.model)
        folder = Path(runner.work_dir, "probes")
        checkpoint, out = folder / "teacher.pth", folder / "result.json"
        weights = {f"teacher.{name}": value for name, value in teacher.state_dict().items()}
        about = {"architecture": architecture_of(model), "method": model.method, "recipe": ""}
        with atomic_write(checkpoint) as file:
            torch.save({"state_dict": weights, "selfpatch": about}, file)
        device = str(next(teacher.parameters()).device)
        command = [sys.executable, "-m", "selfpatch", "probe", *self.line, "--device", device]
        command += ["--weights", str(checkpoint), "--out", str(out)]
        alone = {name: value for name, value in os.environ.items() if name not in OF_A_GROUP}
        done = subprocess.run(command, env=alone, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        checkpoint.unlink()
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
            sentence = f"`selfpatch probe {shlex.join(self.line)}` said: {said[-1]}"
            if runner.iter == 0:
                raise InputError(sentence)
            runner.logger.warning(sentence)  # what was trained is worth more
            return {}
        (result,) = read_results([out]).values()
        self.task = result.task
        others = [hook for hook in runner.hooks if isinstance(hook, Probe) and hook is not self]
        if self.task in [other.task for other in others]:
            raise InputError(f"two of the probes are {self.task}; leave one of them")
        out.replace(folder / f"{result.task}.json")
        return {
            f"{result.task}/{name}": value
            for name, value in result.metrics.items()
            if value is not None
        }


@HOOKS.register_module()
class TokenSpread(Hook):
    """Log how different the teacher's patch tokens are: a collapse shows here first.

    ``token_similarity`` is the mean cosine similarity of two patches of an image, 1 if all are
    alike; ``token_rank`` the effective rank of the tokens of a batch, 1 if they lie on a line.

    Args:
        interval: In iterations.
        num_images: First so many images of the batch that are looked at.
    """

    priority = "BELOW_NORMAL"  # before the logger

    def __init__(self, interval: int = 50, num_images: int = 16) -> None:
        self.interval, self.num_images = interval, num_images

    @torch.no_grad()
    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Look at the tokens of the first view."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        model = unwrapped(runner.model)
        teacher = whole_teacher(model)
        if not is_main_process():
            return
        tokens = teacher.features(data_batch["views"][0][: self.num_images])[1].float()
        hub = runner.message_hub
        hub.update_scalar("train/token_similarity", mean_similarity(tokens))
        hub.update_scalar("train/token_rank", effective_rank(tokens.flatten(0, 1)))


def mean_similarity(tokens: Tensor) -> float:
    """Mean cosine similarity over all pairs of different tokens of an image, (B, N, D), N > 1."""
    unit = F.normalize(tokens, dim=-1)
    count = tokens.shape[1]
    pairs = unit.sum(1).square().sum(-1) - count
    return (pairs / (count * (count - 1))).mean().item()


def effective_rank(vectors: Tensor) -> float:
    """exp of the entropy of the normalised singular values of ``vectors`` (M, D).

    Source: Roy and Vetterli, The effective rank; used for collapse in RankMe (Garrido et al.).
    """
    values = torch.linalg.svdvals(vectors)
    share = values / values.sum()
    return torch.special.entr(share).sum().exp().item()

"""Config and command line -> a pretraining run."""

import difflib
import inspect
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from selfpatch.engine.checkpoints import find_checkpoint, newest
from selfpatch.engine.runner import PretrainRunner
from selfpatch.errors import InputError, config_errors_as_sentences

OWN_SETTINGS = ("total_batch_size", "views", "sharded")
READ_BY_MMENGINE = ("default_scope", "custom_imports", "env_cfg")


def pretrain(
    config: str,
    data: str | None = None,
    work_dir: str | None = None,
    resume: bool = False,
    launcher: str = "none",
    options: dict | None = None,
    hooks: Sequence[dict] = (),
) -> None:
    """Train as the config says; leaves checkpoints and ``backbone.safetensors`` in the work dir.

    Args:
        config: The config's path.
        data: Image folder; the config's own, if left out.
        work_dir: Where to write; ``work_dirs/<config's name>``, if left out.
        resume: Go on from the work dir's newest checkpoint that is whole, if it has one.
        launcher: ``none``, ``pytorch`` (torchrun) or ``slurm``.
        options: Settings that override the config's, by dotted name.
        hooks: Configs of further hooks, such as :func:`evaluations`.
    """
    with config_errors_as_sentences(config):
        cfg = read_config(config, options or {})
        cfg.work_dir = work_dir or cfg.get("work_dir") or f"work_dirs/{Path(config).stem}"
        if data is not None:
            cfg.train_dataloader.dataset.folder = data
        cfg.launcher = launcher
        world_size = start_processes(cfg)
        cfg.train_dataloader.batch_size = batch_per_process(cfg, world_size)
        cfg.train_dataloader.dataset.seed = cfg.randomness.seed
        cfg.train_dataloader.dataset.views = cfg.views
        if cfg.train_dataloader.num_workers == 0:
            cfg.train_dataloader.persistent_workers = False
        cfg.custom_hooks = [*cfg.get("custom_hooks", []), *hooks]
        cfg.train_dataloader.sampler.step_size = cfg.total_batch_size
        if resume:
            cfg.load_from = find_checkpoint(cfg.work_dir)
            cfg.resume = cfg.load_from is not None
        elif newest(cfg.work_dir):
            raise InputError(
                f"{cfg.work_dir} holds checkpoints of an earlier run;"
                " add --resume or name another --work-dir"
            )
        runner = PretrainRunner.from_cfg(cfg)
        runner.train()
        if world_size > 1:  # a process that left before the others would break their connections
            torch.distributed.barrier()
            torch.distributed.destroy_process_group()


def evaluations(
    knn: tuple[str, str] | None = None, davis: str | None = None, interval: int = 1
) -> list[dict]:
    """Hooks that evaluate while a run trains: k-NN on (train, val) folders, J&F on DAVIS videos."""
    hooks: list[dict] = []
    if knn is not None:
        hooks.append({"type": "KNNAccuracy", "train": knn[0], "val": knn[1], "interval": interval})
    if davis is not None:
        import_modules_from_strings("davis_eval.training")  # stands above this package
        hooks.append({"type": "DavisScore", "davis": davis, "interval": interval})
    return hooks


def read_config(path: str, options: dict) -> Config:
    """Read a config and its overrides; a setting that nothing would read is refused."""
    if not Path(path).is_file():
        raise InputError(f"the config {path} does not exist; see selfpatch/configs")
    cfg = Config.fromfile(path)
    known = {*inspect.signature(Runner.__init__).parameters, *OWN_SETTINGS, *READ_BY_MMENGINE}
    cfg.merge_from_dict(options)
    import_modules_from_strings(**cfg.custom_imports)  # those that an option named, too
    if "views" in cfg.train_dataloader.dataset:
        raise InputError(f"{path} sets the data set's views; set views at the top instead")
    if cfg.train_cfg.max_epochs < 1:
        raise InputError(f"train_cfg.max_epochs={cfg.train_cfg.max_epochs}; give 1 or more")
    for name in cfg:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "nothing reads it."
            raise InputError(f"{path} has the unknown setting {name!r}; {hint}")
    return cfg


def start_processes(cfg: Config) -> int:
    """Join the processes of a distributed run; returns how many there are."""
    if cfg.launcher == "none":
        return 1
    if cfg.launcher == "pytorch" and "RANK" not in os.environ:
        raise InputError("--launcher pytorch takes a command that begins with torchrun")
    if torch.cuda.is_available():
        init_dist(cfg.launcher)
    else:  # mmengine's own set-up asks for a GPU
        torch.distributed.init_process_group("gloo")
    return torch.distributed.get_world_size()


def batch_per_process(cfg: Config, world_size: int) -> int:
    """Share the images of a step out over processes and accumulated batches."""
    shares = world_size * cfg.optim_wrapper.get("accumulative_counts", 1)
    if cfg.total_batch_size % shares:
        raise InputError(
            f"total_batch_size={cfg.total_batch_size} does not divide by {shares}"
            " (processes times accumulative_counts); change one of them"
        )
    return cfg.total_batch_size // shares

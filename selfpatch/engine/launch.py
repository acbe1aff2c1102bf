"""Config and command line -> a pretraining run."""

import difflib
import importlib.util
import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from selfpatch.atomic import one_run_in
from selfpatch.data.views import MultiViewDataset
from selfpatch.engine.checkpoints import find_checkpoint, newest
from selfpatch.engine.runner import PretrainRunner
from selfpatch.engine.summary import summary
from selfpatch.errors import InputError, config_errors_as_sentences
from selfpatch.processes import start_processes

OWN_SETTINGS = ("total_batch_size", "views", "sharded")
READ_BY_MMENGINE = (
    "default_scope", "custom_imports", "env_cfg", "compile", "activation_checkpointing",
)  # fmt: skip
SECTIONS = ("model", "train_dataloader", "train_cfg", "optim_wrapper")
LOADING = ("folder", "num_workers", "pin_memory", "max_images", "photometric_in_workers")


def pretrain(cfg: Config, resume: bool = False) -> None:
    """Train as the config says; leaves checkpoints and ``backbone.safetensors`` in its work dir.

    Args:
        cfg: See :func:`read_config`.
        resume: Go on from the work dir's newest checkpoint that is whole, if it has one.

    Raises:
        InputError: Something cannot be built from the config, or a checkpoint is in the way.
    """
    with config_errors_as_sentences(cfg.filename):
        start_processes(cfg.launcher)
        with one_run_in(cfg.work_dir) if is_main_process() else nullcontext():
            train(cfg, resume)
    if torch.distributed.is_initialized():
        # A process that left before the others would break their connections.
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def train(cfg: Config, resume: bool) -> None:
    """Train in this process, alone or as one of several."""
    if resume:
        cfg.load_from = find_checkpoint(cfg.work_dir)
        cfg.resume = cfg.load_from is not None
    elif newest(cfg.work_dir):
        raise InputError(
            f"{cfg.work_dir} holds checkpoints of an earlier run;"
            " add --resume or name another --work-dir"
        )
    PretrainRunner.from_cfg(cfg).train()


def described(cfg: Config) -> str:
    """What a run would be, without one."""
    with config_errors_as_sentences(cfg.filename):
        loading = cfg.train_dataloader
        dataset = MultiViewDataset(loading.folder, cfg.views, 0, loading.get("max_images"))
        return summary(cfg, dataset)


def evaluations(
    knn: tuple[str, str] | None = None,
    davis: str | None = None,
    interval: int = 1,
    probes: Sequence[str] = (),
) -> list[dict]:
    """Hooks that evaluate while a run trains.

    Args:
        knn: Folders of labelled images that vote and that are classified.
        davis: Folder of videos to follow objects in.
        interval: Epochs from one evaluation to the next.
        probes: What follows ``selfpatch probe``, see :class:`selfpatch.engine.monitoring.Probe`.
    """
    hooks: list[dict] = []
    if knn is not None:
        hooks.append({"type": "KNNAccuracy", "train": knn[0], "val": knn[1], "interval": interval})
    if davis is not None:
        import_modules_from_strings("davis_eval.training")  # stands above this package
        hooks.append({"type": "DavisScore", "davis": davis, "interval": interval})
    hooks += [{"type": "Probe", "line": line, "interval": interval} for line in probes]
    return hooks


def read_config(
    path: str,
    options: dict | None = None,
    data: str | None = None,
    work_dir: str | None = None,
    launcher: str = "none",
    hooks: Sequence[dict] = (),
) -> Config:
    """Everything that a run depends on, in one config; a setting that nothing reads is refused.

    Args:
        path: The config's path.
        options: Settings that override the config's, by dotted name.
        data: Image folder; the config's own, if left out.
        work_dir: Where to write; ``work_dirs/<config's name>``, if left out.
        launcher: ``none``, ``pytorch`` (torchrun) or ``slurm``.
        hooks: Configs of further hooks, such as :func:`evaluations`.
    """
    if not Path(path).is_file():
        raise InputError(f"the config {path} does not exist; see `selfpatch list configs`")
    with config_errors_as_sentences(path):
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(options or {})
        imports = cfg.get("custom_imports") or {"imports": []}  # those of an option, too
        if not {"imports"} <= set(imports) <= {"imports", "allow_failed_imports"}:
            raise InputError(f"{path} has custom_imports without a list of imports: {imports}")
        import_modules_from_strings(**imports)
    known = {*inspect.signature(Runner.__init__).parameters, *OWN_SETTINGS, *READ_BY_MMENGINE}
    for name in cfg:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "nothing reads it."
            raise InputError(f"{path} has the unknown setting {name!r}; {hint}")
    if lacking := [name for name in SECTIONS if not isinstance(cfg.get(name), dict)]:
        raise InputError(f"{path} has no section {lacking[0]}; see `selfpatch list configs`")
    for name in cfg.train_dataloader:
        if name not in LOADING:
            raise InputError(
                f"{path} has the unknown setting train_dataloader.{name}; known are"
                f" {', '.join(LOADING)}, beside views and total_batch_size at the top"
            )
    epochs = cfg.train_cfg.get("max_epochs")
    if not isinstance(epochs, int) or epochs < 1:
        raise InputError(f"train_cfg.max_epochs={epochs!r}; give 1 or more")
    if data is not None:
        cfg.train_dataloader.folder = data
    cfg.work_dir = work_dir or cfg.get("work_dir") or f"work_dirs/{Path(path).stem}"
    cfg.launcher = launcher
    own_hooks = cfg.get("custom_hooks") or []
    if not isinstance(own_hooks, list):
        raise InputError(f"custom_hooks={own_hooks!r} is no list of hooks' configs")
    cfg.custom_hooks = [*own_hooks, *hooks]
    return cfg


def watched_by(cfg: Config, tensorboard: bool = False, wandb: bool = False) -> None:
    """Let a run log to TensorBoard and Weights & Biases, beside its own files.

    Raises:
        InputError: The package is not installed.
    """
    backends = {"TensorboardVisBackend": ("tensorboard", tensorboard)}
    backends["WandbVisBackend"] = ("wandb", wandb)
    wanted = [(kind, package) for kind, (package, asked) in backends.items() if asked]
    for _, package in wanted:
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{package} is not installed; `pip install {package}` brings it")
    if wanted:
        kinds = ["LocalVisBackend", *(kind for kind, _ in wanted)]
        cfg.visualizer = {"type": "Visualizer", "vis_backends": [{"type": kind} for kind in kinds]}

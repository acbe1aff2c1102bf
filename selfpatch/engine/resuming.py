"""A checkpoint and the run that takes it up -> whether they are one run, and where it goes on."""

import re
from typing import Any

from mmengine.runner import Runner

from selfpatch.data.draws import DRAWS
from selfpatch.data.views import MultiViewDataset
from selfpatch.errors import InputError
from selfpatch.results.file import described_data
from selfpatch.results.settings import Settings, flat

FREE = re.compile(
    r"^(work_dir|load_from|resume|launcher|log_level|log_processor|experiment_name|visualizer"
    r"|vis_backends|env_cfg|default_hooks|custom_hooks|custom_imports|default_scope|sharded"
    r"|compile|activation_checkpointing|train_dataloader|optim_wrapper\.accumulative_counts)(\.|$)"
)
"""What decides how a run is carried out, watched and shared out, and not what is trained."""

MEANT = ("train_cfg.max_epochs",)
"""What may be changed on purpose; the schedules are then those of the new length."""


def settings_of(runner: Runner) -> Settings:
    """All that a run depends on: its recipe, its seed, and what images it has."""
    recipe = {n: v for n, v in flat(runner.cfg.to_dict()).items() if not FREE.search(n)}
    dataset = runner.train_dataloader.dataset
    if not isinstance(dataset, MultiViewDataset):  # one of a user's own, which has no files
        return {**recipe, "images": len(dataset)}
    names = (dataset.images.name(i).rsplit("/", 1)[-1] for i in range(len(dataset)))
    data = described_data("", names, "images")
    return {**recipe, "images": data["count"], "names of the images": data["names"]}


def take_up(runner: Runner, checkpoint: dict[str, Any]) -> None:
    """Refuse a checkpoint of another run; count its iterations in this run's batches.

    A step may be made of more or fewer batches than before, as with fewer processes: it is the
    steps done that count.

    Raises:
        InputError: Names what differs.
    """
    note = checkpoint["selfpatch"]
    if note.get("draws", 1) != DRAWS:
        code = f"of commit {note['git']}" if note["git"] else "that wrote it"
        raise InputError(
            f"{runner._load_from} was written by a version of this code that draws other views of"
            f" each image; go on with the code {code}, or begin another run in another --work-dir"
        )
    own, stated = settings_of(runner), note["settings"]
    for name in sorted({*own, *stated}):
        before, now = stated.get(name, "nothing"), own.get(name, "nothing")
        if before == now:
            continue
        if name not in MEANT:
            raise InputError(
                f"{runner._load_from} was trained with {name}={before}, and this run has {now};"
                " give it the same, or begin another run in another --work-dir"
            )
        runner.logger.warning(f"the run goes on with {name}={now} in the place of {before}")
    accumulated = runner.optim_wrapper.accumulative_counts
    meta = checkpoint["meta"]
    meta["iter"] = meta["iter"] // note["accumulative_counts"] * accumulated

"""A plan -> its jobs: commands of the suite, what each needs and leaves."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfpatch.atomic import atomic_write
from selfpatch.bench.key import content_of, portable
from selfpatch.bench.plan import Backbone, Plan, Resources, Task, folder_of
from selfpatch.errors import InputError, config_errors_as_sentences
from selfpatch.models.variants import VARIANTS
from selfpatch.results.probes import DRAWING
from selfpatch.shipped import HOSTS, files_of, find_config, host_of


@dataclass(frozen=True)
class Job:
    """One command.

    Attributes:
        name: What it does, for people; unique.
        kind: What it has in common with jobs of other seeds or, for a task, of other backbones.
        rule: Its name for Snakemake.
        command: Arguments of ``selfpatch``.
        folder: Where it writes, below the work dir; emptied before a job of another key.
        output: The file that it must leave, below the work dir.
        needs: Outputs of other jobs, below the work dir.
        environment: Variables to set.
        resources: What it takes.
        key: SHA-256 of the command and of what is known of given files.
    """

    name: str
    kind: str
    rule: str
    command: list[str]
    folder: str
    output: str
    needs: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    key: str = ""


@dataclass(frozen=True)
class Batch:
    """Jobs that are run together, and how.

    Attributes:
        jobs: The jobs.
        threads: Cores of a job that does not say how many.
        on_cluster: Whether each is submitted to a cluster, which gives it its GPUs.
        folder: The folder in which they run, from which relative paths are meant.
    """

    jobs: list[Job]
    threads: int
    on_cluster: bool
    folder: str


def jobs_of(plan: Plan, work_dir: Path) -> list[Job]:
    """Every job of a plan, in the order in which they are listed.

    Raises:
        InputError: A task or backbone needs data that the plan does not name, or a config or
            variant that there is not.
    """
    jobs = []
    for backbone in plan.backbones:
        for seed in plan.seeds if backbone.origin in ("pretrain", "random") else (None,):
            made = backbone_job(plan, backbone, seed, work_dir)
            jobs += [made] if made else []
            weights = str(work_dir / made.output) if made else backbone.source
            for task in (task for task in plan.tasks if task.name in backbone.tasks):
                jobs += task_jobs(plan, task, backbone, seed, weights, made, work_dir)
    return jobs


def own_file(config: str) -> list[Path]:
    """A config that is a file of the user's own; what it is derived from is not looked at."""
    return [Path(config)] if Path(config).is_file() else []


def backbone_job(plan: Plan, backbone: Backbone, seed: int | None, work_dir: Path) -> Job | None:
    """The job that makes a backbone; none for one that is a file already."""
    folder = f"{below(folder_of(backbone.name), seed)}/backbone"
    out = str(work_dir / folder / "backbone.safetensors")
    given: list[Path] = []
    if backbone.origin == "file":
        return None
    if backbone.origin == "import":
        verb, given = "import", [Path(backbone.source)]
        command = ["import", backbone.source, out, *flags(backbone.options)]
    elif backbone.origin == "random":
        verb, command = "draw", ["export", f"random:{backbone.source}", out, "--seed", str(seed)]
        if backbone.source not in VARIANTS:
            known = ", ".join(VARIANTS)
            raise InputError(
                f"{plan.name}: there is no variant {backbone.source!r}; give one of {known}"
            )
    else:
        verb, given = "pretrain", own_file(backbone.source)
        find_config(backbone.source, "selfpatch.configs")  # raises if there is none
        data = root(plan, "images", f"the backbone {backbone.name!r}", work_dir)
        command = ["pretrain", backbone.source, "--data", data]
        command += ["--work-dir", str(work_dir / folder), "--resume"]
        settings = {"randomness.seed": seed, **backbone.options}
        command += ["--cfg-options", *assigned(f"the backbone {backbone.name!r}", settings)]
    return job(
        f"{verb} {titled(backbone.name, seed)}",
        f"{verb} {backbone.name}",
        command,
        folder,
        "backbone.safetensors",
        backbone.resources,
        work_dir,
        given=given,
    )


def task_jobs(
    plan: Plan,
    task: Task,
    backbone: Backbone,
    seed: int | None,
    weights: str,
    made: Job | None,
    work_dir: Path,
) -> Iterator[Job]:
    """The jobs of one task on one backbone: one per seed, where the task draws anything."""
    draws = task.work == "finetune" or task.source in DRAWING
    given = [] if made else [Path(weights)]
    for own in plan.seeds if seed is None and draws else (seed,):
        folder = f"{below(folder_of(backbone.name), own)}/{folder_of(task.name)}"
        if task.work == "davis":
            davis = root(plan, "davis", f"the task {task.name!r}", work_dir)
            command = ["davis", "run", "--davis", davis, "--weights", weights]
            command += ["--out", str(work_dir / folder), *flags(task.options)]
            environment: dict[str, str] = {}
        elif task.work == "probe":
            command, environment = probing(plan, task, weights, own, folder, work_dir), {}
        else:
            command, environment = finetuning(plan, task, weights, own, folder, work_dir)
        yield job(
            f"{task.name} of {titled(backbone.name, own)}",
            task.name,
            command,
            folder,
            "results.json",
            task.resources,
            work_dir,
            needs=[made.output] if made else [],
            given=[*given, *(own_file(task.source) if task.work == "finetune" else [])],
            environment=environment,
        )


def probing(
    plan: Plan, task: Task, weights: str, seed: int | None, folder: str, work_dir: Path
) -> list[str]:
    """The command of a probe; ``data.NAME`` in its options is the folder of that data."""

    def placed(value: Any) -> Any:
        if isinstance(value, list):
            return [placed(one) for one in value]
        found = re.fullmatch(r"data\.(\w+)(/.*)?", str(value))
        if not found:
            return value
        return root(plan, found[1], f"the task {task.name!r}", work_dir) + (found[2] or "")

    options = {name: placed(value) for name, value in task.options.items()}
    command = ["probe", task.source, "--weights", weights, *flags(options)]
    command += ["--seed", str(seed)] * (task.source in DRAWING)
    return [*command, "--out", str(work_dir / folder / "results.json")]


def finetuning(
    plan: Plan, task: Task, weights: str, seed: int | None, folder: str, work_dir: Path
) -> tuple[list[str], dict[str, str]]:
    """The command of a fine-tuning, and its variables."""
    host = host_of_config(task.source)
    name, variable = HOSTS[host]
    settings = {
        "model.backbone.init_cfg.checkpoint": weights,
        **({} if seed is None else {"randomness.seed": seed}),
        **predictions(host, work_dir / folder),
        **task.options,
    }
    command = ["finetune", task.source, "--work-dir", str(work_dir / folder), "--resume"]
    command += ["--cfg-options", *assigned(f"the task {task.name!r}", settings)]
    return command, {variable: root(plan, name.lower(), f"the task {task.name!r}", work_dir)}


def predictions(host: str, folder: Path) -> dict[str, str]:
    """The setting that keeps what a model finds, for the report."""
    if host == "mmdet":
        return {"val_evaluator.outfile_prefix": str(folder / "predictions")}
    return {"val_evaluator.output_dir": str(folder / "maps")}


def host_of_config(config: str) -> str:
    """Whose a config is, mmdet's or mmseg's; one of the user's own is read for it."""
    path = find_config(config, *(f"{host}_configs" for host in HOSTS))
    for host in HOSTS:
        if Path(path) in files_of(f"{host}_configs", ".py"):
            return host
    from mmengine.config import Config

    with config_errors_as_sentences(path):
        return host_of(path, Config.fromfile(path, import_custom_modules=False))


def root(plan: Plan, name: str, who: str, work_dir: Path) -> str:
    """Where a data set lies."""
    if "generated" in plan.data:
        return str(work_dir / "data" / name)
    if name not in plan.data:
        raise InputError(f"{who} needs data.{name}; name its folder in the plan, or with --data")
    return plan.data[name]


def job(
    name: str,
    kind: str,
    command: list[str],
    folder: str,
    output: str,
    resources: Resources,
    work_dir: Path,
    needs: list[str] | None = None,
    given: list[Path] | None = None,
    environment: dict[str, str] | None = None,
) -> Job:
    """A job with its rule's name and its key, which is the same wherever the work dir lies."""
    digest = hashlib.sha256(folder.encode()).hexdigest()[:8]
    rule = "job_" + "".join(c if c.isalnum() else "_" for c in folder) + f"_{digest}"
    facts: list[object] = [portable(work_dir, command), portable(work_dir, environment or {})]
    if command[0] == "finetune":  # whose batch is that of all processes
        facts.append(resources.processes)
    facts += [[path.name, content_of(path)] for path in given or [] if path.exists()]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return Job(name, kind, rule, command, folder, f"{folder}/{output}", needs or [],
               environment or {}, resources, key)  # fmt: skip


def below(folder: str, seed: int | None) -> str:
    """The folder of one seed."""
    return folder if seed is None else f"{folder}/seed-{seed}"


def titled(name: str, seed: int | None) -> str:
    """A backbone's name with its seed."""
    return name if seed is None else f"{name}, seed {seed}"


def assigned(where: str, settings: Mapping[str, Any]) -> list[str]:
    """``name=value`` as ``--cfg-options`` takes them.

    Raises:
        InputError: A text has a space or comma, which mmengine would drop or take for a list.
    """
    for name, value in settings.items():
        if isinstance(value, str) and re.search(r"[\s,]", value):
            raise InputError(
                f"{where} has {name}={value!r}, and settings hold no space and no comma; choose"
                " another name, or another --work-dir"
            )
    return [f"{name}={value}" for name, value in settings.items()]


def flags(options: Mapping[str, Any]) -> list[str]:
    """Options of a command, ``--name value``."""
    found = []
    for name, value in options.items():
        if value is True:
            found.append(f"--{name}")
        elif isinstance(value, list):
            found += [f"--{name}", *map(str, value)]
        elif value is not False and value is not None:
            found += [f"--{name}", str(value)]
    return found


def write_batch(path: Path, batch: Batch) -> None:
    """Write a batch where Snakemake and each of its jobs read it."""
    with atomic_write(path, "w") as file:
        json.dump(asdict(batch), file, indent=1)


def read_batch(path: Path) -> Batch:
    """The inverse of :func:`write_batch`."""
    content = json.loads(path.read_text())
    jobs = [Job(**{**j, "resources": Resources(**j["resources"])}) for j in content.pop("jobs")]
    return Batch(jobs, **content)

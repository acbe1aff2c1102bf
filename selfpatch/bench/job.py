"""A job's name -> its command, in this process: output in a log, as far as it got before kept.

Snakemake starts ``python -m selfpatch.bench.job jobs.json RULE`` in the plan's work dir.
"""

import contextlib
import fcntl
import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from selfpatch.atomic import atomic_write
from selfpatch.bench.finished import facts_of, is_of_other_inputs, key_now, set_aside
from selfpatch.bench.jobs import Batch, Job, read_batch
from selfpatch.bench.run import visible_gpus
from selfpatch.parent import end_with_starter

LAUNCHED: list[subprocess.Popen] = []
"""What this process has started, to be ended with it."""


def run(work_dir: Path, job: Job, batch: Batch) -> None:
    """Be the command of a job.

    A folder that an earlier attempt of the same job has left is gone on from; one of another job,
    whose settings or backbone were others, is set aside. An attempt that is still at work, as on a
    cluster whose ``bench`` was killed, is waited for.
    """
    with open(work_dir / f"{job.folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        redirect(work_dir / f"{job.folder}.log")
        where, key = (work_dir / job.folder).resolve(), key_now(work_dir, job)
        if is_of_other_inputs(work_dir, job):
            print(f"what was made of other inputs lies in {set_aside(work_dir, job)}")
        before = float(facts_of(where).get("seconds") or 0)
        note(where, {"key": key, "seconds": before})
        began = time.monotonic()
        shared = 1 if batch.on_cluster else job.resources.processes
        threads = job.resources.cpus or max(batch.threads // shared, 1)
        os.environ.update(job.environment)
        os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        os.chdir(batch.folder)
        try:
            with gpus(work_dir, 0 if batch.on_cluster else job.resources.gpus) as taken:
                if taken:
                    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
                if job.resources.processes > 1:
                    several(job, lock.fileno(), batch.on_cluster)
                else:
                    sys.argv = ["selfpatch", *job.command]
                    runpy.run_module("selfpatch", run_name="__main__", alter_sys=True)
        finally:
            note(where, {"key": key, "seconds": before + time.monotonic() - began})


def note(folder: Path, facts: dict[str, object]) -> None:
    """Write down what is known of a job."""
    with atomic_write(folder / "job.json", "w") as file:
        json.dump(facts, file)


def several(job: Job, lock: int, on_cluster: bool) -> None:
    """Start the processes of a job, which hold its lock as well, and wait for their end."""
    count = str(job.resources.processes)
    program = ["-m", "selfpatch", *job.command]
    options = job.command.index("--cfg-options") + 2
    if on_cluster:
        program[options:options] = ["--launcher", "slurm"]
        # mmengine's own default is one for all jobs of a node.
        port = 20000 + int(os.environ["SLURM_JOB_ID"]) % 20000
        os.environ.setdefault("MASTER_PORT", str(port))
        line = ["srun", "--overlap", "--ntasks", count, sys.executable, *program]
    else:
        program[options:options] = ["--launcher", "pytorch"]
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", count]
        line = [sys.executable, *launcher, *program]
    LAUNCHED.append(subprocess.Popen(line, pass_fds=[lock]))
    if status := LAUNCHED[0].wait():
        sys.exit(status)


def end_launched() -> None:
    """End what was started; a launcher ends its processes."""
    for process in LAUNCHED:
        process.terminate()


def redirect(log: Path) -> None:
    """Let all output of this process go to a log."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(output, stream.fileno())
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


@contextlib.contextmanager
def gpus(work_dir: Path, count: int) -> Iterator[list[str]]:
    """Numbers of so many GPUs that no other job of this plan has.

    Each is a file that is locked; the system lets go of it with the process.
    """
    with contextlib.ExitStack() as held:
        taken: list[str] = []
        while len(taken) < count:
            for number in visible_gpus():
                if number not in taken and len(taken) < count and locked(work_dir, number, held):
                    taken.append(number)
            time.sleep(0.2 * (len(taken) < count))
        yield taken


def locked(work_dir: Path, number: str, held: contextlib.ExitStack) -> bool:
    """Lock a GPU's file until ``held`` is left, unless another job has it."""
    (work_dir / ".gpus").mkdir(exist_ok=True)
    file = open(work_dir / ".gpus" / number, "w")  # noqa: SIM115 (it stays open, and locked)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    held.callback(file.close)
    return True


if __name__ == "__main__":
    end_with_starter(end_launched)
    batch = read_batch(Path(sys.argv[1]))
    run(Path.cwd(), next(job for job in batch.jobs if job.rule == sys.argv[2]), batch)

"""What torchrun or Slurm has started -> processes that work together."""

import os
import subprocess

import torch
import torch.distributed as dist

from selfpatch.errors import InputError


def start_processes(launcher: str, device: str | None = None) -> None:
    """Join the processes of a distributed run.

    Args:
        launcher: ``none``, ``pytorch`` or ``slurm``.
        device: The device that was asked for; None is a GPU for each process, where there are some.

    Raises:
        InputError: No launcher has started this process, or all would have one GPU.
    """
    if launcher == "none":
        return
    if launcher == "slurm":
        os.environ |= processes_of_slurm()
    if "RANK" not in os.environ:
        raise InputError("--launcher pytorch takes a command that begins with torchrun")
    if device and ":" in device:
        raise InputError(f"--device {device} is one for all processes; leave it out")
    on_gpus = torch.cuda.is_available() and device != "cpu"
    if on_gpus:  # a task of Slurm may see its own GPU alone
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    dist.init_process_group("nccl" if on_gpus else "gloo")


def processes_of_slurm() -> dict[str, str]:
    """What torchrun would have set for this task of a job step.

    Raises:
        InputError: Slurm has not started this process.
    """
    stated = os.environ
    if "SLURM_PROCID" not in stated:
        raise InputError("--launcher slurm takes a command that begins with srun")
    line = ["scontrol", "show", "hostnames", stated["SLURM_JOB_NODELIST"]]
    hosts = subprocess.run(line, check=True, capture_output=True, text=True).stdout.split()
    return {
        "RANK": stated["SLURM_PROCID"],
        "LOCAL_RANK": stated["SLURM_LOCALID"],
        "WORLD_SIZE": stated["SLURM_NTASKS"],
        "MASTER_ADDR": stated.get("MASTER_ADDR", hosts[0]),
        # Two jobs may share a node.
        "MASTER_PORT": stated.get("MASTER_PORT", str(20000 + int(stated["SLURM_JOB_ID"]) % 20000)),
    }

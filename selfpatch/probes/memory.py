"""A device -> how much memory can still be had on it."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

CGROUPS = Path("/sys/fs/cgroup")


def available_memory(device: str) -> int:
    """Bytes that can still be had on a device.

    On a CPU no more than a container or job may have, and the share of one of the processes that
    were started together on this machine.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min([of_machine(), *of_cgroups(Path("/proc/self/cgroup"), CGROUPS)]) // together


def of_machine() -> int:
    """Bytes that the machine has left."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(
            next(line for line in lines if line.startswith("MemAvailable")).split()[1]
        )
    except (OSError, StopIteration):  # elsewhere than on Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def of_cgroups(own: Path, root: Path) -> Iterator[int]:
    """Bytes that this process's cgroup (version 2) and those around it have left, where limited.

    Args:
        own: The file that names the process's cgroup.
        root: The file system of cgroups.
    """
    try:
        name = own.read_text().strip().rpartition(":")[2].strip("/")
    except OSError:
        return
    for folder in (root / name, *(root / name).parents):
        if not folder.is_relative_to(root):
            return
        try:
            limit = int((folder / "memory.max").read_text())  # "max" where there is none
            used = int((folder / "memory.current").read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        yield max(limit - used + int(stat.get("inactive_file", 0)), 0)  # files' pages are given up

"""What the machine must have before anything is installed."""

import importlib.util
import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from tools.setup.console import SetupError

GIB = 2**30
NEEDED_GIB = 10.0
"""Measured: 5.8 for .venv, 1.9 for downloads while they are unpacked, as much for pip's cache."""
NEEDED_AGAIN_GIB = 1.0
"""Where torch is already installed and only small things are missing."""
BUILD_GIB_PER_JOB = 1.2
"""Measured: one compiler process takes up to 0.95 for a file that includes torch."""


def check_venv_module() -> None:
    """Raise where this Python cannot create a virtual environment with pip."""
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise SetupError(
                f"this Python has no {module} module: install it (Debian: apt install python3-venv)"
                " or name another Python (make PYTHON=...)"
            )


def check_disk(folder: Path, torch_installed: bool) -> None:
    """Raise where the disk of ``folder`` has too little room for the environment."""
    needed = NEEDED_AGAIN_GIB if torch_installed else NEEDED_GIB
    free = shutil.disk_usage(folder).free / GIB
    if free < needed:
        raise SetupError(
            f"set-up needs {needed:.0f} GB free on the disk of {folder}, which has {free:.1f} GB:"
            " free some space, or clone onto another disk"
        )


def check_compiler() -> str:
    """The C++ compiler's command, tried on a file that needs Python's headers as mmcv does."""
    compiler = find_compiler()
    include = sysconfig.get_path("include")
    trials = {
        "#include <vector>\n": (
            f"the C++ compiler {compiler} does not compile a file that includes <vector>:"
            " install a complete one (Debian: apt install g++)"
        ),
        "#include <Python.h>\n": (
            f"Python's headers are missing from {include}: install them"
            " (Debian: apt install python3-dev) or name another Python (make PYTHON=...)"
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        for source, sentence in trials.items():
            file = Path(folder, "trial.cpp")
            file.write_text(source)
            command = [*compiler.split(), f"-I{include}", "-fsyntax-only", str(file)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                raise SetupError(sentence)
    return compiler


def find_compiler() -> str:
    """``CXX`` where it is set, else the first of c++ and g++ on the path."""
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++"]
    for candidate in candidates:
        if shutil.which(candidate.split()[0]):
            return candidate
    raise SetupError(
        f"no C++ compiler found (looked for {' and '.join(candidates)}), and mmcv must be compiled:"
        " install one (Debian: apt install g++)"
    )


def has_gpu_and_nvcc() -> bool:
    """Whether it is worth asking torch if CUDA operators can be built."""
    return bool(find_nvcc()) and Path("/dev/nvidiactl").exists()


def find_nvcc() -> str | None:
    """Path of the CUDA compiler, looked for where torch looks, in the same order."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH")]
    candidates = [f"{home}/bin/nvcc" for home in homes if home]
    candidates += ["nvcc", "/usr/local/cuda/bin/nvcc"]
    return next((path for path in map(shutil.which, candidates) if path), None)


def num_build_jobs() -> int:
    """Compiler processes at once: one per core that this process may use, as memory allows."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, int(available_memory() / (BUILD_GIB_PER_JOB * GIB))))


def available_memory() -> float:
    """Bytes that can be had: the machine's, or the control group's where that is less."""
    meminfo = Path("/proc/meminfo").read_text().splitlines()
    available = next(line for line in meminfo if line.startswith("MemAvailable"))
    limits = [int(available.split()[1]) * 1024]
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        limits.append(limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # no control group, or one without a limit ("max")
    return min(limits)

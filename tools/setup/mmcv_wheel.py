"""mmcv's source -> a wheel built against the installed torch, kept in the user's cache.

pip's own cache would hand back a wheel that was built against another torch: it knows it by its
name alone. Here the folder's name says everything that the binary depends on.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.setup import machine, pins
from tools.setup.console import SetupError, say
from tools.setup.environment import Environment, user_cache
from tools.setup.process import locked

DISTRIBUTION = "onedl-mmcv"

_PROBE = """
import json, torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
gpus = sorted({"%d.%d" % torch.cuda.get_device_capability(i) for i in range(count)})
print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda or "", "gpus": gpus}))
"""

_TRIAL = """
import torch
from mmcv.ops import nms
boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]], device="{device}")
scores = torch.tensor([0.9, 0.8, 0.7], device="{device}")
_, kept = nms(boxes, scores, 0.5)
assert kept.tolist() == [0, 2], kept
"""


@dataclass(frozen=True)
class Target:
    """What the compiled operators depend on.

    Attributes:
        mmcv: Version to build.
        torch: Version of the installed torch, such as ``2.11.0+cu130``.
        cuda: Version of CUDA that torch was built for; empty: only CPU operators.
        gpus: Compute capabilities to build for, such as ``("9.0",)``; empty without CUDA.
    """

    mmcv: str
    torch: str
    cuda: str = ""
    gpus: tuple[str, ...] = ()

    def key(self) -> str:
        """Name of the cache folder."""
        operators = f"cuda{self.cuda}-sm{'-'.join(self.gpus)}" if self.cuda else "cpu"
        return f"{self._key_start()}-{operators}-{platform.machine()}"

    def _key_start(self) -> str:
        python = f"{sys.implementation.cache_tag}{sys.abiflags}"
        return f"{self.mmcv}-{python}-torch{self.torch}"

    def has_cached_relative(self) -> bool:
        """Whether a wheel for this Python and torch is there, whatever its operators."""
        return any((user_cache() / "mmcv").glob(f"{self._key_start()}*/*.whl"))

    @property
    def device(self) -> str:
        """Where the operators are tried."""
        return "cuda" if self.cuda else "cpu"

    def build_environment(self) -> dict[str, str]:
        """Environment variables of the build; without CUDA, no GPU is visible to it."""
        flags = f"{os.environ.get('CFLAGS', '')} -g0".strip()
        common = {"CFLAGS": flags, "MAX_JOBS": str(machine.num_build_jobs())}
        if not self.cuda:
            return common | {"FORCE_CUDA": "0", "CUDA_VISIBLE_DEVICES": ""}
        nvcc = machine.find_nvcc()
        assert nvcc is not None, "CUDA operators are only built where nvcc was found"
        home = str(Path(nvcc).resolve().parents[1])
        architectures = ";".join(self.gpus)
        return common | {
            "FORCE_CUDA": "1",
            "CUDA_HOME": home,
            "TORCH_CUDA_ARCH_LIST": architectures,
        }


def find_target(environment: Environment) -> Target:
    """Ask the installed torch and this machine what to build."""
    found = json.loads(environment.evaluate(_PROBE, "torch does not import"))
    version = pins.version(environment.pins, DISTRIBUTION)
    plain = Target(version, found["torch"])
    nvcc = machine.find_nvcc()
    if not (found["cuda"] and found["gpus"] and nvcc):
        return plain
    text = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False).stdout
    release = re.search(r"release (\d+)\.", text)
    if release is None or release[1] != found["cuda"].partition(".")[0]:
        say(f"      {nvcc} is not of CUDA {found['cuda']} as torch is: CPU operators only")
        return plain
    return Target(version, found["torch"], found["cuda"], tuple(found["gpus"]))


def pinned_target(environment: Environment) -> Target:
    """What is known before torch is installed: enough to tell if a compiler will be needed."""
    return Target(
        mmcv=pins.version(environment.pins, DISTRIBUTION),
        torch=pins.version(environment.pins, "torch"),
    )


def cached_wheel(target: Target) -> Path | None:
    """The finished wheel for a target, if there is one."""
    return next((user_cache() / "mmcv" / target.key()).glob("*.whl"), None)


def build(environment: Environment, target: Target) -> Path:
    """Compile, then move the finished wheel into the cache in one move."""
    compiler = machine.check_compiler()
    folder = user_cache() / "mmcv" / target.key()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, "another set-up builds the same wheel: waiting for it"):
        for remains in folder.glob("partial-*"):
            shutil.rmtree(remains)
        with tempfile.TemporaryDirectory(prefix="partial-", dir=folder) as partial:
            environment.pip(
                *("wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir"),
                *("--no-binary", DISTRIBUTION, "--wheel-dir", partial),
                f"{DISTRIBUTION}=={target.mmcv}",
                **target.build_environment(),
                CXX=compiler,
            )
            (built,) = Path(partial).glob("*.whl")
            return built.replace(folder / built.name)


def install(environment: Environment, wheel: Path, target: Target) -> None:
    """Install a wheel and run an operator of it.

    Raises:
        SetupError: The operator cannot be imported or gives a wrong result.
    """
    environment.install("--force-reinstall", str(wheel))
    environment.evaluate(
        _TRIAL.format(device=target.device), "mmcv is installed but its operators do not work"
    )


def provide(environment: Environment, target: Target) -> None:
    """Have working operators installed, from the cache or newly built."""
    wheel = cached_wheel(target)
    if wheel is None:
        wheel = build(environment, target)
    else:
        say(f"      from the cache: {wheel}")
        try:
            install(environment, wheel, target)
        except SetupError:
            say("      it does not work here: building it again")
            wheel.unlink()
            wheel = build(environment, target)
        else:
            return
    install(environment, wheel, target)

"""The steps of ``make setup``, in order."""

import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from tools.setup import machine, mmcv_wheel, pins
from tools.setup.console import SetupError, duration, say, step
from tools.setup.environment import Environment, Inspection
from tools.setup.process import locked

CPU_BUILD_MINUTES = 16
"""Measured: 4 min with 4 processes on 4 cores of an AMD EPYC, up to 5 on a busy one."""
CUDA_BUILD_FACTOR = 4
"""Not measured: CUDA sources are as many again, and each takes longer."""

_IMPORTS = """
import torch, torchvision, timm, safetensors, PIL, cv2, pycocotools.mask
import mmengine.runner, mmdet.apis, mmseg.apis
from importlib.util import find_spec
assert find_spec("selfpatch"), "selfpatch is not installed"
"""


def main() -> None:
    """Set the project's environment up, or end with one sentence that says why not."""
    signal.signal(signal.SIGTERM, _interrupt)
    root = Path(__file__).resolve().parents[2]
    start = time.monotonic()
    try:
        with locked(root, "another set-up works in this folder: waiting for it"):
            environment = Environment(root)
            if is_current(environment):
                say(f"set-up is current (looked at in {duration(time.monotonic() - start)})")
                return
            set_up(environment)
    except SetupError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: `make setup` goes on from here\n")
        sys.exit(130)
    except OSError as error:
        sys.exit(f"error: set-up cannot go on: {error}")
    say(f"set-up took {duration(time.monotonic() - start)}")


def is_current(environment: Environment) -> bool:
    """Whether a set-up came to its end here and everything is still in place."""
    return environment.is_stamped() and environment.inspect() == Inspection()


def set_up(environment: Environment) -> None:
    """Do what is missing; each step looks at what is there rather than believing a note."""
    environment.remove_stamp()
    found = environment.inspect()
    with step(1, "looking at compiler, headers and disk"):
        look_at_machine(environment, found)
    with step(2, "the environment .venv"):
        found = provide_environment(environment, found)
    with step(3, *describe_installation(found)):
        install_packages(environment, found)
    target = mmcv_wheel.find_target(environment)
    with step(4, *describe_mmcv(target)):
        mmcv_wheel.provide(environment, target)
    with step(5, "this project, editable"):
        environment.install("--editable", str(environment.root))
    with step(6, "importing everything once", "about 20 s"):
        try_imports(environment)
    environment.write_stamp()


def look_at_machine(environment: Environment, found: Inspection | None) -> None:
    """Stop early where something is missing that a later step needs."""
    machine.check_venv_module()
    if not mmcv_wheel.pinned_target(environment).has_cached_relative():
        machine.check_compiler()
    lacks_torch = found is None or any(pins.name(line) == "torch" for line in found.missing)
    machine.check_disk(environment.root, torch_installed=not lacks_torch)


def provide_environment(environment: Environment, found: Inspection | None) -> Inspection:
    """Keep an environment of this Python, whatever is missing in it; make one otherwise."""
    if found is None:
        environment.create()
        found = environment.inspect()
        if found is None:
            raise SetupError(f"python -m venv made no working environment: see {environment.log}")
    environment.drop(found.broken)
    return found


def describe_installation(found: Inspection) -> tuple[str, str]:
    """Title and expected time of the installation."""
    if any(pins.name(line) == "torch" for line in found.missing):
        return (
            f"{len(found.missing)} packages: torch with its CUDA libraries, OpenMMLab, tools",
            "1.9 GB to download: about 2 min, longer on a slow line",
        )
    return f"{len(found.missing)} packages", "seconds"


def install_packages(environment: Environment, found: Inspection) -> None:
    """Install the missing pins: first what builds the rest, with an early word on the network."""
    missing = [line for line in found.missing if "==" in line]
    tools = [line for line in missing if pins.name(line) in pins.BUILD_TOOLS]
    others = [
        line for line in missing if line not in tools and pins.name(line) != mmcv_wheel.DISTRIBUTION
    ]
    if tools:
        environment.install("--retries=1", *tools)
    if others:
        environment.install(*others)


def describe_mmcv(target: mmcv_wheel.Target) -> tuple[str, str]:
    """Title and expected time of providing mmcv."""
    operators = f"CUDA {target.cuda}" if target.cuda else "CPU"
    title = f"mmcv {target.mmcv} with {operators} operators for torch {target.torch}"
    if mmcv_wheel.cached_wheel(target):
        return title, "seconds"
    jobs = machine.num_build_jobs()
    minutes = CPU_BUILD_MINUTES / jobs * (CUDA_BUILD_FACTOR if target.cuda else 1)
    return f"{title}, compiled by {jobs} processes", f"about {minutes:.0f} min"


def try_imports(environment: Environment) -> None:
    """Import the stack as the project does; look once more at every installed file."""
    environment.evaluate(_IMPORTS, "the installed packages do not import")
    found = environment.inspect()
    if found != Inspection():
        raise SetupError(f"still missing or broken after the installation: {found}")


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt

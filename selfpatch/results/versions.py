"""This environment -> the versions that a number can depend on."""

import platform
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "torch", "torchvision", "timm", "numpy", "PIL", "mmengine", "mmcv", "mmdet", "mmseg",
)  # fmt: skip
"""Packages that have a say in the numbers, by import name."""


def installed_versions() -> dict[str, str]:
    """Python's version, and distribution and version of each installed one of :data:`PACKAGES`.

    Results files and checkpoints hold it. ``mmcv operators`` says whose they are: ``compiled``
    ones, or those of ``torchvision`` in their place (:mod:`selfpatch.hosts.mmcv_ext`).
    """
    found = dict(_of_packages())
    operators = sys.modules.get("mmcv._ext")  # loaded with mmcv.ops, if a model needs those
    if operators is not None:
        ours = Path(operators.__file__ or "").name == "mmcv_ext.py"
        found["mmcv operators"] = "torchvision" if ours else "compiled"
    return found


@cache
def _of_packages() -> dict[str, str]:
    """Those of Python and the packages, which are looked for once: it takes a fifth of a second."""
    owners = metadata.packages_distributions()
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        if package in owners:
            distribution = owners[package][0]
            found[package] = f"{distribution} {metadata.version(distribution)}"
    return found

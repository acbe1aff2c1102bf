"""pins.txt is complete, and agrees with the ranges of setup.cfg."""

import configparser
import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.setup import pins

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = {"opencv-python"}  # opencv-python-headless is the same module


@pytest.fixture(scope="module")
def pinned():
    """Canonical name -> pin, for this Python."""
    found = map(Requirement, pins.read(ROOT / "pins.txt"))
    return {canonicalize_name(pin.name): pin for pin in found if applies(pin)}


def applies(requirement, extra=""):
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def test_every_pin_is_exact():
    for line in pins.read(ROOT / "pins.txt"):
        assert re.fullmatch(r'[a-z0-9-]+==[0-9.]+( ; python_version (<|>=) "3\.\d+")?', line), line


def test_every_range_of_setup_cfg_holds_its_pin(pinned):
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    ranges = config["options"]["install_requires"].split()
    for extra in config["options.extras_require"].values():
        ranges += extra.split()
    for text in ranges:
        wanted = Requirement(text)
        (exact,) = pinned[canonicalize_name(wanted.name)].specifier
        assert wanted.specifier.contains(exact.version), f"{text} leaves out {exact.version}"


def test_every_requirement_of_a_pinned_package_is_pinned_and_met(pinned):
    for name in pinned:
        for text in metadata.requires(name) or []:
            wanted = Requirement(text)
            needed = canonicalize_name(wanted.name)
            if applies(wanted) and needed not in LEFT_OUT:
                assert needed in pinned, f"{name} needs {text}, which has no pin"
                assert wanted.specifier.contains(metadata.version(needed)), f"{name} needs {text}"

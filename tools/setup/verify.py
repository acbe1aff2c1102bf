"""An environment -> what is wrong with it, as JSON; run by the environment's own Python.

Reads nothing but the installed files' names and sizes, so it takes a fraction of a second and
is done on every call of ``make setup``. A killed pip leaves a package without its list of files
or with files missing or cut short: such a package counts as broken.
"""

import csv
import json
import re
import sys
from importlib import metadata
from pathlib import Path

try:
    from packaging.requirements import Requirement
except ImportError:  # a new environment has pip only
    from pip._vendor.packaging.requirements import Requirement  # type: ignore[assignment]


def canonical(name: str) -> str:
    """``Foo_Bar`` -> ``foo-bar``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_complete(folder: Path) -> bool:
    """Whether every file in the list of a ``.dist-info`` folder is there in its full size."""
    try:
        with (folder / "RECORD").open(newline="", encoding="utf-8") as record:
            return all(
                (folder.parent / path).stat().st_size == int(size)
                for path, _, size in csv.reader(record)
                if size and not path.endswith(".pyc")
            )
    except (OSError, ValueError):
        return False


def inspect(requirements: list[str], site: Path) -> dict[str, list[str]]:
    """Pinned requirements -> those to install, and the ``.dist-info`` folders to drop first."""
    broken = list(site.glob("~*"))  # what pip was replacing when it died
    installed = {}
    for folder in site.glob("*.dist-info"):
        if is_complete(folder):
            distribution = metadata.Distribution.at(folder)
            installed[canonical(distribution.metadata["Name"])] = distribution.version
        else:
            broken.append(folder)
    missing = []
    for line in requirements:
        pin = Requirement(line)
        if pin.marker and not pin.marker.evaluate():
            continue
        found = installed.get(canonical(pin.name))
        if found is None or not pin.specifier.contains(found, prereleases=True):
            missing.append(line)
    return {"missing": missing, "broken": sorted(map(str, broken))}


if __name__ == "__main__":
    site_packages = Path(str(metadata.distribution("pip").locate_file("")))
    report = inspect(sys.argv[1:], site_packages)
    print(json.dumps({"python": [sys.version, sys.base_prefix], **report}))

"""This environment -> the versions that a number can depend on."""

import platform

import numpy
import PIL

from selfpatch.results.versions import installed_versions


def test_versions_are_known_by_import_name_and_name_the_distribution():
    versions = installed_versions()
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == f"numpy {numpy.__version__}"
    assert versions["PIL"] == f"pillow {PIL.__version__}"

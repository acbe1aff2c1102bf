"""What a results file says about where its numbers were made."""

import sys
from types import ModuleType

import pytest

from selfpatch.hosts import mmcv_ext
from selfpatch.results.file import installed_versions

NAME = "mmcv operators"


def test_versions_name_no_operators_where_none_were_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)
    assert NAME not in installed_versions()


@pytest.mark.parametrize(
    ("file", "operators"),
    [(mmcv_ext.__file__, "torchvision"), ("mmcv/_ext.cpython-311-x86_64-linux-gnu.so", "compiled")],
)
def test_versions_say_whose_operators_were_loaded(monkeypatch, file, operators):
    loaded = ModuleType("mmcv._ext")
    loaded.__file__ = file
    monkeypatch.setitem(sys.modules, "mmcv._ext", loaded)
    assert installed_versions()[NAME] == operators

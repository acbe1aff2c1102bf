"""Where mmcv has no compiled extension, give it :mod:`selfpatch.hosts.mmcv_ext`.

mmcv's operators are imported by stock tools, data loaders' workers and analysis scripts before
anything of this project is, so that the way there has to be known from the interpreter's start: a
wheel of this project holds this file as the module ``selfpatch_startup`` and a ``.pth`` file that
imports it (see ``tools/build_backend.py``). It imports nothing itself.

The finder comes last: a compiled ``_ext`` in mmcv's folder is found before it is asked.
"""

import sys


class MmcvExtension:
    """Finder for ``mmcv._ext``."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
        """The module's spec, if this name is meant; see :class:`importlib.abc.MetaPathFinder`."""
        if name != "mmcv._ext":
            return None
        from importlib.util import find_spec, spec_from_file_location

        package = find_spec("selfpatch")  # found, not imported
        if package is None or not package.submodule_search_locations:
            return None
        folder = package.submodule_search_locations[0]
        return spec_from_file_location(name, f"{folder}/hosts/mmcv_ext.py")


sys.meta_path.append(MmcvExtension)

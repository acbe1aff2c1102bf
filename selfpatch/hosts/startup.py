"""Two modules that OpenMMLab's packages look for and the forks do not have.

Where mmcv has no compiled extension, it gets :mod:`selfpatch.hosts.mmcv_ext`. And mmengine looks
for the configs of ``mmseg::`` in a package named ``mmsegmentation``, which the fork is not: it is
shown ``mmseg``.

mmcv's operators are imported by stock tools, data loaders' workers and analysis scripts before
anything of this project is, so that the way there has to be known from the interpreter's start: a
wheel of this project holds this file as the module ``selfpatch_startup`` and a ``.pth`` file that
imports it (see ``tools/build_backend.py``). It imports nothing itself.

The finder comes last: a compiled ``_ext`` in mmcv's folder is found before it is asked, and so is
OpenMMLab's own mmsegmentation.
"""

import sys


class StandIns:
    """Finder for ``mmcv._ext`` and ``mmsegmentation``."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
        """The module's spec, if this name is meant; see :class:`importlib.abc.MetaPathFinder`."""
        if name not in ("mmcv._ext", "mmsegmentation"):
            return None
        from importlib.util import find_spec, spec_from_file_location
        from os.path import isfile

        if name == "mmsegmentation":
            return find_spec("mmseg")

        # Of all that is named selfpatch, found and not imported, the one that has the file: a
        # folder of that name in the working directory is a package, too.
        for finder in sys.meta_path:
            package = finder.find_spec("selfpatch", None)
            for folder in (package and package.submodule_search_locations) or ():
                file = f"{folder}/hosts/mmcv_ext.py"
                if isfile(file):
                    return spec_from_file_location(name, file)
        return None


sys.meta_path.append(StandIns)

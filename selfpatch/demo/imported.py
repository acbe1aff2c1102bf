"""What the steps' processes find imported when they start, as far as it can be imported.

An error here would end the process from which all are forked, without a word. The step that needs
the module meets the error again, and has a log.
"""

from contextlib import suppress
from importlib import import_module

for module in ("selfpatch.engine", "davis_eval.run", "mmdet.apis", "mmseg.apis"):
    with suppress(Exception):
        import_module(module)

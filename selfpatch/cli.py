"""``selfpatch COMMAND ...`` -> that command's module, the only one that is imported."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads yield their core

import sys
from collections.abc import Sequence

from selfpatch.commands.parser import parsed
from selfpatch.errors import exit_with_sentence


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and run; see :func:`selfpatch.errors.exit_with_sentence`."""
    with exit_with_sentence():
        args = parsed(sys.argv[1:] if arguments is None else arguments)
        args.run(args)

"""``python3 -m tools.setup``: refuses a Python that is too old before reading anything newer."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 (this line is for the others)
    sys.exit("error: Python 3.10 or newer is needed; name one: make PYTHON=python3.11")

from tools.setup.steps import main

main()

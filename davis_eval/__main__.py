"""``python -m davis_eval`` is ``selfpatch davis``."""

import sys

from selfpatch.cli import main

if __name__ == "__main__":
    main(["davis", *sys.argv[1:]])

"""``tools/test.py CONFIG CHECKPOINT``, as OpenMMLab's users type it: ``selfpatch test``."""

import sys

from selfpatch.cli import main

if __name__ == "__main__":
    main(["test", *sys.argv[1:]])

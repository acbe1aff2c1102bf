"""``tools/train.py CONFIG``, as OpenMMLab's users type it: ``selfpatch finetune``."""

import sys

from selfpatch.cli import main

if __name__ == "__main__":
    main(["finetune", *sys.argv[1:]])

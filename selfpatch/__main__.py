"""``python -m selfpatch``, as torchrun wants it: see :mod:`selfpatch.cli`."""

from selfpatch.cli import main

if __name__ == "__main__":
    main()

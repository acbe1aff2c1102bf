"""Turn a published checkpoint into a backbone file, and say what became of each of its keys."""

from selfpatch.commands.import_checkpoint import main

if __name__ == "__main__":
    main()

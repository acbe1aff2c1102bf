"""Turn a published checkpoint into a backbone file, and say what became of each of its keys."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from selfpatch.commands.import_checkpoint import main

        main()

"""Print one table of results files."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from selfpatch.commands.table import main

        main()

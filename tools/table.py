"""Print one table of results files."""

from selfpatch.commands.table import main

if __name__ == "__main__":
    main()

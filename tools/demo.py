"""Run the whole path on small data, from two pretrainings to one table and one report."""

from selfpatch.commands.demo import main

if __name__ == "__main__":
    main()

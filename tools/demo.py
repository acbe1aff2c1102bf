"""Run the whole path on small data, from two pretrainings to one table and one report."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from selfpatch.commands.demo import main

        main()

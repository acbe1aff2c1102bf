"""Draw the curves of pretraining runs beside each other."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from selfpatch.commands.curves import main

        main()

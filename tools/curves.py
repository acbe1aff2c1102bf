"""Draw the curves of pretraining runs beside each other."""

from selfpatch.commands.curves import main

if __name__ == "__main__":
    main()

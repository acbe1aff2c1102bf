"""``python -m davis_eval``: see :mod:`davis_eval.commands`."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from davis_eval.commands import main

        main()

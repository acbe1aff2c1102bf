"""Say what is missing or wrong in a data set's folder."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from davis_eval.check import check_davis
        from selfpatch.commands.check_data import CHECKS, main

        main({**CHECKS, "davis": check_davis})

"""Say what is missing or wrong in a data set's folder."""

from davis_eval.check import check_davis
from selfpatch.commands.check_data import CHECKS, main

if __name__ == "__main__":
    main({**CHECKS, "davis": check_davis})

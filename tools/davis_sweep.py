"""Try settings of label propagation on DAVIS."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from davis_eval.sweep import main

        main()

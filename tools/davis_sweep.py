"""Try settings of label propagation on DAVIS."""

from davis_eval.sweep import main

if __name__ == "__main__":
    main()

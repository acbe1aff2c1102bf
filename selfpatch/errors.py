"""A mistake in the input -> one sentence and a non-zero exit."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(Exception):
    """The input is wrong; the message is one sentence that names it and the remedy."""


@contextmanager
def exit_with_sentence() -> Iterator[None]:
    """Turn an :class:`InputError` into ``error: <sentence>`` on stderr and exit status 2."""
    try:
        yield
    except InputError as error:
        # A data loader's worker hands its error over with its traceback in front.
        sentence = str(error).rsplit("InputError: ", 1)[-1].strip()
        print(f"error: {sentence}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        raise SystemExit(130) from None

"""A mistake in the input -> one sentence and a non-zero exit."""

import sys
import traceback
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


BUILDERS = {"build_from_cfg", "build_model_from_cfg", "fromfile", "merge_from_dict"}
"""mmengine's functions that read or build from a config: what fails in them is its fault."""


@contextmanager
def config_errors_as_sentences(config: str) -> Iterator[None]:
    """Raise :class:`InputError` for what fails while mmengine reads or builds ``config``."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if not BUILDERS & {frame.name for frame in traceback.extract_tb(error.__traceback__)}:
            raise
        for cause in (error, error.__cause__, error.__context__):
            if "InputError" in type(cause).__name__ or "InputError" in str(cause):
                raise InputError(str(cause)) from None
        message = " ".join(str(error).split())
        raise InputError(f"{config} cannot be built: {message}") from None

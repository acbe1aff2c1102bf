"""A mistake in the input -> one sentence and a non-zero exit."""

import sys
import traceback
from collections.abc import Callable, Iterator
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


@contextmanager
def config_errors_as_sentences(config: str) -> Iterator[None]:
    """Raise :class:`InputError` for what fails while mmengine reads or builds ``config``.

    No type says that: mmengine lets through whatever a constructor raises. But where its functions
    were at work on a config, the config is at fault.
    """
    from mmengine.config import Config  # here: a table or a check of data needs no mmengine
    from mmengine.registry import build_from_cfg, build_model_from_cfg

    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reading = (Config.fromfile, Config.merge_from_dict)
        if not was_raised_within(error, *reading, build_from_cfg, build_model_from_cfg):
            raise
        message = " ".join(str(error).split())
        raise InputError(f"{config} cannot be built: {message}") from None


def was_raised_within(error: BaseException, *functions: Callable) -> bool:
    """Whether one of ``functions`` was at work when ``error`` was raised."""
    codes = {function.__code__ for function in functions}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))

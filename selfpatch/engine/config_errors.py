"""An error while a config is read or built -> one sentence."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from selfpatch.errors import InputError

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

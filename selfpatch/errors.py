"""A mistake in the input -> one sentence and a non-zero exit."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class InputError(Exception):
    """The input is wrong; the message is one sentence that names it and the remedy."""


@contextmanager
def exit_with_sentence() -> Iterator[None]:
    """Turn an :class:`InputError` into ``error: <sentence>`` on stderr and exit status 2.

    So are faults of the machine, such as a full disk; a reader that closes the pipe, as ``head``
    does, ends the command without a word.
    """
    try:
        yield
    except InputError as error:
        # A data loader's worker hands its error over with its traceback in front.
        sentence = str(error).rsplit("InputError: ", 1)[-1].strip()
        print(f"error: {sentence}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        # Python would complain once more when it empties its buffers at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        print(f"error: {fault(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except MemoryError:
        print("error: there is not enough memory; lower the batch or the workers", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        raise SystemExit(130) from None


REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space, and the same command goes on",
    errno.EDQUOT: "the quota is used up; free some space, and the same command goes on",
    errno.EROFS: "the file system is read-only; name another folder",
    errno.EACCES: "it may not be read or written; change its rights or name another one",
    errno.EPERM: "it may not be read or written; change its rights or name another one",
    errno.ENOTDIR: "a part of the path is a file and no folder; name another one",
    errno.EISDIR: "it is a folder and no file; name a file",
    errno.EEXIST: "it is there already, as something else; name another one",
    errno.ENOENT: "it does not exist; check the path",
    errno.ENAMETOOLONG: "the name is too long; shorten it",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n 4096) or use fewer workers",
    errno.ENOMEM: "there is not enough memory; lower the batch or the workers",
    errno.EAGAIN: "another run writes to it; wait for its end, or name another folder",
    errno.EIO: "the disk or the network drive does not answer; try again, or copy the data",
}


def fault(error: OSError) -> str:
    """A fault of the machine as a sentence with the file and the remedy."""
    remedy = REMEDIES.get(error.errno or 0, error.strerror or str(error))
    return f"{error.filename}: {remedy}" if error.filename else remedy


@contextmanager
def config_errors_as_sentences(config: str) -> Iterator[None]:
    """Raise :class:`InputError` for what fails while mmengine reads or builds ``config``.

    No type says that: mmengine lets through whatever a constructor raises. But where its functions
    were at work on a config, or with nothing but a number of one, the config is at fault.
    """
    from mmengine.config import Config  # here: a table or a check of data needs no mmengine
    from mmengine.hooks import Hook
    from mmengine.registry import build_from_cfg, build_model_from_cfg
    from mmengine.runner import LogProcessor, Runner
    from mmengine.utils import import_modules_from_strings

    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reading = (Config.fromfile, Config.merge_from_dict, import_modules_from_strings)
        building = (build_from_cfg, build_model_from_cfg, Runner.from_cfg)
        counting = (Hook.every_n_train_iters, Hook.every_n_epochs, LogProcessor.get_log_after_iter)
        if not was_raised_within(error, *reading, *building, *counting):
            raise
        message = " ".join(str(error).split())
        raise InputError(f"{config} cannot be built: {message}") from None


def was_raised_within(error: BaseException, *functions: Callable) -> bool:
    """Whether one of ``functions`` was at work when ``error``, or its cause, was raised."""
    codes = {function.__code__ for function in functions}
    if any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__)):
        return True
    return error.__cause__ is not None and was_raised_within(error.__cause__, *functions)

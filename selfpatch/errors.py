"""A mistake in the input -> one sentence and a non-zero exit."""

import difflib
import errno
import inspect
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class InputError(Exception):
    """The input is wrong; the message is one sentence that names it and the remedy."""


@contextmanager
def exit_with_sentence() -> Iterator[None]:
    """Turn an :class:`InputError` into ``error: <sentence>`` on stderr and exit status 2.

    So are faults of the machine, such as a full disk, and packages that are not installed; a reader
    that closes the pipe, as ``head`` does, ends the command without a word. Programs import what
    takes long within it, so that Ctrl-C is answered at any moment.
    """
    interrupts = []

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    # torch swallows Ctrl-C while it is imported, and stumbles over what is not there then.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, note)
    try:
        yield
    except SystemExit:
        raise
    except BaseException as error:
        raise SystemExit(told(KeyboardInterrupt() if interrupts else error)) from None


def told(error: BaseException) -> int:
    """Print an error as one sentence; returns the exit status. Other errors it raises again."""
    if was_interrupted(error):
        print("interrupted; what was finished is kept", file=sys.stderr)
        return 130
    if isinstance(error, BrokenPipeError):
        # Python would complain once more when it empties its buffers at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, InputError):
        # A data loader's worker hands its error over with its traceback in front.
        sentence = str(error).rsplit("InputError: ", 1)[-1].strip()
    elif isinstance(error, OSError):
        sentence = fault(error)
    elif isinstance(error, MemoryError) or re.search(NO_MEMORY, str(error)):
        sentence = "there is not enough memory; lower the batch or the workers"
    elif "DataLoader worker (pid" in str(error):
        sentence = (
            "a process that loads data was killed, perhaps for lack of memory; set fewer"
            " (train_dataloader.num_workers), and go on with --resume"
        )
    elif isinstance(error, ModuleNotFoundError) and package_of(error) in EXTRAS:
        extra = EXTRAS[package_of(error)]
        sentence = (
            f"{package_of(error)} is not installed; `pip install 'selfpatch[{extra}]'` brings it"
        )
    else:
        raise error
    print(f"error: {sentence}", file=sys.stderr)
    sys.unraisablehook = lambda _: None  # what is taken down half built would complain as well
    return 2


def package_of(error: ModuleNotFoundError) -> str:
    """Name of the package that is missing."""
    return (error.name or "").split(".")[0]


def was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is at the bottom of an error: some libraries turn it into one of theirs."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


EXTRAS = {
    **dict.fromkeys(
        ("mmengine", "mmcv", "mmdet", "mmseg", "pycocotools", "cv2", "tensorboard", "braceexpand"),
        "openmmlab",
    ),
    **dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "export"),
    **dict.fromkeys(("matplotlib", "av"), "plots"),
    **dict.fromkeys(("snakemake", "yaml"), "bench"),
}
"""What only some commands import -> the extra of setup.cfg that brings it."""


NO_MEMORY = r"can't allocate memory|CUDA out of memory|Cannot allocate memory"
"""What torch's errors say, which have no type of their own for it."""

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


OF_ALL_WORK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENOMEM}
"""Faults that what is left to do would meet as well."""


def fault(error: OSError) -> str:
    """A fault of the machine as a sentence with the file and the remedy.

    Out of a data loader's worker comes the text of the error alone, after its traceback.
    """
    number, file, last = error.errno, error.filename, (str(error).splitlines() or [""])[-1]
    if number is None and (stated := re.search(r"\[Errno (\d+)\][^:]*(?:: '(.+)')?$", last)):
        number, file = int(stated[1]), stated[2]
    remedy = REMEDIES.get(number or 0, error.strerror or last)
    return f"{file}: {remedy}" if file else remedy


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
        written = Config.pretty_text.fget  # as checkpoints keep it
        reading = (Config.fromfile, Config.merge_from_dict, written, import_modules_from_strings)
        building = (build_from_cfg, build_model_from_cfg, Runner.from_cfg)
        counting = (Hook.every_n_train_iters, Hook.every_n_epochs, LogProcessor.get_log_after_iter)
        if not was_raised_within(error, *reading, *building, *counting):
            raise
        message = " ".join(str(error).split())
        raise InputError(f"{config} cannot be built: {message}{suggestion(message)}") from None


def suggestion(message: str) -> str:
    """The argument that was meant, where Python says that a class has no such one."""
    known = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", message)
    if known is None:
        return ""
    kinds: list[type] = [object]
    for kind in kinds:
        kinds += [*type.__subclasses__(kind)] if kind is not type else []
    meant = [kind for kind in kinds if known[1] in {base.__name__ for base in kind.__mro__}]
    arguments = [name for kind in meant for name in inspect.signature(kind).parameters]
    close = difflib.get_close_matches(known[2], arguments, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def was_raised_within(error: BaseException, *functions: Callable) -> bool:
    """Whether one of ``functions`` was at work when ``error``, or what led to it, was raised."""
    codes = {function.__code__ for function in functions}
    if any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__)):
        return True
    before = error.__cause__ or error.__context__
    return before is not None and was_raised_within(before, *functions)

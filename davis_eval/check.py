"""DAVIS's folder -> findings: the listed sequences, their frames and their masks."""

from pathlib import Path

from davis_eval.masks import objects, read_mask
from davis_eval.sequences import Sequence, find_sequence, read_names
from selfpatch.check.findings import (
    Findings,
    counted,
    error,
    missing_folder,
    sample,
    size_of,
    undecodable,
)
from selfpatch.errors import InputError

SEQUENCES = 30
FOLDERS = ("ImageSets/2017", "JPEGImages/480p", "Annotations/480p")


def check_davis(root: Path) -> Findings:
    """The 480p frames and masks of DAVIS-2017's validation set, as ``davis_eval`` reads them."""
    missing = [finding for name in FOLDERS if (finding := missing_folder(root, name))]
    yield from missing
    if missing:
        return
    try:
        names = read_names(root)
    except InputError as problem:
        yield error(f"{problem}; unpack DAVIS-2017-trainval-480p")
        return
    yield counted("sequences", len(names), SEQUENCES)
    for name in names:
        try:
            yield from _sequence(find_sequence(root, name))
        except InputError as problem:
            yield error(f"{name}: {problem}")


def _sequence(sequence: Sequence) -> Findings:
    files = sequence.masks[0].files
    if len(files) != (frames := len(sequence.frames)):
        yield error(
            f"{sequence.name} has {frames} frames and {len(files)} masks; scoring needs one for"
            " each, fetch the sequence again"
        )
    yield from undecodable(sample(sequence.frames, 3))
    for path in sample(files, 3):
        labels = read_mask(path)
        frame = sequence.frames[0].with_name(f"{path.stem}{sequence.frames[0].suffix}")
        if labels.shape != size_of(frame):
            yield error(
                f"{path} is {labels.shape[0]}x{labels.shape[1]}, not its frame's size; fetch the"
                " 480p version of both"
            )
        if path == files[0] and not objects(labels):
            yield error(f"{path} shows no object; the first mask starts the propagation")

"""NYU Depth v2's folder -> findings: images and depth maps of each split."""

from pathlib import Path

from selfpatch.check.findings import Findings, counted, error, sample, some_of
from selfpatch.data.depth import nyu
from selfpatch.data.segmented import UNLABELLED
from selfpatch.errors import InputError

SPLITS = {"train": 24_231, "test": 654}
"""Images that BTS's lists have."""


def check_nyu(root: Path) -> Findings:
    """What `selfpatch probe depth` reads, in either layout."""
    for split, official in SPLITS.items():
        try:
            images = nyu(root, split)
        except InputError as problem:
            yield error(str(problem))
            continue
        yield counted(f"{split} images", len(images), official)
        if absent := [str(file) for pair in images.pairs for file in pair if not file.is_file()]:
            yield error(f"{split} names files that are missing: {some_of(absent)}; unpack them")
            continue
        for number in sample(range(len(images))):
            try:
                images.image(number)
                if (images.labels(number) == UNLABELLED).all():
                    yield error(
                        f"{images.pairs[number].depth} has no depth between 1 mm and 10 m;"
                        " depth maps are in millimetres"
                    )
            except InputError as problem:
                yield error(str(problem))

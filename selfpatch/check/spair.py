"""SPair-71k's folder -> findings: pairs of each split, and the images that they name."""

from pathlib import Path

from selfpatch.check.findings import (
    Findings,
    counted,
    error,
    missing_folder,
    note,
    sample,
    some_of,
)
from selfpatch.data.spair import SpairPairs
from selfpatch.errors import InputError

SPLITS = {"trn": 53_340, "val": 5_384, "test": 12_234}
CATEGORIES = 18


def check_spair(root: Path) -> Findings:
    """What `selfpatch probe correspondence` reads; it needs the split that it is given only."""
    inner = [f"PairAnnotation/{split}" for split in SPLITS]
    missing = [
        finding for name in (*inner, "JPEGImages") if (finding := missing_folder(root, name))
    ]
    yield from missing
    if missing:
        return
    for split, official in SPLITS.items():
        try:
            pairs = SpairPairs(root, split)
        except InputError as problem:
            yield error(str(problem))
            continue
        yield counted(f"{split} pairs", len(pairs), official)
        if (count := len(pairs.categories)) != CATEGORIES:
            yield note(f"{split} has {count} categories, SPair-71k has {CATEGORIES}")
        if absent := [str(file) for file in pairs.files if not file.is_file()]:
            yield error(f"{split} names images that are missing: {some_of(absent)}; unpack them")
            continue
        for number in sample(range(len(pairs.files))):
            try:
                pairs.image(number)
            except InputError as problem:
                yield error(str(problem))

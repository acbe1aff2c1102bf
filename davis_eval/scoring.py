"""A folder of masks -> its scores, printed and on disk; needs no torch."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from davis_eval.processes import each_apart, num_cores, prepare
from davis_eval.sequences import folder_names, read_names
from selfpatch.errors import InputError

if TYPE_CHECKING:
    from davis_eval.protocols import Scorer
    from davis_eval.scores import ObjectScores

NEEDED = "davis_eval.protocols"
KILLED = "the process was killed, perhaps for lack of memory; try fewer --workers"


@dataclass(frozen=True)
class Outcome:
    """What came of one video: its objects' scores, or the sentence of what is wrong."""

    scores: "dict[str, ObjectScores]"
    error: str | None = None


def run(args: argparse.Namespace) -> list[str]:
    """Score a folder of masks; returns the names of the sequences that failed."""
    workers = args.workers or num_cores()
    if workers > 1:
        prepare(NEEDED)  # which takes as long as the imports below, and goes on beside them
    from davis_eval.protocols import PROTOCOLS, score_tracks

    if args.truth is None:
        protocol = PROTOCOLS[args.protocol]
        names, score = read_names(args.davis, protocol.year), protocol.score
        truth = args.davis / protocol.truth
    elif args.protocol == "semi-supervised":
        names, score, truth = folder_names(args.truth), score_tracks, args.truth
    else:
        raise InputError(f"--protocol {args.protocol} is DAVIS's; name its folder with --davis")
    if not args.results.is_dir():
        raise InputError(f"{args.results} does not exist; give the folder of masks")
    scores, failures = score_each(score, truth, args.results, names, workers)
    if scores:
        report(scores, args.json)
    return failures


def score_each(
    score: "Scorer", truth: Path, results: Path, names: Sequence[str], workers: int
) -> "tuple[dict[str, ObjectScores], list[str]]":
    """Scores per object, and the names of the sequences that could not be scored.

    Printed are what is wrong, and how many sequences have no truth.
    """
    work = partial(score_one, score, truth, results)
    outcomes = dict(each_apart(work, names, max(min(workers, len(names)), 1), NEEDED))
    scores: dict[str, ObjectScores] = {}
    failures, without = [], 0
    for name in names:
        outcome = outcomes[name] or Outcome({}, KILLED)
        scores |= outcome.scores
        if outcome.error is not None:
            failures.append(name)
            print(f"{name:<20} not scored: {outcome.error}", file=sys.stderr)
        elif not outcome.scores:
            without += 1
    if without:
        print(
            f"{without} of {len(names)} sequences have only the masks that tracking is given:"
            " there is nothing to score them with"
        )
    return scores, failures


def score_one(score: "Scorer", truth: Path, results: Path, name: str) -> Outcome:
    """Score one video, whatever is wrong with it."""
    try:
        return Outcome(score(truth, results, name))
    except InputError as error:
        return Outcome({}, str(error))
    except Exception as error:  # whatever it is, it is this video's: the others go on
        return Outcome({}, f"{type(error).__name__}: {error}")


def report(scores: "dict[str, ObjectScores]", path: Path) -> dict:
    """Write and print the scores."""
    from davis_eval.scores import summary, write_scores

    result = summary(scores)
    write_scores(path, result)
    print(f"\n{'object':<24}{'J':>7}{'F':>7}")
    for name, values in result["per_object"].items():
        print(f"{name:<24}{100 * values['J-Mean']:7.1f}{100 * values['F-Mean']:7.1f}")
    print(f"\n{'':<24}{'J&F':>7}{'mean':>7}{'recall':>8}{'decay':>7}")
    print(f"{'all':<24}{100 * result['J&F-Mean']:7.1f}")
    for letter in "JF":
        mean, recall, decay = (100 * result[f"{letter}-{n}"] for n in ("Mean", "Recall", "Decay"))
        print(f"{letter:<24}{'':>7}{mean:7.1f}{recall:8.1f}{decay:7.1f}")
    print(f"\nscores: {path}")
    return result

"""A folder of masks -> its scores, printed and on disk; needs no torch."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from davis_eval.protocols import SCORERS
from davis_eval.scores import ObjectScores, summary, write_scores
from davis_eval.sequences import read_names
from selfpatch.errors import InputError


def run(args: argparse.Namespace) -> list[str]:
    """Score a folder of masks; returns the names of the sequences that failed."""
    year, score_sequences = SCORERS[args.protocol]
    names = read_names(args.davis, year)
    if not args.results.is_dir():
        raise InputError(f"{args.results} does not exist; give the folder of masks")
    scores, failures = score_each(args.davis, args.results, names, score_sequences)
    if scores:
        report(scores, args.json)
    return failures


def score_each(
    davis: Path,
    results: Path,
    names: Sequence[str],
    score_sequences: Callable[[Path, Path, Sequence[str]], dict[str, ObjectScores]],
) -> tuple[dict[str, ObjectScores], list[str]]:
    """Scores per object, and the names of the sequences that could not be scored."""
    scores, failures = {}, []
    for name in names:
        try:
            scores.update(score_sequences(davis, results, [name]))
        except InputError as error:
            failures.append(name)
            print(f"{name:<20} not scored: {error}", file=sys.stderr)
        except Exception as error:  # whatever it is, it is this video's: the others go on
            failures.append(name)
            print(f"{name:<20} not scored: {type(error).__name__}: {error}", file=sys.stderr)
    return scores, failures


def report(scores: dict[str, ObjectScores], path: Path) -> dict:
    """Write and print the scores."""
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

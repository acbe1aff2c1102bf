"""Segment DAVIS videos with a backbone, and score masks.

Examples:
    python -m davis_eval run --davis DIR --weights backbone.safetensors --out DIR
    python -m davis_eval score --davis DIR --results DIR --json scores.json
    python -m davis_eval show --davis DIR --results DIR DIR --out DIR
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads yield their core

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from davis_eval.features import TOKENS, Reading, resolved
from davis_eval.propagation import Propagation
from davis_eval.protocols import PROTOCOLS
from davis_eval.run import DTYPES, Settings
from davis_eval.scores import ObjectScores, score, summary, write_scores
from davis_eval.sequences import LAYOUTS, read_names
from davis_eval.workers import Job, segment_all
from selfpatch.atomic import atomic_write, one_run_in
from selfpatch.backbones.file import load_backbone
from selfpatch.errors import InputError, exit_with_sentence
from selfpatch.models.trunks import Trunk
from selfpatch.results.file import described_data, write_result


def main() -> None:
    """Read the command line and do what it says."""
    args = parse()
    with exit_with_sentence():
        commands = {"run": run, "score": score_command, "show": show, "keypoints": keypoints}
        failures = commands[args.command](args)
        if failures:
            raise InputError(f"{len(failures)} of the sequences failed: {', '.join(failures)}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="davis_eval", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("--davis", type=Path, required=True, help="folder of videos and masks")
    sub = commands.add_parser("run", parents=[both], help="segment the videos, then score")
    sub.add_argument("--weights", required=True, help="backbone file or checkpoint")
    sub.add_argument("--out", type=Path, required=True, help="folder for masks and scores")
    sub.add_argument("--layout", choices=LAYOUTS, default="davis", help="layout of the folder")
    sub.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    sub.add_argument("--workers", type=positive, default=1, help="videos at a time")
    sub.add_argument("--overwrite", action="store_true", help="also redo finished sequences")
    add_settings(sub)
    sub = commands.add_parser("score", parents=[both], help="score a folder of masks")
    sub.add_argument("--results", type=Path, required=True, help="a folder of masks per sequence")
    sub.add_argument("--json", type=Path, required=True, help="file to write; CSVs beside it")
    sub.add_argument("--protocol", choices=PROTOCOLS, default="semi-supervised")
    sub = commands.add_parser("show", parents=[both], help="draw masks over the videos")
    sub.add_argument("--results", type=Path, nargs="+", required=True, help="side by side")
    sub.add_argument("--titles", nargs="+", help="one per folder of results")
    sub.add_argument("--out", type=Path, required=True, help="folder for .mp4 and .png files")
    sub.add_argument("--layout", choices=LAYOUTS, default="davis", help="layout of the folder")
    sub = commands.add_parser("keypoints", help="track JHMDB's joints, and their PCK")
    sub.add_argument("--jhmdb", type=Path, required=True, help="folder in JHMDB's layout")
    sub.add_argument("--split", type=int, default=1, choices=(1, 2, 3))
    sub.add_argument("--weights", required=True, help="backbone file or checkpoint")
    sub.add_argument("--json", type=Path, required=True, help="file to write")
    sub.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add_settings(sub, short_side=320)
    return parser.parse_args()


def add_settings(parser: argparse.ArgumentParser, short_side: int = 480) -> None:
    """Add the options for everything that changes the labels."""
    propagation, reading = Propagation(), Reading()
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="backbone's precision")
    parser.add_argument("--tokens", choices=TOKENS, default=reading.tokens)
    parser.add_argument("--layer", type=int, help="block of a ViT, stage of a Swin or ResNet")
    parser.add_argument("--short-side", type=int, default=short_side, metavar="PIXELS")
    parser.add_argument("--context-frames", type=int, default=propagation.context_frames)
    parser.add_argument("--radius", type=int, default=propagation.radius, help="in patches")
    parser.add_argument("--top-k", type=int, default=propagation.top_k)
    parser.add_argument("--temperature", type=float, default=propagation.temperature)


def positive(text: str) -> int:
    """Read a whole number from 1 on; argparse shows the error."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def settings_of(args: argparse.Namespace, backbone: Trunk) -> Settings:
    """The settings of the command line, for this backbone."""
    return Settings(
        Propagation(args.context_frames, args.radius, args.top_k, args.temperature),
        resolved(Reading(args.layer, args.tokens, args.short_side), backbone),
        args.dtype,
    )


def run(args: argparse.Namespace) -> list[str]:
    """Segment and score every sequence; returns the names of those that failed."""
    with one_run_in(args.out):
        return segment_and_score(args)


def segment_and_score(args: argparse.Namespace) -> list[str]:
    """What :func:`run` does, in a folder that it has to itself."""
    names = LAYOUTS[args.layout][0](args.davis)
    backbone, info = load_backbone(args.weights)
    settings = settings_of(args, backbone)
    print(f"{info.method} backbone {info.fingerprint[:12]}, {len(names)} sequences")
    job = Job(
        args.davis, args.layout, args.weights, args.out, settings, args.device,
        args.overwrite, max(min(args.workers, len(names)), 1),
    )  # fmt: skip
    failures, seconds = [], 0.0
    for outcome in segment_all(job, names):
        seconds += outcome.seconds
        if outcome.error is not None:
            failures.append(outcome.name)
            print(f"{outcome.name:<20} failed: {outcome.error}", file=sys.stderr)
        elif outcome.finished_before:
            print(f"{outcome.name:<20} finished before")
        elif job.workers > 1:
            print(f"{outcome.name:<20} done")
    if args.layout != "davis":
        print(f"\nmasks: {args.out} (this layout has no truth to score them with)")
        return failures
    finished = [name for name in names if name not in failures]
    scores, unscored = score_each(args.davis, args.out, finished, score)
    if scores:
        result = report(scores, args.out / "scores.json")
        metrics: dict[str, float | None] = {
            key: 100 * result[key] for key in ("J&F-Mean", "J-Mean", "F-Mean")
        }
        write_result(
            args.out / "results.json",
            task="davis2017",
            metrics=metrics,
            config="davis_eval",
            dataset=described_data(
                str(args.davis), [name for name in finished if name not in unscored], "sequences"
            ),
            backbone=info,
            hours=seconds / 3600,
            settings=asdict(settings),
        )
    return failures + unscored


def score_command(args: argparse.Namespace) -> list[str]:
    """Score a folder of masks; returns the names of the sequences that failed."""
    year, score_sequences = PROTOCOLS[args.protocol]
    names = read_names(args.davis, year)
    if not args.results.is_dir():
        raise InputError(f"{args.results} does not exist; give the folder of masks")
    scores, failures = score_each(args.davis, args.results, names, score_sequences)
    if scores:
        report(scores, args.json)
    return failures


def show(args: argparse.Namespace) -> list[str]:
    """Draw every video that all results have; returns the names of those that failed."""
    from davis_eval.show import evenly, pictures, write_strip, write_video

    titles = args.titles or [path.name for path in args.results]
    if len(titles) != len(args.results):
        raise InputError(f"{len(titles)} titles do not fit {len(args.results)} result folders")
    names, find = LAYOUTS[args.layout]
    failures = []
    for name in names(args.davis):
        folders = [path / name for path in args.results]
        try:
            frames = find(args.davis, name).frames
            write_strip(
                args.out / f"{name}.png",
                list(pictures(evenly(frames, 6), folders, titles)),
                width=420 * len(folders),
            )
            write_video(args.out / f"{name}.mp4", pictures(frames, folders, titles))
            print(f"{name:<20} {args.out / name}.mp4, .png")
        except InputError as error:
            failures.append(name)
            print(f"{name:<20} failed: {error}", file=sys.stderr)
    return failures


def keypoints(args: argparse.Namespace) -> list[str]:
    """Track the joints of JHMDB's test videos; returns the names of those that failed."""
    from davis_eval.keypoints import THRESHOLDS, pck, read_video, track, video_names

    backbone, info = load_backbone(args.weights, args.device)
    settings = settings_of(args, backbone)
    values: dict[str, dict[str, float]] = {}
    failures = []
    for name in video_names(args.jhmdb, args.split):
        try:
            video = read_video(args.jhmdb, name)
            found = track(backbone, video, settings)
            values[name] = {f"PCK@{t}": pck(found, video.joints, t) for t in THRESHOLDS}
            print(f"{name:<40} {percentages(values[name])}")
        except InputError as error:
            failures.append(name)
            print(f"{name:<40} failed: {error}", file=sys.stderr)
    names = next(iter(values.values()), {})
    means = {name: float(np.mean([of[name] for of in values.values()])) for name in names}
    result = {**means, "backbone": asdict(info), "settings": asdict(settings), "videos": values}
    with atomic_write(args.json, "w") as file:
        json.dump(result, file, indent=1)
    print(f"{'mean':<40} {percentages(means)}\n\nscores: {args.json}")
    return failures


def percentages(values: dict[str, float]) -> str:
    """Names and values in percent, on one line."""
    return "  ".join(f"{name} {100 * value:5.1f}" for name, value in values.items())


def score_each(
    davis: Path,
    results: Path,
    names: list[str],
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

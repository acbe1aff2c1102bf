"""A backbone -> masks of every video, and their scores: what `selfpatch davis run` does."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

from davis_eval.commands import settings_of
from davis_eval.features import resolved_settings
from davis_eval.processes import num_cores
from davis_eval.protocols import score_tracks
from davis_eval.scores import score_sequence
from davis_eval.scoring import report, score_each
from davis_eval.sequences import LAYOUTS, video_names
from davis_eval.workers import Job, Worker, segment_all
from selfpatch.atomic import one_run_in
from selfpatch.backbones.file import BackboneInfo
from selfpatch.backbones.loading import available_device, load_backbone
from selfpatch.results.file import TASKS, described_data, write_result


def run(args: argparse.Namespace) -> list[str]:
    """Segment and score every sequence; returns the names of those that failed."""
    names = video_names(args.davis, LAYOUTS[args.layout])
    device = args.device or available_device()
    backbone, info = load_backbone(args.weights, device)
    settings = resolved_settings(settings_of(args), backbone)
    job = Job(
        args.davis,
        args.layout,
        args.weights,
        args.out,
        settings,
        device,
        args.overwrite,
        workers=max(min(args.workers, len(names)), 1),
    )
    print(f"{info.method} backbone {info.fingerprint[:12]}, {len(names)} sequences")
    if args.dry_run:
        print(f"would write masks and scores to {args.out}, with {settings}")
        return []
    with one_run_in(args.out):
        failures, seconds = segmented(job, names, Worker(job, backbone, info))
        finished = [name for name in names if name not in failures]
        return failures + scored(job, finished, info, seconds / 3600)


def segmented(job: Job, names: Sequence[str], worker: Worker) -> tuple[list[str], float]:
    """Segment what is not finished; the names of those that failed, and seconds of all others."""
    failures, seconds = [], 0.0
    for outcome in segment_all(job, names, worker):
        seconds += outcome.seconds
        if outcome.error is not None:
            failures.append(outcome.name)
            print(f"{outcome.name:<20} failed: {outcome.error}", file=sys.stderr)
        elif outcome.finished_before:
            print(f"{outcome.name:<20} finished before")
        elif job.workers > 1:
            print(f"{outcome.name:<20} done")
        if outcome.too_small:
            print(
                f"{outcome.name:<20} too small for a patch of their own, and not followed: objects"
                f" {', '.join(outcome.too_small)}; --keep-small gives each one",
                file=sys.stderr,
            )
    return failures, seconds


def scored(job: Job, names: Sequence[str], info: BackboneInfo, hours: float) -> list[str]:
    """Score, print, write the results file; the names of those that could not be scored."""
    score = score_sequence if job.layout == "davis" else score_tracks
    truth = job.folder / LAYOUTS[job.layout].masks
    scores, failures = score_each(score, truth, job.out, names, num_cores())
    if scores:
        result = report(scores, job.out / "scores.json")
        write_result(
            job.out / "results.json",
            task="davis2017" if job.layout == "davis" else job.layout,
            metrics={name: 100 * result[name] for name in TASKS["davis2017"]},
            config="davis_eval",
            dataset=described_data(str(job.folder), [*result["per_sequence"]], "sequences"),
            backbone=info,
            hours=hours,
            settings=asdict(job.settings),
        )
    return failures

"""Settings of label propagation -> scores of each; every video's features are computed once."""

import argparse
import json
import tempfile
from dataclasses import asdict
from itertools import product
from pathlib import Path

import torch

from davis_eval.features import extract, resolved
from davis_eval.run import segment
from davis_eval.scores import ObjectScores, score, summary
from davis_eval.sequences import find_sequence, read_names
from davis_eval.settings import Propagation, Reading, Settings
from selfpatch.atomic import atomic_write
from selfpatch.backbones.loading import load_backbone


def run(args: argparse.Namespace) -> None:
    """Try everything, write all of it and print a table, the best first."""
    results = sweep(args)
    if args.dry_run:
        return
    results.sort(key=lambda result: -result["J&F-Mean"])
    with atomic_write(args.json, "w") as file:
        json.dump(results, file, indent=1)
    print_table(results)


def sweep(args: argparse.Namespace) -> list[dict]:
    """Settings and scores of every combination; none if it is only to be said how many."""
    backbone, info = load_backbone(args.weights, args.device)
    readings = [
        resolved(Reading(*values), backbone)
        for values in product(args.layer, args.tokens, args.short_side)
    ]
    propagations = [
        Propagation(*values)
        for values in product(args.context_frames, args.radius, args.top_k, args.temperature)
    ]
    combinations = [
        Settings(p, r, args.dtype, args.keep_small) for r in readings for p in propagations
    ]
    scores: dict[Settings, dict[str, ObjectScores]] = {setting: {} for setting in combinations}
    names = args.sequences or read_names(args.davis)
    print(f"{len(names)} sequences, {len(readings)} readings, {len(combinations)} combinations")
    if args.dry_run:
        return []
    for name in names:
        sequence = find_sequence(args.davis, name)
        for reading in readings:
            print(f"{name}: layer {reading.layer}, {reading.tokens}, {reading.short_side} pixels")
            features = list(extract(backbone, sequence.frames, reading, getattr(torch, args.dtype)))
            for setting in (s for s in combinations if s.reading == reading):
                with tempfile.TemporaryDirectory() as folder:
                    segment(backbone, sequence, Path(folder), setting, features=features)
                    scores[setting] |= score(args.davis, Path(folder), [name])
    return [
        {
            "weights": info.fingerprint,
            "settings": asdict(setting),
            **{k: v for k, v in summary(found).items() if k in ("J&F-Mean", "J-Mean", "F-Mean")},
        }
        for setting, found in scores.items()
    ]


def print_table(results: list[dict]) -> None:
    """One line per combination."""
    print(f"\n{'J&F':>6}{'J':>6}{'F':>6}  frames radius top-k temp.  layer tokens     pixels")
    for result in results:
        of, reading = result["settings"]["propagation"], result["settings"]["reading"]
        values = "".join(f"{100 * result[key]:6.1f}" for key in ("J&F-Mean", "J-Mean", "F-Mean"))
        print(
            f"{values}  {of['context_frames']:6}{of['radius']:7}{of['top_k']:6}"
            f"{of['temperature']:6g}  {reading['layer']:5} {reading['tokens']:<10}"
            f"{reading['short_side']:7}"
        )

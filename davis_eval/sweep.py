"""Try settings of label propagation on DAVIS; each video's features are computed once.

Example:
    python tools/davis_sweep.py --davis DIR --weights backbone.safetensors --json sweep.json \\
        --top-k 5 10 --radius 8 12 --temperature 0.07 0.1
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads yield their core

import argparse
import json
import tempfile
from dataclasses import asdict
from itertools import product
from pathlib import Path

import torch

from davis_eval.features import TOKENS, Reading, extract, resolved
from davis_eval.propagation import Propagation
from davis_eval.run import DTYPES, Settings, segment
from davis_eval.scores import ObjectScores, score, summary
from davis_eval.sequences import find_sequence, read_names
from selfpatch.atomic import atomic_write
from selfpatch.backbones.file import load_backbone
from selfpatch.errors import exit_with_sentence


def main() -> None:
    """Read the command line, try everything, print a table, the best first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--davis", type=Path, required=True, help="folder in DAVIS-2017's layout")
    parser.add_argument("--weights", required=True, help="backbone file or checkpoint")
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    parser.add_argument("--sequences", nargs="+", help="default: all that the folder lists")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="backbone's precision")
    default = Propagation()
    parser.add_argument("--context-frames", type=int, nargs="+", default=[default.context_frames])
    parser.add_argument("--radius", type=int, nargs="+", default=[default.radius])
    parser.add_argument("--top-k", type=int, nargs="+", default=[default.top_k])
    parser.add_argument("--temperature", type=float, nargs="+", default=[default.temperature])
    parser.add_argument("--tokens", choices=TOKENS, nargs="+", default=[TOKENS[0]])
    parser.add_argument("--layer", type=int, nargs="+", default=[None])
    parser.add_argument("--short-side", type=int, nargs="+", default=[480])
    args = parser.parse_args()
    with exit_with_sentence():
        results = sweep(args)
        results.sort(key=lambda result: -result["J&F-Mean"])
        with atomic_write(args.json, "w") as file:
            json.dump(results, file, indent=1)
    print_table(results)


def sweep(args: argparse.Namespace) -> list[dict]:
    """Settings and scores of every combination."""
    backbone, info = load_backbone(args.weights, args.device)
    readings = [
        resolved(Reading(*values), backbone)
        for values in product(args.layer, args.tokens, args.short_side)
    ]
    propagations = [
        Propagation(*values)
        for values in product(args.context_frames, args.radius, args.top_k, args.temperature)
    ]
    combinations = [Settings(p, r, args.dtype) for r in readings for p in propagations]
    scores: dict[Settings, dict[str, ObjectScores]] = {setting: {} for setting in combinations}
    for name in args.sequences or read_names(args.davis):
        sequence = find_sequence(args.davis, name)
        for reading in readings:
            print(f"{name}: layer {reading.layer}, {reading.tokens}, {reading.short_side} pixels")
            features = list(extract(backbone, sequence.frames, reading, DTYPES[args.dtype]))
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


if __name__ == "__main__":
    main()

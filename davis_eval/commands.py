"""Track objects in videos by propagating labels, and score it.

Examples:
    selfpatch davis run --davis DIR --weights backbone.safetensors --out DIR
    selfpatch davis score --davis DIR --results DIR --json scores.json
    selfpatch davis show --davis DIR --results DIR DIR --out DIR
    selfpatch davis keypoints --jhmdb DIR --weights backbone.safetensors --json pck.json
    selfpatch davis sweep --davis DIR --weights backbone.safetensors --json sweep.json --top-k 5 10
"""

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from davis_eval.sequences import LAYOUTS
from davis_eval.settings import DTYPES, PROTOCOLS, TOKENS, Propagation, Reading, Settings
from selfpatch.commands.parser import positive
from selfpatch.errors import InputError

WORK = {
    "run": "davis_eval.evaluate.run",
    "score": "davis_eval.scoring.run",
    "show": "davis_eval.show.show",
    "keypoints": "davis_eval.keypoints.run",
    "sweep": "davis_eval.sweep.run",
}
"""Command -> the function that does it, imported when it is called."""


def run(args: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: Some sequences failed; the others are finished.
    """
    module, _, name = WORK[args.work].rpartition(".")
    failures = getattr(import_module(module), name)(args)
    if failures:
        raise InputError(f"{len(failures)} of the sequences failed: {', '.join(failures)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their arguments."""
    commands = parser.add_subparsers(dest="work", required=True, metavar="COMMAND")
    davis = argparse.ArgumentParser(add_help=False)
    davis.add_argument("--davis", type=Path, required=True, help="folder of videos and masks")
    backbone = argparse.ArgumentParser(add_help=False)
    backbone.add_argument("--weights", required=True, help="backbone file or checkpoint")
    backbone.add_argument("--device", help="such as cpu or cuda:1; a GPU where there is one")
    backbone.add_argument("--dtype", choices=DTYPES, default="float32", help="precision")
    backbone.add_argument("--dry-run", action="store_true", help="only say what would be done")

    examples = {line.split()[2]: line for line in (__doc__ or "").splitlines() if "davis " in line}

    def add(name: str, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            parents=parents,
            help=text,
            description=text,
            epilog=f"Example:\n{examples[name]}",
            formatter_class=parser.formatter_class,
        )

    command = add("run", "segment the videos, then score", davis, backbone)
    command.add_argument("--out", type=Path, required=True, help="folder for masks and scores")
    command.add_argument("--layout", choices=LAYOUTS, default="davis", help="of the folder")
    command.add_argument("--workers", type=positive, default=1, help="videos at a time")
    command.add_argument("--overwrite", action="store_true", help="also redo finished sequences")
    add_settings(command)
    keep_small(command)

    command = add("score", "score a folder of masks")
    truth = command.add_mutually_exclusive_group(required=True)
    truth.add_argument("--davis", type=Path, help="DAVIS's folder of videos and masks")
    truth.add_argument("--truth", type=Path, help="another folder of true masks, one per video")
    command.add_argument("--results", type=Path, required=True, help="a folder per sequence")
    command.add_argument("--json", type=Path, required=True, help="file to write; CSVs beside it")
    command.add_argument(
        "--protocol", choices=PROTOCOLS, default="semi-supervised", help="of DAVIS"
    )
    command.add_argument("--workers", type=positive, help="videos at a time; as many as cores")

    command = add("show", "draw masks over the videos", davis)
    command.add_argument("--results", type=Path, nargs="+", required=True, help="side by side")
    command.add_argument("--titles", nargs="+", help="one per folder of results")
    command.add_argument("--out", type=Path, required=True, help="folder for .mp4 and .png files")
    command.add_argument("--layout", choices=LAYOUTS, default="davis", help="of the folder")

    command = add("keypoints", "track JHMDB's joints, and their PCK", backbone)
    command.add_argument("--jhmdb", type=Path, required=True, help="folder in JHMDB's layout")
    command.add_argument("--split", type=int, default=1, choices=(1, 2, 3), help="list of videos")
    command.add_argument("--json", type=Path, required=True, help="file to write")
    add_settings(command, short_side=320)

    command = add("sweep", "try settings; each video's features are computed once", davis, backbone)
    command.add_argument("--json", type=Path, required=True, help="file to write")
    command.add_argument("--sequences", nargs="+", help="some of those that the folder lists")
    add_settings(command, several=True)
    keep_small(command)


def add_settings(
    parser: argparse.ArgumentParser, short_side: int = 480, several: bool = False
) -> None:
    """Add the options for everything that changes the labels, one value each or several."""
    reading, propagation = Reading(short_side=short_side), Propagation()

    def add(name: str, kind: type, default: object, text: str, **more: Any) -> None:
        if several:
            more["nargs"], default = "+", [default]
        parser.add_argument(name, type=kind, default=default, help=text, **more)

    add("--tokens", str, reading.tokens, "which output is compared", choices=TOKENS)
    add("--layer", int, reading.layer, "block of a ViT, stage of a Swin or ResNet; the last one")
    add("--short-side", int, reading.short_side, "pixels of a frame's short side")
    add("--context-frames", int, propagation.context_frames, "frames before, besides the first")
    add("--radius", int, propagation.radius, "how far a patch looks, in patches")
    add("--top-k", int, propagation.top_k, "most similar patches that count")
    add("--temperature", float, propagation.temperature, "of their softmax")


def keep_small(parser: argparse.ArgumentParser) -> None:
    """Add the option for objects smaller than a patch."""
    text = "follow objects that win no patch by the one they overlap most"
    parser.add_argument("--keep-small", action="store_true", help=text)


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings of a command line."""
    return Settings(
        Propagation(args.context_frames, args.radius, args.top_k, args.temperature),
        Reading(args.layer, args.tokens, args.short_side),
        args.dtype,
        getattr(args, "keep_small", False),  # joints are never too small
    )

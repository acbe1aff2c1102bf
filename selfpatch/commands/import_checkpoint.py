"""Turn a published checkpoint into a backbone file, and say what became of each of its keys.

Examples:
    selfpatch import dino_deitsmall16_pretrain.pth dino.safetensors --method dino
    selfpatch import dinov2-small/ dinov2.safetensors
    selfpatch import --from hf:facebook/dinov2-small dinov2.safetensors
    selfpatch import vit.pth vit.safetensors --set num_heads=12 norm_eps=1e-5 mean=[0.5,0.5,0.5]
"""

import argparse
import ast
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from selfpatch.errors import InputError

if TYPE_CHECKING:
    from selfpatch.backbones.keys import Report


BESIDE = "lies beside the trunk"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "source", nargs="?", help="a checkpoint, a folder of Hugging Face or timm, or as --from"
    )
    parser.add_argument("out", help="the backbone file to write, *.safetensors")
    parser.add_argument(
        "--from",
        dest="elsewhere",
        metavar="NAME",
        help="instead of a source: timm:NAME, hf:ORG/NAME or hub:REPO:NAME",
    )
    parser.add_argument("--arch", help="refuse anything but this variant, such as vit_small")
    parser.add_argument(
        "--set",
        type=assignment,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        dest="told",
        help="what the file does not tell: num_heads, norm_eps, activation, resizing, mean, std,"
        " image_size",
    )
    parser.add_argument(
        "--network", choices=["teacher", "student"], default="teacher", help="where there are both"
    )
    parser.add_argument("--method", help="how it was trained, where the keys do not tell")
    parser.add_argument("--json", action="store_true", help="print JSON")


def assignment(text: str) -> tuple[str, Any]:
    """``NAME=VALUE`` -> both, the value as Python spells it, or a word."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def run(args: argparse.Namespace) -> None:
    """Convert, report."""
    from selfpatch.backbones.file import read_file, save_backbone

    if (args.source is None) == (args.elsewhere is None):
        raise InputError("give what to import, as SOURCE or as --from NAME")
    source = args.source or args.elsewhere
    started = time.monotonic()
    with said_if_slow(f"reading and checking {source}", started):
        state, info, report = read_file(source, args.network, dict(args.told), args.method)
    if args.arch is not None:
        check_variant(source, info.architecture, args.arch)
    with said_if_slow(f"writing {args.out}", started):
        info = save_backbone(args.out, state, info)
    if args.json:
        keys = {"used": report.used, "ignored": report.ignored, "values": report.values}
        print(json.dumps({"out": args.out, "backbone": info.described(), **keys}))
        return
    print(described(report))
    size = ", ".join(f"{name} {value}" for name, value in info.architecture.items())
    print(f"{args.out}: method {info.method}, fingerprint {info.fingerprint[:12]}\n  {size}")


@contextmanager
def said_if_slow(what: str, started: float, seconds: float = 5) -> Iterator[None]:
    """Say on stderr what is being done, once that many seconds have passed since a moment."""
    left = max(started + seconds - time.monotonic(), 0)
    timer = threading.Timer(left, print, [f"{what} ..."], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def check_variant(source: str, architecture: dict, variant: str) -> None:
    """Refuse a trunk of another width or depth than the one that was asked for."""
    from selfpatch.models.trunks import build_trunk

    wanted = build_trunk(variant).architecture
    for name in ("family", "embed_dim", "depth", "depths"):
        if architecture.get(name) != wanted.get(name):
            raise InputError(
                f"{source} is no {variant}: its {name} is {architecture.get(name)}, not"
                f" {wanted[name]}"
            )


def described(report: "Report") -> str:
    """The report, keys that differ in a number only on one line."""
    lines = [f"used: {len(report.used)} keys"]
    lines += [f"  {line}" for line in grouped(f"{k} -> {v}" for k, v in report.used.items())]
    lines.append(f"ignored: {len(report.ignored)} keys")
    lines += [f"  {line}" for line in grouped(shown(k, v) for k, v in report.ignored.items())]
    lines += ["what the weights do not tell:"] * bool(report.values)
    lines += [f"  {name}: {source}" for name, source in report.values.items()]
    return "\n".join(lines)


def shown(key: str, reason: str) -> str:
    """A key that is left out; of what has nothing to do with the trunk, only the beginning."""
    if reason == BESIDE and key.count(".") > 2:
        key = ".".join(key.split(".")[:2]) + ".[...]"
    return f"{key}: {reason}"


def grouped(lines: Iterable[str]) -> list[str]:
    """Lines whose block numbers are replaced by ``*``, each once, with its count."""
    counts: dict[str, int] = defaultdict(int)
    for line in lines:
        parts = [
            ".".join("*" if part.isdigit() else part for part in word.split("."))
            for word in line.split(" ")
        ]
        counts[" ".join(parts)] += 1
    return [line if count == 1 else f"{line}  ({count})" for line, count in counts.items()]

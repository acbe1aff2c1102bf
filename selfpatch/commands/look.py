"""Show what backbones see in images of your own: attention, similarity and colours of patches.

Examples:
    selfpatch look --weights dino.safetensors selfpatch.safetensors --images DIR --out look.html
    selfpatch look --weights FILE --images cat.jpg --query 120 80 --query 300 200 \\
        --out look.html --figure figure.png

Any backbone file or checkpoint of a ViT, Swin or ResNet is taken. The page needs no network.
"""

import argparse
from pathlib import Path

from selfpatch.commands.parser import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--weights", type=Path, nargs="+", action="extend", required=True, metavar="FILE",
        help="backbone files or checkpoints, one row each",
    )  # fmt: skip
    parser.add_argument(
        "--images", type=Path, nargs="+", action="extend", required=True, metavar="PATH",
        help="images, and folders of images or of a video's frames",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="the page to write, .html")
    parser.add_argument("--figure", type=Path, help="also write the attention as one picture, .png")
    parser.add_argument("--titles", nargs="+", help="one per file; its method, if left out")
    parser.add_argument(
        "--query", type=float, nargs=2, action="append", metavar=("X", "Y"), default=[],
        help="an asking patch, in pixels of the image from its left and top; may be given again;"
        " five patches over the image, if left out",
    )  # fmt: skip
    parser.add_argument(
        "--top", type=float, default=0.1, metavar="SHARE",
        help="share of the patches marked as attended to most",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=positive, default=480, metavar="PIXELS",
        help="long side at which the backbones see an image, about",
    )  # fmt: skip
    parser.add_argument(
        "--most", type=positive, default=12, metavar="N",
        help="images in the page, evenly spaced over those that there are",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Look, and write the page."""
    from selfpatch.atomic import atomic_write
    from selfpatch.errors import InputError
    from selfpatch.report.look import draw_look, paper_figure, write_look
    from selfpatch.report.seeing import Settings, find_images, look_at

    if args.titles and len(args.titles) != len(args.weights):
        raise InputError(f"{len(args.titles)} titles do not fit {len(args.weights)} backbones")
    settings = Settings(tuple((x, y) for x, y in args.query), args.top, args.size)
    images = find_images(args.images, args.most)
    views, backbones, faults = look_at(args.weights, images, settings, args.titles, print)
    for fault in faults.values():
        print(f"left out: {fault}")
    size = write_look(args.out, draw_look(views, backbones, faults, settings))
    print(f"page: {args.out} ({size / 1e6:.1f} MB, {len(views)} images)")
    if args.figure:
        picture = paper_figure(views, backbones, args.top)
        with atomic_write(args.figure) as file:
            picture.save(file, format="PNG")
        print(f"figure: {args.figure}")

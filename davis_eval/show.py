"""Frames and masks -> a video and a strip to look at, for one result or several side by side."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from davis_eval.frames import read_frame
from davis_eval.masks import read_ids, read_mask, visible
from davis_eval.sequences import LAYOUTS, find_sequence, video_names
from davis_eval.sequences import Sequence as Video
from selfpatch.atomic import atomic_write
from selfpatch.errors import InputError
from selfpatch.visualize.pictures import paint_objects

GAP = 6
"""Pixels between two pictures."""


def pictures(
    video: Video, frames: Sequence[Path], results: Sequence[Path], titles: Sequence[str]
) -> Iterator[Image.Image]:
    """Frames of a video with the masks of each result folder, side by side under their titles.

    Args:
        video: The video.
        frames: Those of its frames that are shown.
        results: Folders of masks.
        titles: Title of each result.

    Raises:
        InputError: A mask is missing or cannot be read.
    """
    for path in frames:
        frame = Image.fromarray(read_frame(path))
        masks = (labels_to_show(video, folder / video.name, path.stem) for folder in results)
        panels = [paint_objects(frame, mask) for mask in masks]
        yield side_by_side(panels, titles)


def labels_to_show(video: Video, folder: Path, stem: str) -> np.ndarray:
    """The labels of one frame; objects with masks of their own are numbered, the last one on top.

    Raises:
        InputError: A mask is missing or cannot be read.
    """
    if not video.masks[0].object_name:
        return visible(read_mask(folder / f"{stem}.png"))
    masks = [read_ids(folder / of.object_name / f"{stem}.png") > 0 for of in video.masks]
    return np.max([number * mask for number, mask in enumerate(masks, 1)], axis=0).astype(np.uint8)


def side_by_side(panels: Sequence[Image.Image], titles: Sequence[str]) -> Image.Image:
    """Pictures of one size in a row, with even sides, as video codecs want them."""
    width, height = panels[0].size
    row = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height))
    draw = ImageDraw.Draw(row)
    for number, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        left = number * (width + GAP)
        row.paste(panel, (left, 0))
        if title:
            box = draw.textbbox((left + 8, 6), title, font_size=20)
            draw.rectangle((box[0] - 4, box[1] - 3, box[2] + 4, box[3] + 3), fill=(0, 0, 0))
            draw.text((left + 8, 6), title, fill=(255, 255, 255), font_size=20)
    return row.crop((0, 0, row.width // 2 * 2, row.height // 2 * 2))


def write_video(path: Path, images: Iterator[Image.Image], frames_per_second: int = 24) -> None:
    """Write an H.264 video that browsers play."""
    with atomic_write(path) as file, av.open(file, "w", format="mp4") as container:
        stream = None
        for image in images:
            if stream is None:
                stream = container.add_stream("libx264", Fraction(frames_per_second))
                stream.width, stream.height = image.size
                stream.pix_fmt, stream.options = "yuv420p", {"crf": "20"}
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        if stream is not None:
            container.mux(stream.encode())


def write_strip(path: Path, images: Sequence[Image.Image], width: int = 420) -> None:
    """Write pictures below one another, each ``width`` pixels wide per panel of its row."""
    rows = [image.resize((width, width * image.height // image.width)) for image in images]
    strip = Image.new("RGB", (width, sum(row.height + GAP for row in rows) - GAP))
    top = 0
    for row in rows:
        strip.paste(row, (0, top))
        top += row.height + GAP
    with atomic_write(path) as file:
        strip.save(file, format="PNG")


def evenly(items: Sequence[Path], count: int) -> list[Path]:
    """``count`` items from first to last, evenly spaced."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def show(args: argparse.Namespace) -> list[str]:
    """Draw every video that all results have; returns the names of those that failed."""
    titles = args.titles or [path.name for path in args.results]
    if len(titles) != len(args.results):
        raise InputError(f"{len(titles)} titles do not fit {len(args.results)} result folders")
    layout = LAYOUTS[args.layout]
    failures = []
    for name in video_names(args.davis, layout):
        try:
            video = find_sequence(args.davis, name, layout)
            write_strip(
                args.out / f"{name}.png",
                list(pictures(video, evenly(video.frames, 6), args.results, titles)),
                width=420 * len(titles),
            )
            write_video(
                args.out / f"{name}.mp4", pictures(video, video.frames, args.results, titles)
            )
            print(f"{name:<20} {args.out / name}.mp4, .png")
        except InputError as error:
            failures.append(name)
            print(f"{name:<20} failed: {error}", file=sys.stderr)
    return failures

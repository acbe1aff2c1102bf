"""Masks of videos -> strips of frames with the objects found, the truth first."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from selfpatch.data.images import read_stored
from selfpatch.errors import InputError
from selfpatch.report.outcomes import Outcome, evenly
from selfpatch.report.pages import Picture, Row, photo_or_note, row_or_note
from selfpatch.visualize.pictures import paint_objects

FRAMES, TRUTH = "JPEGImages/480p", "Annotations/480p"
VOID = 255


def tracking_rows(outcomes: Sequence[Outcome], videos: int = 2, frames: int = 5) -> tuple[Row, ...]:
    """A row per video and model, and one for the truth; nothing, where no model has left masks."""
    data = next((o.data for o in outcomes if o.data.is_dir()), outcomes[0].data)
    found = {o.title: o.folder for o in outcomes if any(o.folder.glob("*/*.png"))}
    if not found:
        return ()
    names = {path.parent.name for folder in found.values() for path in folder.glob("*/*.png")}
    sources = {"ground truth": data / TRUTH, **found}
    return tuple(
        row_or_note(f"{name}, {title}", partial(video_strip, data, name, folder, frames))
        for name in sorted(names)[:videos]
        for title, folder in sources.items()
    )


def video_strip(data: Path, name: str, masks: Path, count: int) -> list[Picture]:
    """Frames of a video at equal distances, with its objects' masks."""
    chosen = evenly(sorted((data / FRAMES / name).glob("*.jpg")), count)
    if not chosen:
        raise InputError(f"{data / FRAMES / name} holds no frames")
    return [
        photo_or_note(f"frame {path.stem}", partial(with_objects, path, masks / name))
        for path in chosen
    ]


def with_objects(frame: Path, masks: Path) -> Image.Image:
    """One frame with its objects."""
    mask = np.asarray(read_stored(masks / f"{frame.stem}.png"))
    objects = np.where(mask == VOID, 0, mask).astype(np.uint8)
    return paint_objects(read_stored(frame).convert("RGB"), objects)

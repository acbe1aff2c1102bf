"""JHMDB: joints of the first frame -> joints of every frame, by the same propagation; PCK."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from davis_eval.commands import settings_of
from davis_eval.features import extract, network_size, resolved, resolved_settings, stride
from davis_eval.frames import read_frame
from davis_eval.matlab import read_array
from davis_eval.propagation import propagate
from davis_eval.sequences import check_names, files_in_order, read_list
from davis_eval.settings import Settings
from selfpatch.atomic import atomic_write
from selfpatch.backbones.loading import load_backbone
from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk

SPREAD = 0.5
"""Standard deviation of a joint's label around its place in the first frame, in patches."""

BEST = 5
"""Patches whose weighted mean place is where a joint is found."""

THRESHOLDS = (0.1, 0.2)
"""Shares of the person's size within which a joint counts as found."""


@dataclass(frozen=True)
class PoseVideo:
    """One video of JHMDB.

    Attributes:
        name: ``<action>/<video>``.
        frames: Images in order.
        joints: (frames, joints, 2): x and y in pixels, counted from 0.
    """

    name: str
    frames: tuple[Path, ...]
    joints: np.ndarray


def video_names(folder: Path, split: int = 1) -> Iterator[str]:
    """The test videos of a split: lines ``<video>.avi 2`` of ``splits/<action>_test_split<n>.txt``.

    Raises:
        InputError: There is no such list, or one names what is no video.
    """
    lists = sorted((folder / "splits").glob(f"*_test_split{split}.txt"))
    if not lists:
        raise InputError(f"{folder}/splits holds no *_test_split{split}.txt; is it JHMDB?")
    for path in lists:
        action = path.name.removesuffix(f"_test_split{split}.txt")
        lines = [line.rpartition(" ") for line in read_list(path)]
        names = [video.removesuffix(".avi") for video, _, part in lines if part == "2"]
        check_names(names, path)
        yield from (f"{action}/{name}" for name in names)


def read_video(folder: Path, name: str) -> PoseVideo:
    """One video, from JHMDB's own layout; frames beyond the last annotated one are left out.

    Read are ``Rename_Images/<action>/<video>/*.png`` and
    ``joint_positions/<action>/<video>/joint_positions.mat`` (``pos_img``, 2 x 15 x frames).

    Raises:
        InputError: There are no frames, or no joints.
    """
    frames = files_in_order(folder / "Rename_Images" / name, (".png",))
    path = folder / "joint_positions" / name / "joint_positions.mat"
    try:
        positions = read_array(path, "pos_img")
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{path} is missing or holds no joints ({error})") from None
    if positions.ndim != 3 or len(positions) != 2 or not np.isfinite(positions).all():
        raise InputError(
            f"{path} holds joints of shape {positions.shape} or infinite ones, not (2, joints,"
            " frames); fetch it again"
        )
    joints = positions.transpose(2, 1, 0) - 1
    count = min(len(frames), len(joints))
    if count < 2:
        raise InputError(f"{name} has {count} annotated frame; tracking takes 2 or more")
    return PoseVideo(name, tuple(frames[:count]), joints[:count])


def joint_labels(joints: Tensor, grid: tuple[int, int]) -> Tensor:
    """Joints in the first frame -> labels (1 + joints, rows, columns), background first.

    Args:
        joints: (joints, 2), x and y in units of patches; a patch's centre lies at its number + 0.5.
        grid: (rows, columns).
    """
    rows, columns = (torch.arange(side) + 0.5 for side in grid)
    across = (columns - joints[:, :1]).square()  # (joints, columns)
    down = (rows - joints[:, 1:]).square()
    labels = torch.exp(-(down[:, :, None] + across[:, None, :]) / (2 * SPREAD**2)).float()
    background = (1 - labels.sum(0, keepdim=True)).clamp(min=0)
    return torch.cat([background, labels])


def locate(soft: Tensor) -> Tensor:
    """Labels (1 + joints, rows, columns) -> places (joints, 2), x and y in units of patches."""
    columns = soft.shape[2]
    weights, places = soft[1:].flatten(1).topk(min(BEST, soft[0].numel()), dim=1)
    weights = weights / weights.sum(1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    x, y = places % columns + 0.5, places // columns + 0.5
    return torch.stack([(weights * x).sum(1), (weights * y).sum(1)], dim=1)


def track(backbone: Trunk, video: PoseVideo, settings: Settings) -> np.ndarray:
    """Carry the first frame's joints through a video: (frames, joints, 2) in pixels."""
    reading = resolved(settings.reading, backbone)
    pixels = stride(backbone, reading)
    height, width = read_frame(video.frames[0]).shape[:2]
    size = network_size(height, width, reading.short_side, pixels)
    grid = (size[0] // pixels, size[1] // pixels)
    patches_per_pixel = torch.tensor([grid[1] / width, grid[0] / height])
    # The centre of pixel n lies at n + 0.5.
    first = joint_labels((torch.from_numpy(video.joints[0]) + 0.5) * patches_per_pixel, grid)
    device = next(backbone.parameters()).device
    features = extract(backbone, video.frames, reading, getattr(torch, settings.dtype))
    found = [video.joints[0]]
    for soft in propagate(features, first.to(device), settings.propagation):
        found.append((locate(soft.cpu()) / patches_per_pixel - 0.5).numpy())
    return np.stack(found)


def pck(found: np.ndarray, true: np.ndarray, threshold: float) -> float:
    """Share of the joints after the first frame that are found within a share of the person.

    A person's size is 0.6 times the diagonal of the box around the frame's true joints, which
    stands for the person's own box.

    Args:
        found: The places found, (frames, joints, 2) in pixels.
        true: The true places, like ``found``.
        threshold: Share of that size within which a joint counts as found.
    """
    box = true.max(1) - true.min(1)
    size = 0.6 * np.hypot(box[:, 0], box[:, 1])
    distance = np.hypot(*np.moveaxis(found - true, 2, 0))
    return float((distance <= threshold * size[:, None])[1:].mean())


def run(args: argparse.Namespace) -> list[str]:
    """Track the joints of JHMDB's test videos; returns the names of those that failed."""
    backbone, info = load_backbone(args.weights, args.device)
    settings = resolved_settings(settings_of(args), backbone)
    values: dict[str, dict[str, float]] = {}
    failures = []
    names = list(video_names(args.jhmdb, args.split))
    print(f"{info.method} backbone {info.fingerprint[:12]}, {len(names)} videos")
    if args.dry_run:
        print(f"would write the joints' PCK to {args.json}, with {settings}")
        return []
    for name in names:
        try:
            video = read_video(args.jhmdb, name)
            found = track(backbone, video, settings)
            values[name] = {f"PCK@{t}": pck(found, video.joints, t) for t in THRESHOLDS}
            print(f"{name:<40} {percentages(values[name])}")
        except InputError as error:
            failures.append(name)
            print(f"{name:<40} failed: {error}", file=sys.stderr)
    measures = next(iter(values.values()), {})
    means = {name: float(np.mean([of[name] for of in values.values()])) for name in measures}
    result = {**means, "backbone": asdict(info), "settings": asdict(settings), "videos": values}
    with atomic_write(args.json, "w") as file:
        json.dump(result, file, indent=1)
    print(f"{'mean':<40} {percentages(means)}\n\nscores: {args.json}")
    return failures


def percentages(values: dict[str, float]) -> str:
    """Names and values in percent, on one line."""
    return "  ".join(f"{name} {100 * value:5.1f}" for name, value in values.items())

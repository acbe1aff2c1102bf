"""Time how ten views are made of an image, on one core, beside Pillow's and torchvision's way.

The textbook's way is DINO's: torchvision's transforms on Pillow's images, view by view.

Example:
    python -m tools.benchmarks.views --data DIR
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, islice

import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.utils.data import default_collate
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2.functional import pil_to_tensor

from selfpatch.data.allocation import start_worker
from selfpatch.data.draws import RADIUS, View, single_views
from selfpatch.data.views import MultiViewDataset
from selfpatch.engine.preprocessor import ViewPreprocessor
from selfpatch.models.vit import IMAGENET_MEAN, IMAGENET_STD
from tools.benchmarks.turns import add_arguments, in_turns, report, seconds_of

VIEWS = (
    View(224, (0.25, 1.0), blur=1.0),
    View(224, (0.25, 1.0), blur=0.1, solarize=0.2),
    View(96, (0.05, 0.25), blur=0.5, count=8),
)
BATCH = 128
"""Images of a batch on a GPU."""


class PillowBlur(nn.Module):
    """Pillow's Gaussian blur with a radius drawn as DINO does."""

    def forward(self, image: Image.Image) -> Image.Image:
        """Blur one image."""
        radius = torch.empty(()).uniform_(*RADIUS).item()
        return image.filter(ImageFilter.GaussianBlur(radius))


def textbook(view: View) -> v2.Compose:
    """One view's transforms of an image of Pillow's."""
    return v2.Compose([
        v2.RandomResizedCrop(view.size, view.scale, interpolation=InterpolationMode.BICUBIC),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(*view.color_jitter)], p=0.8),
        v2.RandomGrayscale(p=0.2),
        v2.RandomApply([PillowBlur()], p=view.blur),
        v2.RandomSolarize(threshold=128, p=view.solarize),
    ])  # fmt: skip


def textbook_views(dataset: MultiViewDataset) -> Callable[[int], list[Tensor]]:
    """Number of an image -> its views."""
    transforms = [textbook(view) for view in single_views(VIEWS)]

    def views(index: int) -> list[Tensor]:
        image = dataset.images.read(index)
        return [pil_to_tensor(transform(image)) for transform in transforms]

    return views


def preprocessor(device: str) -> ViewPreprocessor:
    """What makes views of a batch's crops on the device."""
    mean, std = ([255 * value for value in of] for of in (IMAGENET_MEAN, IMAGENET_STD))
    return ViewPreprocessor(mean, std).to(device)


def item(dataset: MultiViewDataset, number: int) -> object:
    """What a worker makes of an image."""
    return dataset[0, number]


def several(make: Callable[[int], object], numbers: Iterator[int], count: int) -> None:
    """Make what belongs to the next so many images."""
    for number in islice(numbers, count):
        make(number)


def rows_of(folder: str, args: argparse.Namespace) -> list[list[object]]:
    """The table's rows for a folder of images."""
    crops, views = (
        MultiViewDataset(folder, VIEWS, photometric_in_workers=finished)
        for finished in (False, True)
    )
    numbers = range(len(crops))
    sizes = [crops.images.read(number).size for number in islice(numbers, 50)]
    size = "{} x {}".format(*statistics.mode(sizes))
    theirs = textbook_views(crops)
    found: list[list[object]] = []
    for name, dataset in (("crops alone", crops), ("whole views", views)):
        ours, other = cycle(numbers), cycle(numbers)  # each goes through the same images
        turns = in_turns(
            partial(several, partial(item, dataset), ours, args.images),
            partial(several, theirs, other, args.images),
            args.pairs,
        )
        own, their = (1e3 * seconds / args.images for seconds in turns.seconds)
        found.append([size, f"{name}, one core", own, 1e3 / own, their, turns.ratio])
    batch = default_collate([crops[0, n % len(crops)] for n in range(BATCH)])
    preprocess = preprocessor(args.device)
    if preprocess.device.type == "cuda":
        batch = {name: of for name, of in batch.items() if name in ("crops", "draws")}
        batch = torch.utils.data._utils.pin_memory.pin_memory(batch)
    times = [seconds_of(lambda: preprocess(batch), args.device) for _ in range(args.pairs + 1)][1:]
    own = 1e3 * statistics.median(times) / BATCH
    found.append([size, f"crops to views, {BATCH} on {args.device}", own, 1e3 / own, "", ""])
    return found


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", required=True, help="folders of images")
    parser.add_argument("--images", type=int, default=10, help="of a counted run")
    add_arguments(parser, pairs=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    start_worker(0)
    rows = [row for folder in args.data for row in rows_of(folder, args)]
    columns = ("images", "what is made", "ms/image", "images/s", "textbook ms/image", "ratio")
    report(columns, rows, args)


if __name__ == "__main__":
    main()

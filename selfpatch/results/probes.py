"""The name of a probe's task -> its data set, probe and size, and what to type for it."""

import re
from typing import NamedTuple

PROBES = {
    "in-context": "in-context segmentation",
    "linear": "linear segmentation",
    "overclustering": "overclustering",
    "discovery": "object discovery",
    "correspondence": "correspondence",
    "depth": "depth",
    "knn": "k-NN",
    "classification": "linear classification",
    "retrieval": "retrieval",
}
"""Probe -> what it measures, in the order of the tables."""

SEGMENTATION = ("in-context", "linear", "overclustering")
"""Probes that are tested on all images of a data set."""

DRAWING = ("in-context", "linear", "overclustering", "depth", "classification")
"""Probes that draw something, by a seed."""

DATA_SETS = {
    "ade20k": "ADE20K",
    "voc": "PASCAL VOC 2012",
    "voc2007": "PASCAL VOC 2007",
    "voc2012": "PASCAL VOC 2012",
    "cityscapes": "Cityscapes",
    "coco-stuff": "COCO-Stuff",
    "coco-things": "COCO-Things",
    "coco": "COCO",
    "davis": "DAVIS",
    "spair": "SPair-71k",
    "nyu": "NYU",
    "roxford5k": "Revisited Oxford",
    "rparis6k": "Revisited Paris",
}
"""Data set in a task's name -> its own name; others are called as their folders are."""


def data_set_in(name: str) -> str:
    """The key of :data:`DATA_SETS` that a name begins with, such as ``voc`` in ``voc-aug``."""
    found = (known for known in DATA_SETS if re.match(rf"{known}(?![a-z])", name))
    return max(found, key=len, default="")


class ProbeTask(NamedTuple):
    """What a probe's task is called after.

    Attributes:
        data: Data set, and which part of it was learned from.
        probe: A key of :data:`PROBES`.
        how: How the probe reads, where there are several ways.
        size: Side of the images, in pixels; nothing where they keep their own.
    """

    data: str
    probe: str
    how: str
    size: str

    @property
    def title(self) -> str:
        """Its name as people read it."""
        known = data_set_in(self.data)
        data = DATA_SETS.get(known, "") + self.data.removeprefix(known)
        how = f" ({self.how})" if self.how else ""
        size = f", {self.size} pixels" if self.size else ""
        return f"{data.replace('-1of', ', 1/')}, {PROBES[self.probe]}{how}{size}"

    @property
    def order(self) -> tuple[int, "ProbeTask"]:
        """By probe, then by data set."""
        return list(PROBES).index(self.probe), self


DEPTH = re.compile(r"(.+)-(depth)-(linear|in-context)-(\d+)")
FORM = re.compile(rf"(.+)-({'|'.join(PROBES)})()(?:-(\d+)|(?<=-discovery))")


def probe_task(task: str) -> ProbeTask | None:
    """What the name of a task says, if it is a probe's."""
    found = DEPTH.fullmatch(task) or FORM.fullmatch(task)
    return ProbeTask(*(part or "" for part in found.groups())) if found else None

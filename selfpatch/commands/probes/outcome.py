"""What a probe found, and of what."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfpatch.backbones.file import BackboneInfo


@dataclass(frozen=True)
class Outcome:
    """What a probe found.

    Attributes:
        task: Its name in results and tables: data set, probe and size of the images.
        metrics: Name -> value, in percent unless the name says otherwise; None where nothing could
            be measured.
        info: The backbone.
        folder: Where the data lies that was tested on.
        tested: Names of what was tested on.
        settings: Whatever else changes the numbers, the same for all backbones that are compared.
        found: What came out beside the metrics, such as the learning rate that was chosen; stands
            in results, and is not compared.
        unit: What ``tested`` are.
    """

    task: str
    metrics: dict[str, float | None]
    info: "BackboneInfo"
    folder: str
    tested: list[str]
    settings: dict[str, Any]
    found: dict[str, Any] = field(default_factory=dict)
    unit: str = "images"

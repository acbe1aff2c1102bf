"""All that decides what masks a backbone gives, and the defaults; to name them takes no torch."""

from dataclasses import dataclass, field

from selfpatch.errors import InputError

TOKENS = ("last-block", "final-norm")
DTYPES = ("float32", "bfloat16")
PROTOCOLS = ("semi-supervised", "single-object", "unsupervised")


@dataclass(frozen=True)
class Reading:
    """Which features are read of a frame.

    Attributes:
        layer: Block of a ViT, or stage of a Swin or ResNet, counted from 1; None is the trunk's own
            choice: the last block or stage, but the third stage of a ResNet.
        tokens: ``last-block`` takes a layer's output as it is, as SelfPatch does; ``final-norm``
            applies the trunk's last norm to it, as DINO does.
        short_side: Pixels to which the short side of a frame is resized.
    """

    layer: int | None = None
    tokens: str = "last-block"
    short_side: int = 480

    def __post_init__(self) -> None:
        if self.short_side < 64:
            raise InputError(f"--short-side {self.short_side} is less than 64 pixels")


@dataclass(frozen=True)
class Propagation:
    """The settings of label propagation; the defaults are the paper's, and DINO's.

    Attributes:
        context_frames: Frames before the current one that it looks at, besides the first frame.
        radius: Patches up, down, left and right of its own place that a patch looks at.
        top_k: Most similar patches, over all context frames together, that are kept.
        temperature: Temperature of the similarities, before their softmax.
    """

    context_frames: int = 7
    radius: int = 12
    top_k: int = 5
    temperature: float = 0.1

    def __post_init__(self) -> None:
        if self.context_frames < 0 or self.radius < 0 or self.top_k < 1 or self.temperature <= 0:
            raise InputError(
                "propagation takes context frames and radius from 0, top-k from 1, and a positive"
                f" temperature, not {self}"
            )


@dataclass(frozen=True)
class Settings:
    """All that decides what masks a backbone gives.

    Attributes:
        propagation: Settings of the labels' propagation.
        reading: Which features are read.
        dtype: Precision of the backbone's computation, ``float32`` or ``bfloat16``.
        keep_small: Whether an object too small to win a patch is given the one it overlaps most;
            DINO's evaluation loses it.
    """

    propagation: Propagation = field(default_factory=Propagation)
    reading: Reading = field(default_factory=Reading)
    dtype: str = "float32"
    keep_small: bool = False

"""Frame files -> pixels."""

from pathlib import Path

import numpy as np

from selfpatch.data.images import read_stored


def read_frame(path: Path) -> np.ndarray:
    """One frame as uint8 (H, W, 3); greyscale becomes grey RGB.

    Unlike :func:`selfpatch.data.images.read_image` it is not turned upright: the masks lie on the
    pixels as they are stored.

    Raises:
        InputError: The file is missing or truncated.
    """
    return np.asarray(read_stored(path).convert("RGB"))

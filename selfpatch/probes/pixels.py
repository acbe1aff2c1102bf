"""Features of patches -> those of pixels, interpolated bilinearly between them."""

from torch import Tensor


def at_pixels(
    features: Tensor, grid: int, rows: Tensor, columns: Tensor, size: tuple[int, int]
) -> Tensor:
    """Features of an image's patches, interpolated bilinearly at pixels.

    Args:
        features: (N, D), of a square grid.
        grid: Patches to a side.
        rows: (P,), pixels of a map of size ``size``; where they are fractions, points between.
        columns: Likewise.
        size: Height and width of the map that the grid is enlarged to.

    Returns:
        (P, D), as ``F.interpolate(mode="bilinear")`` gives them.
    """
    found = features.new_zeros(len(rows), features.shape[1])
    (top, bottom, down), (left, right, across) = (
        neighbours(at, side, grid) for at, side in ((rows, size[0]), (columns, size[1]))
    )
    for row, by_row in ((top, 1 - down), (bottom, down)):
        for column, by_column in ((left, 1 - across), (right, across)):
            found = found + (by_row * by_column)[:, None] * features[row * grid + column]
    return found


def neighbours(places: Tensor, side: int, grid: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels along a side -> the patches before and after each, and how far it is on its way."""
    position = ((places + 0.5) * (grid / side) - 0.5).clamp(min=0)
    before = position.long().clamp(max=grid - 1)
    return before, (before + 1).clamp(max=grid - 1), position - before

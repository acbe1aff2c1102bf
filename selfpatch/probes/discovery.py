"""Keys of an image's patches -> the box of one object that stands out: LOST and TokenCut.

Boxes are those of the authors' code, valeoai/LOST and YangtaoWANG95/TokenCut, from the same keys.
"""

import numpy as np
import torch.nn.functional as F
from scipy import ndimage
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

EXPANSION = 100
"""Patches of the lowest degree that LOST's seed may grow by."""

TAU, EPS = 0.2, 1e-5
"""TokenCut: patches of a cosine above the first are joined; the weight of all other pairs."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, the last two beyond the box."""


def lost(keys: Tensor, grid: tuple[int, int]) -> Box:
    """The box, in patches, that LOST finds.

    Simeoni et al., Localizing Objects with Self-Supervised Transformers and no Labels (BMVC 2021):
    the seed is the patch that is positively correlated with the fewest; it grows by those of the
    :data:`EXPANSION` lowest degrees that are correlated with it. Of the patches that are, in sum,
    correlated with these, the connected ones around the seed are the object.

    Args:
        keys: fp32 (N, D).
        grid: (rows, columns) of the N patches.
    """
    correlations = keys @ keys.T
    # Each patch is one more to itself, which changes no order; of equal ones the first is taken.
    order = (correlations > 0).sum(1).argsort(stable=True)
    seed, candidates = order[0], order[:EXPANSION]
    grown = candidates[correlations[seed, candidates] > 0]
    alike = correlations[grown].sum(0) > 0
    return box_around(alike.view(grid).cpu().numpy(), int(seed))


def tokencut(keys: Tensor, grid: tuple[int, int]) -> Box:
    """The box, in patches, that TokenCut finds.

    Wang et al., Self-Supervised Transformers for Unsupervised Object Discovery Using Normalized Cut
    (CVPR 2022): the graph of patches whose keys are alike is cut in two at the mean of the second
    eigenvector. The connected patches around its largest entry are the object.

    Args:
        keys: fp32 (N, D).
        grid: (rows, columns) of the N patches.
    """
    units = F.normalize(keys, dim=1)
    vector = second_eigenvector((units @ units.T > TAU).cpu().numpy())
    seed = int(np.abs(vector).argmax())
    above = vector > vector.mean()
    return box_around((above == above[seed]).reshape(grid), seed)


def second_eigenvector(joined: np.ndarray) -> np.ndarray:
    """x of the second smallest eigenvalue in ``(D - W) x = lambda D x``, of any sign and length.

    W is 1 where patches are joined and :data:`EPS` elsewhere, D the diagonal of its sums. Found by
    Lanczos iteration, of which an image takes some dozens of steps; where the eigenvalue is
    multiple, and x thus arbitrary, as scipy's solver for all eigenvalues gives it.

    Args:
        joined: bool (N, N), symmetric.

    Returns:
        fp64 (N,).
    """
    if len(joined) == 1:
        return np.ones(1)
    weights = np.where(joined, 1.0, EPS)
    degrees = weights.sum(1)
    root = np.sqrt(degrees)
    # y = D^1/2 x belongs to the same eigenvalue, subtracted from 1, of D^-1/2 W D^-1/2. Its first
    # eigenvector is known: its eigenvalue, 1, is moved to -1, below all others.
    scaled = weights / root / root[:, None]
    first = root / np.linalg.norm(root)
    shifted = LinearOperator(
        scaled.shape, dtype=np.float64, matvec=lambda y: scaled @ y - 2 * first * (first @ y)
    )
    start = np.random.default_rng(0).standard_normal(len(root))
    try:
        _, vectors = eigsh(shifted, k=1, which="LA", v0=start)
    except ArpackError:
        laplacian = np.diag(degrees) - weights
        _, vectors = eigh(laplacian, np.diag(degrees), subset_by_index=[1, 1])
        return vectors[:, 0]
    return vectors[:, 0] / root


def box_around(mask: np.ndarray, place: int) -> Box:
    """The box of the true entries (rows, columns) that are connected with the one at ``place``.

    Entries are connected with those above, below and beside them.
    """
    areas, _ = ndimage.label(mask)
    rows, columns = ndimage.find_objects(areas)[areas.flat[place] - 1]
    return columns.start, rows.start, columns.stop, rows.stop

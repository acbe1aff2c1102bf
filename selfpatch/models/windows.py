"""Images -> patch maps with most blocks attending within windows only, as in ViTDet."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor

from selfpatch.models.attention import SelfAttention, SelfAttentionBlock
from selfpatch.models.vit import VisionTransformer

Groups = tuple[tuple[int, int], ...]
"""Windows of one size that lie side by side in the sequence: how many, and tokens of each."""


def window_order(rows: int, columns: int, window_size: int) -> tuple[Tensor, Groups]:
    """Order in which the patches of a grid follow one another window by window.

    Windows at the right and at the bottom are as small as the rest of the grid; nothing is padded,
    so no patch attends to padding (ViTDet's own code pads with zeros that are attended to).

    Returns:
        Indices (rows * columns,) into row-major order, and the groups of windows of one size.
    """
    grid = torch.arange(rows * columns).view(rows, columns)
    whole_rows, whole_columns = (side // window_size * window_size for side in (rows, columns))
    order, groups = [], []
    for band in (grid[:whole_rows], grid[whole_rows:]):
        for area in (band[:, :whole_columns], band[:, whole_columns:]):
            if area.numel():
                height, width = (min(side, window_size) for side in area.shape)
                windows = area.unfold(0, height, height).unfold(1, width, width)
                order.append(windows.reshape(-1))
                groups.append((area.numel() // (height * width), height * width))
    return torch.cat(order), tuple(groups)


def attend_within(
    attention: SelfAttention, tokens: Tensor, groups: Groups, rotary: Tensor | None = None
) -> Tensor:
    """Attention within each window: (B, N, D) -> (B, N, D), both in window order.

    ``rotary`` (N, ...) is the table of the tokens' places, in the same order, where there is one.
    """
    num_images = len(tokens)
    counts = [number * length for number, length in groups]
    tables = [()] * len(groups) if rotary is None else [(t,) for t in rotary.split(counts)]
    found = []
    for part, table, (number, length) in zip(tokens.split(counts, 1), tables, groups, strict=True):
        windows = part.reshape(num_images * number, length, -1)
        own = [t.view(number, 1, length, -1).repeat(num_images, 1, 1, 1) for t in table]
        found.append(attention(windows, *own).view_as(part))
    return torch.cat(found, dim=1)


def run_windowed(
    block: SelfAttentionBlock, groups: Groups, tokens: Tensor, rotary: Tensor | None = None
) -> Tensor:
    """A block with attention within windows; stochastic depth drops per image."""
    attended = attend_within(block.attn, block.norm1(tokens), groups, rotary)
    tokens = tokens + block.drop_path1(block.ls1(attended))
    return tokens + block.drop_path2(block.ls2(block.mlp(block.norm2(tokens))))


def windowed_layer_maps(
    vit: VisionTransformer,
    images: Tensor,
    indices: Sequence[int],
    window_size: int,
    global_blocks: Collection[int],
) -> list[Tensor]:
    """Maps as :meth:`VisionTransformer.layer_maps` gives them, with attention within windows.

    All blocks but ``global_blocks`` attend within windows of ``window_size`` patches a side.
    The tokens are put in window order once, at the start, and patch maps back in row-major order:
    global attention does not care. Prefix tokens such as [CLS] see one another alone in windowed
    blocks, everything in global ones.
    """
    rows, columns = vit.grid(images)
    prefix = vit.num_prefix_tokens
    order, groups = window_order(rows, columns, window_size)
    order = order.to(images.device)
    tokens, rotary = vit.embed(images), vit.rotary((rows, columns))
    everything = torch.cat([torch.arange(prefix, device=order.device), prefix + order])
    tokens, maps = tokens[:, everything], []
    rotary = None if rotary is None else rotary[everything]
    if prefix:
        groups = ((1, prefix), *groups)
    for index, block in enumerate(vit.blocks[: max(indices) + 1]):
        windowed = partial(run_windowed, cast(SelfAttentionBlock, block), groups)
        tokens = vit.run_block(block if index in global_blocks else windowed, tokens, rotary)
        if index in indices:
            patches = tokens[:, prefix:][:, order.argsort()]
            maps.append(patches.transpose(1, 2).unflatten(2, (rows, columns)))
    return maps

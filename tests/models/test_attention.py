"""Attention by plain products is that of torch's kernel, and rounds no more."""

import pytest
import torch
import torch.nn.functional as F

from selfpatch.models.attention import SelfAttentionBlock, attend


def inputs(dtype: torch.dtype) -> list[torch.Tensor]:
    """Queries, keys and values of 2 images, 3 heads, 20 tokens."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 20, 8, generator=generator).to(dtype) for _ in range(3)]


def gradients(read, parts):
    """What is read, and the gradients of its sum of squares."""
    leaves = [part.detach().requires_grad_() for part in parts]
    result = read(*leaves)
    result.float().square().sum().backward()
    return [result.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("masked", [False, True])
def test_plain_products_err_no_more_than_the_kernel(masked):
    """Against attention in fp64 of the same bf16 numbers."""
    mask = torch.rand(2, 1, 20, 20, generator=torch.Generator().manual_seed(1)) < 0.7
    mask = mask | torch.eye(20, dtype=torch.bool) if masked else None
    low = inputs(torch.bfloat16)
    exact = gradients(
        lambda *parts: F.scaled_dot_product_attention(*parts, attn_mask=mask),
        [part.double() for part in low],
    )
    kernel = gradients(lambda *p: F.scaled_dot_product_attention(*p, attn_mask=mask), low)
    plain = gradients(lambda *parts: attend(*parts, mask), low)
    for ours, theirs, truth in zip(plain, kernel, exact, strict=True):
        assert not ours.equal(theirs)  # another way was taken
        error, allowed = (
            (found.double() - truth).norm() / truth.norm() for found in (ours, theirs)
        )
        assert error < max(2 * allowed, 0.01)


def test_in_fp32_and_without_gradients_it_is_the_kernel():
    for dtype in (torch.float32, torch.bfloat16):
        parts = inputs(dtype)
        with torch.no_grad():
            assert attend(*parts).equal(F.scaled_dot_product_attention(*parts))
    parts = inputs(torch.float32)
    for ours, theirs in zip(
        gradients(attend, parts),
        gradients(F.scaled_dot_product_attention, parts),
        strict=True,
    ):
        assert ours.equal(theirs)


def test_a_block_is_timms():
    from timm.models.vision_transformer import Block

    block, theirs = SelfAttentionBlock(24, 3, qkv_bias=True), Block(24, 3, qkv_bias=True)
    theirs.load_state_dict(block.state_dict())
    tokens = torch.randn(2, 10, 24)
    torch.testing.assert_close(block(tokens), theirs(tokens))

"""Attention against its formula, with padding and with nothing to look at."""

from __future__ import annotations

import math

import pytest
import torch

from sagittal.layers.attention import Attention, AttentionBlock, AttentionPool


def by_hand(layer: Attention, queries: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    q, (k, v) = layer.query(queries), layer.key_value(context).chunk(2, -1)
    outs = []
    for head in range(layer.heads):
        part = slice(head * q.shape[-1] // layer.heads, (head + 1) * q.shape[-1] // layer.heads)
        weights = torch.softmax(q[..., part] @ k[..., part].mT / math.sqrt(part.stop - part.start), dim=-1)
        outs.append(weights @ v[..., part])
    return layer.out(torch.cat(outs, -1))


def test_equals_the_formula() -> None:
    torch.manual_seed(0)
    layer, queries, context = Attention(12, 3), torch.randn(2, 4, 12), torch.randn(2, 7, 12)
    torch.testing.assert_close(layer(queries, context), by_hand(layer, queries, context))


def test_padding_is_as_if_it_were_not_there() -> None:
    torch.manual_seed(1)
    layer, queries, context = Attention(12, 3), torch.randn(1, 4, 12), torch.randn(1, 7, 12)
    mask = torch.arange(7)[None] < 5
    torch.testing.assert_close(layer(queries, context, mask), layer(queries, context[:, :5]))


def test_nothing_to_look_at_is_no_nan_and_no_leak() -> None:
    torch.manual_seed(2)
    layer, queries, context = Attention(12, 3), torch.randn(2, 4, 12), torch.randn(2, 7, 12)
    context.requires_grad_()
    mask = torch.tensor([[False] * 7, [True] * 7])
    out = layer(queries, context, mask)
    torch.testing.assert_close(out[0], layer.out.bias.expand(4, 12))
    out.sum().backward()
    assert context.grad is not None
    assert context.grad[0].abs().max() == 0
    assert torch.isfinite(context.grad).all()


def test_block_and_pool_keep_their_shapes_and_ignore_the_order_of_tokens() -> None:
    torch.manual_seed(3)
    block, pool, tokens = AttentionBlock(12, 3), AttentionPool(12, 5, 3), torch.randn(2, 7, 12)
    order = torch.randperm(7)
    torch.testing.assert_close(block(tokens)[:, order], block(tokens[:, order]))
    assert pool(tokens).shape == (2, 5, 12)
    torch.testing.assert_close(pool(tokens), pool(tokens[:, order]))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="multiple of heads, got 10 and 3"):
        Attention(10, 3)


@pytest.mark.parametrize("masked", [False, True])
def test_in_bf16_on_a_processor_attention_is_what_it_is_in_float32(masked: bool) -> None:
    """Training there takes the plain product instead of the fused kernel: same values, same slopes."""
    torch.manual_seed(0)
    layer = Attention(32, 4)
    queries, context = torch.randn(2, 5, 32, requires_grad=True), torch.randn(2, 7, 32)
    mask = torch.tensor([[True] * 4 + [False] * 3, [False] * 7]) if masked else None
    found = []
    for bf16 in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            out = layer(queries, context, mask)
        (slope,) = torch.autograd.grad(out.float().square().sum(), queries)
        found.append((out.detach().float(), slope))
    (value, slope), (rough, rough_slope) = found
    assert not torch.equal(value, rough)
    torch.testing.assert_close(rough, value, atol=0.02, rtol=0.05)
    torch.testing.assert_close(rough_slope, slope, atol=0.02, rtol=0.1)

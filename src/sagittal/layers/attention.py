"""Scaled dot-product attention (Vaswani 2017), its pre-norm block, and pooling by learned queries."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.mlp import Mlp


class Attention(nn.Module):
    """Queries (B, Q, D) look at context (B, N, D); returns (B, Q, D).

    ``mask`` (B, N) bool is True where the context is real. A row with nothing real returns the output
    projection's bias, never NaN.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads}")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        batch, count, width = queries.shape
        query = self._split(self.query(queries))
        key, value = (self._split(part) for part in self.key_value(context).chunk(2, dim=-1))
        allowed = None
        if mask is not None:
            # softmax over nothing is NaN: let such a row look everywhere, then silence what it saw
            anything = mask.any(dim=1)
            allowed = (mask | ~anything[:, None])[:, None, None, :]
            value = value * anything[:, None, None, None]
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return self.out(seen.transpose(1, 2).reshape(batch, count, width))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class AttentionBlock(nn.Module):
    """Pre-norm transformer block over tokens (B, N, D), with an optional padding ``mask`` (B, N)."""

    def __init__(self, width: int, heads: int, ratio: int = 3) -> None:
        super().__init__()
        self.norm_mix, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.mlp = Attention(width, heads), Mlp(width, ratio)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        normed = self.norm_mix(tokens)
        tokens = tokens + self.mix(normed, normed, mask)
        return tokens + self.mlp(self.norm_mlp(tokens))


class AttentionPool(nn.Module):
    """Learned queries gather tokens (B, N, D) into (B, Q, D)."""

    def __init__(self, width: int, queries: int, heads: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width) * width**-0.5)
        self.norm = nn.LayerNorm(width)
        self.look = Attention(width, heads)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        queries = self.queries.expand(tokens.shape[0], -1, -1)
        return self.look(queries, self.norm(tokens), mask)

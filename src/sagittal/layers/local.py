"""Attention within a window, in blocks: work and memory grow with N * window, not with N * N."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def within(query: Tensor, key: Tensor, value: Tensor, window: int, *, causal: bool,
           real: Tensor | None = None) -> Tensor:  # fmt: skip
    """query, key, value (B, H, N, E) -> (B, H, N, E): token i sees token j when |i - j| < window.

    Causal: only 0 <= i - j. ``real`` (B, N) bool: False where a token must not be seen (a token always sees
    itself). Exact: each block of ``window`` queries looks at its own and the neighbouring blocks, through a
    band.
    """
    batch, count = query.shape[0], query.shape[2]
    blocks = -(-count // window)
    if real is None:
        real = torch.ones(batch, count, dtype=torch.bool, device=query.device)
    query, key, value = (functional.pad(x, (0, 0, 0, blocks * window - count)) for x in (query, key, value))
    real = functional.pad(real, (0, blocks * window - count))
    lags = (1, 0) if causal else (1, 0, -1)
    keys, values = (_beside(x.unflatten(2, (blocks, window)), lags) for x in (key, value))
    seen = _beside(real.unflatten(1, (blocks, window))[:, None, :, :, None], lags)[:, 0, :, :, 0]
    here = torch.arange(window, device=query.device)
    there = torch.cat([here - lag * window for lag in lags])
    apart = here[:, None] - there
    band = (apart.abs() < window) & ((apart >= 0) if causal else True)
    allowed = (band & seen[:, :, None, :]) | (apart == 0)
    queries = query.unflatten(2, (blocks, window))
    mixed = functional.scaled_dot_product_attention(
        _fold(queries), _fold(keys), _fold(values), attn_mask=allowed.flatten(0, 1).unsqueeze(1)
    )
    return mixed.unflatten(0, (batch, blocks)).transpose(1, 2).flatten(2, 3)[:, :, :count]


def _beside(x: Tensor, lags: tuple[int, ...]) -> Tensor:
    """Blocks (B, H, n, w, E) -> (B, H, n, len(lags) * w, E): the block ``lag`` before, for every lag."""
    moved = []
    for lag in lags:
        shift = functional.pad(x, (0, 0, 0, 0, max(lag, 0), max(-lag, 0)))
        moved.append(shift[:, :, : x.shape[2]] if lag >= 0 else shift[:, :, -lag:])
    return torch.cat(moved, 3)


def _fold(x: Tensor) -> Tensor:
    """Blocks (B, H, n, w, E) -> (B * n, H, w, E)."""
    return x.transpose(1, 2).flatten(0, 1)

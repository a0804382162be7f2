"""Ordered grades (BI-RADS, Fazekas, tumour grade): one score against rising thresholds (Cao 2020, CORAL)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.attention import AttentionPool
from sagittal.layers.initial import normal


class OrdinalDecoder(nn.Module):
    """tokens (B, N, D), mask (B, N) bool or None -> logits (B, L, K - 1) of "grade above k", k = 0 .. K - 2.

    One score a label and K - 1 thresholds. CORAL's thresholds are only in order at the optimum; here they
    are a first one and positive gaps, so P(grade > k) never rises with k, whatever the weights.
    """

    def __init__(self, width: int, heads: int, labels: Sequence[str], levels: int) -> None:
        super().__init__()
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        self.pool = AttentionPool(width, len(labels), heads)
        self.norm = nn.LayerNorm(width)
        self.weight = normal(len(labels), width, std=width**-0.5)
        self.first = nn.Parameter(torch.full((len(labels), 1), (levels - 2) / 2))
        # softplus(0.541) = 1: thresholds one apart, around 0
        self.gaps = nn.Parameter(torch.full((len(labels), levels - 2), 0.5413))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        score = (self.norm(self.pool(tokens, mask)) * self.weight).sum(-1, keepdim=True)
        return score + self.thresholds()

    def thresholds(self) -> Tensor:
        """What is added to the score, (L, K - 1), falling."""
        falling = -functional.softplus(self.gaps).cumsum(1)
        return torch.cat([self.first, self.first + falling], dim=1)


def level_probabilities(logits: Tensor) -> Tensor:
    """Logits of "above k" (..., K - 1) -> probability of each grade (..., K), which sum to 1."""
    above = logits.sigmoid()
    edge = torch.ones_like(above[..., :1])
    return torch.cat([edge, above], -1) - torch.cat([above, torch.zeros_like(edge)], -1)


def expected_level(logits: Tensor) -> Tensor:
    """Logits of "above k" (..., K - 1) -> mean grade (...), 0 .. K - 1."""
    return logits.sigmoid().sum(-1)

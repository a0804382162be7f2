"""Time to an event: a relative risk (Cox 1972), or the hazard of each interval (Gensheimer 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sagittal.layers.attention import AttentionPool
from sagittal.layers.initial import normal


class RiskDecoder(nn.Module):
    """tokens (B, N, D), mask (B, N) bool or None -> log relative hazard (B, R) of each event.

    It has no bias: the partial likelihood does not see one.
    """

    def __init__(self, width: int, heads: int, events: Sequence[str]) -> None:
        super().__init__()
        self.pool = AttentionPool(width, len(events), heads)
        self.norm = nn.LayerNorm(width)
        self.weight = normal(len(events), width, std=width**-0.5)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        return (self.norm(self.pool(tokens, mask)) * self.weight).sum(-1)


class HazardDecoder(nn.Module):
    """tokens (B, N, D), mask (B, N) bool or None -> hazard logits (B, R, T) of each event and interval.

    sigmoid(logit) is P(event in the interval | none before it). Unlike a relative risk it gives a probability
    of being free of the event, and hazards need not be proportional.

    Args:
        edges: T rising upper ends of the intervals, in the unit of time; the first begins at 0.
    """

    edges: Tensor

    def __init__(self, width: int, heads: int, events: Sequence[str], edges: Sequence[float]) -> None:
        super().__init__()
        if not edges or edges[0] <= 0 or any(b <= a for a, b in pairwise(edges)):
            raise ValueError(f"edges must rise from above 0, got {list(edges)}")
        self.register_buffer("edges", torch.tensor(edges, dtype=torch.float32))
        self.pool = AttentionPool(width, len(events), heads)
        self.norm = nn.LayerNorm(width)
        self.weight = normal(len(events), len(edges), width, std=width**-0.5)
        self.bias = nn.Parameter(torch.full((len(events), len(edges)), -2.0))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        found = self.norm(self.pool(tokens, mask))
        return torch.einsum("brd,rtd->brt", found, self.weight) + self.bias


def event_free(logits: Tensor) -> Tensor:
    """Hazard logits (..., T) -> probability of no event up to the end of each interval (..., T)."""
    return nn.functional.logsigmoid(-logits).cumsum(-1).exp()


def baseline_hazard(log_risk: Tensor, time: Tensor, event: Tensor) -> tuple[Tensor, Tensor]:
    """Breslow's cumulative hazard at log risk 0: event times (T,), rising, and the hazard up to each (T,).

    All (B,), of the cases that a `RiskDecoder` was fitted on. Event-free probability of a case with log risk
    r at time t: exp(-hazard(t) * exp(r)).
    """
    times, inverse = time[event > 0].unique(return_inverse=True)
    deaths = torch.bincount(inverse, minlength=len(times)).to(log_risk.dtype)
    at_risk = (time[None] >= times[:, None]).to(log_risk.dtype) @ log_risk.exp()
    return times, (deaths / at_risk).cumsum(0)

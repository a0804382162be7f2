"""Losses of grades and of times to an event. Unknown answers are NaN and cost nothing."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def ordinal_loss(logits: Tensor, level: Tensor) -> Tensor:
    """Sum over thresholds of cross-entropy (Cao 2020), mean over known grades.

    Args:
        logits: (B, L, K - 1) of "grade above k".
        level: (B, L) float, 0 .. K - 1, NaN where unknown.

    Raises:
        ValueError: a grade outside 0 .. K - 1.
    """
    known = ~level.isnan()
    grade = torch.where(known, level, 0.0)
    if (grade < 0).any() or (grade > logits.shape[-1]).any():
        raise ValueError(f"levels must be 0 to {logits.shape[-1]}")
    above = (grade[..., None] > torch.arange(logits.shape[-1], device=logits.device)).to(logits.dtype)
    each = functional.binary_cross_entropy_with_logits(logits, above, reduction="none").sum(-1)
    return (each * known).sum() / known.sum().clamp(min=1)


def cox_loss(
    log_risk: Tensor, time: Tensor, event: Tensor, *, ties: Literal["efron", "breslow"] = "efron"
) -> Tensor:
    """Negative log partial likelihood (Cox 1972) an event; all (B,).

    Args:
        time: to the event or to the last sight of the patient; NaN where unknown.
        event: 1 where it happened, 0 where the time is censored.
        ties: events at the same time by Efron (1977) or Breslow (1974).

    The risk set is the batch: large batches or whole cohorts. Without an event the loss is 0. A case
    censored at the time of an event was still at risk then.
    """
    known = ~time.isnan() & ~event.isnan()
    if not (known & (event > 0)).any():
        return (log_risk * 0).sum()
    log_risk, time, event = log_risk[known], time[known], event[known] > 0
    times, group = time[event].unique(return_inverse=True)
    own = log_risk[event]
    at_risk = torch.where(time[None] >= times[:, None], log_risk, -torch.inf).logsumexp(1)  # (T,)
    denominator = at_risk[group]
    if ties == "efron":
        # the d events of one time leave the risk set one after another, each by a d-th of their sum
        order = torch.argsort(group, stable=True)
        size = torch.bincount(group)
        start = (size.cumsum(0) - size)[group[order]]
        left = torch.empty_like(own)
        left[order] = (torch.arange(len(own), device=own.device) - start).to(own.dtype)
        share = left / size[group].to(own.dtype)
        same = group[None] == torch.arange(len(times), device=group.device)[:, None]
        tied = torch.where(same, own, -torch.inf).logsumexp(1)
        denominator = denominator + torch.log1p(-share * (tied - at_risk)[group].exp())
    return (denominator - own).mean()


def hazard_loss(logits: Tensor, time: Tensor, event: Tensor, edges: Tensor) -> Tensor:
    """Negative log likelihood of discrete hazards with censoring, a known case (Gensheimer 2019).

    Args:
        logits: (B, R, T); sigmoid is P(event in interval | none before).
        time, event: (B, R), NaN where unknown; event 1 or 0 (censored).
        edges: (T,) upper ends of the intervals; an event at an edge belongs to the interval it closes.

    A censored case is known to be event-free through the intervals whose end it reached (the one it was
    lost in says nothing); an event after the last edge is event-free throughout.
    """
    known = ~time.isnan() & ~event.isnan()
    when = torch.where(known, time, 0.0)[..., None]
    happened = (torch.where(known, event, 0.0) > 0)[..., None]
    start = torch.cat([edges.new_zeros(1), edges[:-1]])
    lived = when >= edges
    dies = happened & (when <= edges) & ((when > start) | ((when <= 0) & (start == 0)))
    log_free, log_event = functional.logsigmoid(-logits), functional.logsigmoid(logits)
    each = torch.where(dies, log_event, torch.where(lived, log_free, 0.0)).sum(-1)
    return -(each * known).sum() / known.sum().clamp(min=1)

"""Losses of labels and masks. Unknown answers are NaN and cost nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def label_loss(
    logits: Tensor, target: Tensor, *, weight: Tensor | None = None, smooth: float = 0.0
) -> Tensor:
    """Mean binary cross-entropy: logits, target (B, L), NaN where unknown; weight (L) of the positives.

    ``smooth`` moves the targets that far towards one half. Without any known target the loss is 0.
    """
    known = ~target.isnan()
    wanted = torch.where(known, target, 0.0) * (1 - smooth) + smooth / 2
    each = functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weight, reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def focal_loss(logits: Tensor, target: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Cross-entropy weighted by (1 - p of the truth) ^ gamma (Lin 2017): same shapes as ``label_loss``."""
    known = ~target.isnan()
    wanted = torch.where(known, target, 0.0)
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return ((1 - torch.exp(-each)) ** gamma * each * known).sum() / known.sum().clamp(min=1)


def mask_loss(
    logits: Tensor,
    target: Tensor,
    *,
    known: Tensor | None = None,
    weight: Tensor | None = None,
    balance: float = 0.0,
) -> Tensor:
    """Cross-entropy plus soft Dice: logits, target (B, M, *S) in 0..1, known (B, M) bool, weight (M).

    Cross-entropy is averaged over pixels of known masks; Dice is taken over the whole batch for each mask
    (a small lesion in one picture is not outvoted, an empty picture is not undefined). A shape that differs
    from the logits' is averaged down to it.

    ``balance`` adds that much of the cross-entropy averaged over the pixels inside each mask alone. Where a
    lesion is a ten-thousandth of a volume, the other two terms say no everywhere and then have no slope left.
    """
    target = shrink(target.to(logits.dtype), logits)
    flat, wanted = logits.flatten(2), target.flatten(2)
    valid = torch.ones(flat.shape[:2], device=flat.device) if known is None else known.to(flat.dtype)
    share = valid if weight is None else valid * weight
    each = functional.binary_cross_entropy_with_logits(flat, wanted, reduction="none")
    cross = each.mean(2)
    if balance:
        cross = cross + balance * (each * wanted).sum(2) / wanted.sum(2).clamp(min=1)
    guess = flat.sigmoid()
    overlap = ((guess * wanted).sum(2) * valid).sum(0)
    area = ((guess + wanted).sum(2) * valid).sum(0)
    dice = 1 - (2 * overlap + 1) / (area + 1)
    seen = share.sum(0)
    return ((cross * share).sum() + (dice * seen).sum()) / seen.sum().clamp(min=1e-6)


def shrink(target: Tensor, like: Tensor) -> Tensor:
    """Average masks (B, M, *S) down to the size of ``like``: the share of a coarse cell that is covered."""
    if target.shape[2:] == like.shape[2:]:
        return target
    pool: Any = functional.adaptive_avg_pool2d if target.ndim == 4 else functional.adaptive_avg_pool3d
    return pool(target, like.shape[2:])

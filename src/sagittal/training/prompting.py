"""Training with prompts: the loss of several hypotheses, and where a reader would click next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sagittal.training.objective import shrink

SHARE = 0.05
"""How much all hypotheses count beside the best, so that none is forgotten."""


def overlap(masks: Tensor, target: Tensor) -> Tensor:
    """IoU (B, H) of masks, logits (B, H, *S) > 0, with target (B, 1, *S) > 0.5; 1 where both are empty."""
    said, true = (masks > 0).flatten(2), (target > 0.5).flatten(2)
    union = (said | true).sum(2)
    both = (said & true).sum(2).to(masks.dtype)
    return torch.where(union > 0, both / union.clamp(min=1), 1.0)


def prompt_loss(masks: Tensor, confidence: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Terms "mask" (cross-entropy + Dice of the best hypothesis of each row) and "iou" (cross-entropy).

    masks: logits (B, H, *S); confidence: logits (B, H) of the IoU that each expects; target: (B, 1, *S) in
    0..1, averaged down to S.
    Only the best of a row learns (Kirillov 2023): an ambiguous prompt has several right answers, and their
    mean is none of them.
    """
    wanted = shrink(target.to(masks.dtype), masks)
    true = wanted.expand_as(masks).flatten(2)
    flat = masks.flatten(2)
    cross = functional.binary_cross_entropy_with_logits(flat, true, reduction="none").mean(2)
    guess = flat.sigmoid()
    dice = 1 - (2 * (guess * true).sum(2) + 1) / ((guess + true).sum(2) + 1)
    each = cross + dice  # (B, H)
    mask = each.min(1).values.mean() + SHARE * each.mean()
    reached = overlap(masks.detach(), wanted)
    return {"mask": mask, "iou": functional.binary_cross_entropy_with_logits(confidence, reached)}


def next_click(mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The correcting click: points (B, 1, A) in index z, y, x of S, and signs (B, 1).

    The deepest point of what is wrong (missed: sign 1; too much: sign 0); sign -1 where nothing is.
    mask: logits (B, 1, *S); target: (B, 1, *S).
    """
    said, true = mask > 0, target > 0.5
    depth = torch.stack([_depth(true & ~said), _depth(said & ~true)], dim=1).flatten(3)  # (B, 2, 1, n)
    best = depth.flatten(1).argmax(1)
    count = depth.shape[-1]
    place = best % count
    point = torch.stack(torch.unravel_index(place, mask.shape[2:]), dim=-1)
    sign = torch.where(best < count, 1, 0)
    nothing = depth.flatten(1).amax(1) == 0
    return point[:, None].to(mask.dtype), torch.where(nothing, -1, sign)[:, None]


def _depth(wrong: Tensor) -> Tensor:
    """How many erosions each pixel of (B, 1, *S) bool survives, counting itself."""
    pool: Any = functional.max_pool2d if wrong.ndim == 4 else functional.max_pool3d
    left = wrong.float()
    depth = torch.zeros_like(left)
    pads = (1, 1) * (wrong.ndim - 2)
    while bool(left.any()):
        depth = depth + left
        left = -pool(functional.pad(-left, pads), 3, stride=1)
    return depth

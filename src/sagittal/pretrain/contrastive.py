"""Contrastive learning of image and report: matching pairs close, others apart (Radford 2021)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MAX_SCALE = 4.6052  # log 100, Radford 2021


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, same: Tensor | None = None) -> Tensor:
    """Symmetric cross-entropy over all pairs of a batch.

    Args:
        image, text: (B, E) of length 1; row i of one belongs to row i of the other.
        scale: log of the inverse temperature, a learned scalar.
        same: (B, B) rows that sum to 1, how right each text is for each image; None: only its own. Two
            normal reports are no mismatch: give ``same_findings``.
    """
    logits = image @ text.T * scale.clamp(max=MAX_SCALE).exp()
    wanted = torch.eye(len(logits), device=logits.device) if same is None else same
    there = functional.cross_entropy(logits, wanted)
    back = functional.cross_entropy(logits.T, wanted.T / wanted.T.sum(1, keepdim=True))
    return (there + back) / 2


def same_findings(findings: Tensor) -> Tensor:
    """(B, L) findings -> (B, B): each row shares its weight among the studies with an equal row."""
    equal = (findings[:, None] == findings[None]).all(-1).float()
    return equal / equal.sum(1, keepdim=True)


def retrieval(image: Tensor, text: Tensor, same: Tensor | None = None) -> float:
    """Share of images whose nearest text is a right one: the probe to log while training."""
    nearest = (image @ text.T).argmax(1)
    wanted = torch.eye(len(image), device=image.device) if same is None else same
    return float((wanted[torch.arange(len(image), device=image.device), nearest] > 0).float().mean())

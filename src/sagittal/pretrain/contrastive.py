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
    wanted = torch.eye(len(image), device=image.device) if same is None else same
    return (attract(image, text, scale, wanted) + attract(text, image, scale, wanted.T)) / 2


def attract(image: Tensor, text: Tensor, scale: Tensor, right: Tensor) -> Tensor:
    """Cross-entropy from each image (B, E) to all texts (N, E), which may be more than the images.

    ``right`` (B, N), 0 or more: how right each text is for each image; rows are brought to a sum of 1, and
    one without any right text costs nothing.
    """
    total = right.sum(1, keepdim=True)
    logits = image @ text.T * scale.clamp(max=MAX_SCALE).exp()
    return -(functional.log_softmax(logits, dim=1) * right / total.clamp(min=1e-6)).sum(1).mean()


def same_findings(findings: Tensor, others: Tensor | None = None) -> Tensor:
    """(B, L) findings, (N, L) others (default: themselves) -> (B, N), rows of sum 1 (0 where none is equal).

    Each row shares its weight among the studies with an equal row.
    """
    equal = (findings[:, None] == (findings if others is None else others)[None]).all(-1).float()
    return equal / equal.sum(1, keepdim=True).clamp(min=1)


def retrieval(image: Tensor, text: Tensor, same: Tensor | None = None) -> float:
    """Share of images whose nearest text is a right one: the probe to log while training."""
    nearest = (image @ text.T).argmax(1)
    wanted = torch.eye(len(image), device=image.device) if same is None else same
    return float((wanted[torch.arange(len(image), device=image.device), nearest] > 0).float().mean())

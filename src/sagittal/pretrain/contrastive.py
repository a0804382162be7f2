"""Contrastive learning: what belongs together close, everything else apart.

Image and report by softmax (CLIP, Radford 2021) or by sigmoid (SigLIP, Zhai 2023), two views of one image
(SimCLR, Chen 2020), and batches larger than memory (gradient caching, Gao 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from sagittal.model import MAX_SCALE


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


def sigmoid_loss(
    image: Tensor, text: Tensor, scale: Tensor, bias: Tensor, same: Tensor | None = None
) -> Tensor:
    """Every pair a question of its own, so no row waits for the whole batch.

    Args:
        image, text: (B, E), (N, E) of length 1.
        scale, bias: learned scalars; Zhai 2023 begins at log 10 and -10, since most pairs are wrong.
        same: (B, N), more than 0 where the text is right for the image; None: row by row (N = B).

    Returns:
        The sum over texts of the binary cross-entropy, averaged over images.
    """
    wanted = torch.eye(len(image), device=image.device) if same is None else (same > 0).to(image.dtype)
    logits = image @ text.T * scale.clamp(max=MAX_SCALE).exp() + bias
    return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / len(image)


def view_loss(first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
    """NT-Xent: of all views of a batch, each view's right one is the other view of its image.

    Args:
        first, second: (B, E) of length 1, two views of the same images in the same order.
        scale: log of the inverse temperature.
    """
    views = torch.cat([first, second])
    count = len(first)
    logits = views @ views.T * scale.clamp(max=MAX_SCALE).exp()
    logits = logits.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=views.device), float("-inf"))
    other = torch.arange(2 * count, device=views.device).roll(count)
    return functional.cross_entropy(logits, other)


def in_pieces(encode: Callable[..., Tensor], inputs: Sequence[Tensor], size: int) -> Tensor:
    """``encode(*inputs)`` in the memory of ``size`` rows: contrastive batches larger than memory.

    Only the embeddings are kept; on the way back each piece is encoded once more, with the same random
    numbers, and let go. Values and gradients are those of one call, for a third more computation.

    Args:
        encode: (rows of each input) -> (rows, E); rows do not see each other in it.
        inputs: tensors of the same first dimension.
    """
    pieces = zip(*(each.split(size) for each in inputs), strict=True)
    return torch.cat([checkpoint(encode, *piece, use_reentrant=False) for piece in pieces])


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

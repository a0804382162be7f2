"""What every encoder returns and every decoder takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

State = tuple[Tensor, ...]  # what a causal mixer remembers; every tensor (B, ...), so rows can be chosen


@dataclass(frozen=True)
class Features:
    """One encoded modality.

    Attributes:
        pyramid: feature maps (B, C_i, *S_i), finest first; empty for text.
        tokens: (B, N, D); for images the coarsest map, row by row, with positions.
        pooled: (B, D), the mean of the tokens that are real.
        mask: (B, N) bool, True where a token is real; None when all are.
    """

    pyramid: tuple[Tensor, ...]
    tokens: Tensor
    pooled: Tensor
    mask: Tensor | None = None

    def with_tokens(self, tokens: Tensor) -> Features:
        """The same with other tokens (B, N, D), pooled anew over the real ones."""
        pooled = tokens.mean(1) if self.mask is None else masked_mean(tokens, self.mask)
        return Features(self.pyramid, tokens, pooled, self.mask)


class Extent(NamedTuple):
    """Where a batch of images lies in space, an entry an axis (z, y, x or y, x).

    ``spacing`` (B, axes) mm from voxel to voxel; None: 1 mm. ``size`` (B, axes) int: how many voxels are
    real, the rest of the array being padding at the end; None: all.
    """

    spacing: Tensor | None = None
    size: Tensor | None = None


class Tokens(NamedTuple):
    """A batch of texts: ``ids`` (B, T) int64 and ``mask`` (B, T) bool, True where a token is real.

    A row without any real token means "no text for this one".
    """

    ids: Tensor
    mask: Tensor


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean (B, D) of tokens (B, N, D) where mask (B, N) is True; zero where nothing is."""
    weight = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)

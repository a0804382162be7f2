"""Masked images: hide blocks, foretell them from what is left (SimMIM, Xie 2022, with a ConvNet pyramid)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.convolution import grow, resize
from sagittal.layers.features import Features


@dataclass(frozen=True)
class Masking:
    """``block`` size of a hidden block, ``share`` of them hidden, ``detail`` coarseness of what is foretold.

    Targets are the mean of ``detail`` voxels an axis, normalised in each block: structure, not brightness.
    """

    block: tuple[int, ...] = (32, 32)
    share: float = 0.5
    detail: tuple[int, ...] = (4, 4)


def block_mask(
    batch: int, size: Sequence[int], masking: Masking, generator: torch.Generator | None = None
) -> Tensor:
    """(B, 1, *grid) bool with exactly the same number of True (hidden) blocks in every row."""
    grid = [-(-n // b) for n, b in zip(size, masking.block, strict=True)]
    count = math.prod(grid)
    hidden = max(1, min(count - 1, round(masking.share * count)))
    order = torch.rand(batch, count, generator=generator).argsort(1)
    return (order < hidden).reshape(batch, 1, *grid)


def target(image: Tensor, masking: Masking) -> Tensor:
    """(B, C, *S) -> (B, C, *grid, P): what each block looks like, P values of mean 0 and deviation 1."""
    pool = functional.avg_pool2d if image.ndim == 4 else functional.avg_pool3d
    coarse = pool(grow(image, masking.block), masking.detail, masking.detail)
    cells = [b // d for b, d in zip(masking.block, masking.detail, strict=True)]
    for axis, cell in enumerate(cells, start=2):
        # unfold moves each block's cells to the end: (B, C, *grid, *cells)
        coarse = coarse.unfold(axis, cell, cell)
    blocks = coarse.flatten(image.ndim)
    centred = blocks - blocks.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-4).sqrt()


def hide(image: Tensor, blocks: Tensor, masking: Masking, constant: Tensor) -> Tensor:
    """image (B, C, *S) with ``constant`` (C,) in the hidden blocks (B, 1, *grid)."""
    grown = [n * b for n, b in zip(blocks.shape[2:], masking.block, strict=True)]
    pixels = resize(blocks.float(), grown, smooth=False) > 0.5
    pixels = pixels[(slice(None), slice(None), *(slice(0, n) for n in image.shape[2:]))]
    return torch.where(pixels, constant.reshape(1, -1, *(1,) * (image.ndim - 2)), image)


class MaskedHead(nn.Module):
    """Foretells blocks from tokens and the coarsest map: a linear layer a block, nothing to hide behind.

    ``width`` of the tokens, ``coarse`` channels of the coarsest map, ``channels`` of the image.
    """

    def __init__(self, width: int, coarse: int, channels: int, masking: Masking) -> None:
        super().__init__()
        self.masking, self.channels = masking, channels
        self.cells = math.prod(b // d for b, d in zip(masking.block, masking.detail, strict=True))
        self.hidden = nn.Parameter(torch.zeros(channels))
        self.read = nn.Sequential(
            nn.Linear(width + coarse, width), nn.GELU(), nn.Linear(width, channels * self.cells)
        )

    def hide(self, image: Tensor, blocks: Tensor) -> Tensor:
        """Replace the hidden blocks (B, 1, *grid) of image (B, C, *S) with a learned constant a channel."""
        return hide(image, blocks, self.masking, self.hidden)

    def forward(self, features: Features, grid: Sequence[int]) -> Tensor:
        """Features of a hidden image -> (B, C, *grid, P)."""
        coarse = features.pyramid[-1]
        tokens = features.tokens.transpose(1, 2).reshape(coarse.shape[0], -1, *coarse.shape[2:])
        both = resize(torch.cat([tokens, coarse], dim=1), grid).movedim(1, -1)
        guess = self.read(both).unflatten(-1, (self.channels, self.cells))
        return guess.movedim(-2, 1)


def masked_loss(guess: Tensor, wanted: Tensor, blocks: Tensor) -> Tensor:
    """Mean squared error over the hidden blocks: about 1 for a blind guess of the mean.

    guess, wanted (B, C, *grid, P); blocks (B, 1, *grid) bool. Flat blocks (air) have a target of 0 and are
    left out: foretelling nothing is no work.
    """
    counted = blocks & (wanted.square().mean(-1) > 0.1)
    each = (guess - wanted).square().mean(-1)
    return (each * counted).sum() / counted.sum().clamp(min=1)

"""Patches of a picture or volume as tokens that know where they lie, in millimetres."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sagittal.layers.convolution import cut, fill
from sagittal.layers.features import Extent
from sagittal.layers.positions import waves

SHORTEST, LONGEST = 8.0, 1600.0  # periods in mm: from half a patch of a CT to well beyond a body's width


def places(grid: Sequence[int], patch: Sequence[int], spacing: Tensor, size: Tensor) -> Tensor:
    """Centres of patches (B, prod(grid), axes) in mm from the middle of the real part of each image.

    ``spacing`` (B, axes) mm from voxel to voxel, ``size`` (B, axes) voxels that are real.
    """
    axes = [(torch.arange(n, device=size.device) + 0.5) * step for n, step in zip(grid, patch, strict=True)]
    centres = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
    return (centres - size.unsqueeze(1) / 2) * spacing.unsqueeze(1)


def inside(grid: Sequence[int], patch: Sequence[int], size: Tensor) -> Tensor:
    """(B, prod(grid)) bool: False for a patch that lies wholly beyond ``size`` (B, axes)."""
    real = torch.ones(len(size), *grid, dtype=torch.bool, device=size.device)
    for axis, (n, step) in enumerate(zip(grid, patch, strict=True)):
        starts = torch.arange(n, device=size.device) * step
        shape = [len(size)] + [n if other == axis else 1 for other in range(len(grid))]
        real = real & (starts < size[:, axis : axis + 1]).reshape(shape)
    return real.flatten(1)


class Patches(nn.Module):
    """image (B, C, *S), present (B, C) bool | None, extent -> tokens (B, N, D), mask (B, N) | None, grid.

    One linear look at each patch (a convolution, as one matrix product) plus sines and cosines of its centre
    in mm from the middle of the image: the same place has the same code at every spacing. Voxels beyond
    ``extent.size`` count as zero; the mask is None unless that size is given. 2D or 3D by ``len(patch)``.
    """

    def __init__(self, width: int, channels: int, patch: Sequence[int]) -> None:
        super().__init__()
        if len(patch) not in (2, 3) or min(patch) < 1:
            raise ValueError(f"patch must have 2 or 3 sizes of at least 1, got {tuple(patch)}")
        self.patch = tuple(patch)
        self.look = nn.Linear(channels * math.prod(patch), width)
        self.missing = nn.Parameter(torch.zeros(channels))

    def forward(
        self, image: Tensor, present: Tensor | None = None, extent: Extent | None = None
    ) -> tuple[Tensor, Tensor | None, tuple[int, ...]]:
        spacing, size = extent or Extent()
        image = fill(image, present, self.missing)
        shape = image.new_tensor(image.shape[2:]).expand(len(image), -1)
        if size is not None:
            real = inside(image.shape[2:], (1,) * len(self.patch), size)
            image = torch.where(real.reshape(len(image), 1, *image.shape[2:]), image, 0.0)
        patches = cut(image, self.patch)
        grid = tuple(patches.shape[1:-1])
        where = places(
            grid, self.patch, torch.ones_like(shape) if spacing is None else spacing,
            shape if size is None else size,
        )  # fmt: skip
        tokens = self.look(patches.flatten(1, -2))
        code = waves(where.float(), tokens.shape[-1], SHORTEST, LONGEST).to(tokens.dtype)
        return tokens + code, None if size is None else inside(grid, self.patch, size), grid

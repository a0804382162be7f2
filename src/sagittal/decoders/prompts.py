"""What is meant, told by points, boxes, words and an earlier mask; as positions and as painted maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.features import Features

PAINTED = 4
"""Channels of `paint`: clicks inside, clicks outside, boxes, the earlier mask."""

BLOB = 1.2
"""Radius of a painted click in cells of the map it is painted on (standard deviation of a Gaussian)."""


@dataclass(frozen=True)
class Prompts:
    """What a batch of B asks for; everything may be None. Coordinates are zero-based indices in z, y, x.

    Attributes:
        points: (B, P, A), centres of voxels being whole numbers; signs: (B, P), 1 inside what is meant,
            0 outside, -1 no point.
        boxes: (B, Q, 2, A), low and high corner; NaN where there is none.
        text: words of the model's own width, masked where there are none.
        previous: logits (B, 1, *S) of any resolution; a row of zeros where there is none.
    """

    points: Tensor | None = None
    signs: Tensor | None = None
    boxes: Tensor | None = None
    text: Features | None = None
    previous: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.points is None) != (self.signs is None):
            raise ValueError("points and signs must be given together")
        if self.points is not None and self.signs is not None and self.points.shape[:2] != self.signs.shape:
            shapes = tuple(self.points.shape), tuple(self.signs.shape)
            raise ValueError(f"points must be (B, P, A) and signs (B, P), got {shapes[0]} and {shapes[1]}")
        if self.boxes is not None and (self.boxes.ndim != 4 or self.boxes.shape[2] != 2):
            raise ValueError(f"boxes must be (B, Q, 2, A), got {tuple(self.boxes.shape)}")


def to_index(points_mm: Tensor, affine: Tensor) -> Tensor:
    """LPS millimetres (..., M) to voxel indices (..., A).

    Args:
        affine: (M + 1, A + 1), takes a homogeneous index (z, y, x, 1) to (x, y, z, 1) mm. M = 3 and A = 2 for
            a slice in space: points beside it are dropped onto it.
    """
    linear, origin = affine[:-1, :-1].double(), affine[:-1, -1].double()
    index = (points_mm.double() - origin) @ torch.linalg.pinv(linear).T
    return index.to(points_mm.dtype)


def box_to_index(boxes_mm: Tensor, affine: Tensor) -> Tensor:
    """Boxes (..., 2, 3) of two opposite LPS corners to index boxes (..., 2, A), low corner first.

    All corners are carried over, since an axis of the grid may run against the patient's or lie between two.
    """
    axes = boxes_mm.shape[-1]
    pick = torch.cartesian_prod(*[torch.arange(2, device=boxes_mm.device)] * axes)  # (2 ** M, M)
    corners = torch.stack([boxes_mm[..., pick[:, axis], axis] for axis in range(axes)], dim=-1)
    index = to_index(corners, affine)
    return torch.stack([index.amin(-2), index.amax(-2)], dim=-2)


class Positions(nn.Module):
    """Random Fourier features (Tancik 2020) of places: the same for a click and for the token under it."""

    directions: Tensor

    def __init__(self, axes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.randn(axes, width // 2))
        self.odd = width % 2

    def forward(self, index: Tensor, size: Sequence[int]) -> Tensor:
        """Indices (..., A) in an image of ``size`` (*S) -> (..., D)."""
        lengths = torch.tensor(tuple(size), dtype=index.dtype, device=index.device)
        return self._encode(2 * (index + 0.5) / lengths - 1)

    def of_grid(self, grid: Sequence[int], device: torch.device) -> Tensor:
        """Centres of the cells of a map, row by row: (prod(grid), D)."""
        axes = [2 * (torch.arange(n, device=device) + 0.5) / n - 1 for n in grid]
        return self._encode(torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2))

    def _encode(self, place: Tensor) -> Tensor:
        angle = 2 * math.pi * place @ self.directions.to(place.dtype)
        return functional.pad(torch.cat([angle.sin(), angle.cos()], -1), (0, self.odd))


def paint(prompts: Prompts, like: Tensor, size: Sequence[int]) -> Tensor:
    """Prompts on the grid of a map ``like`` (B, C, *S_i) of an image of ``size`` (*S): (B, 4, *S_i).

    Clicks are small blobs, boxes are 1 inside, the earlier mask is -1 to 1; 0 is nothing said.
    """
    grid = like.shape[2:]
    axes = range(len(grid))
    maps = like.new_zeros(len(like), PAINTED, *grid)
    cells = like.new_tensor([s / g for s, g in zip(size, grid, strict=True)])  # voxels a cell
    if prompts.points is not None and prompts.signs is not None:
        place = (prompts.points.to(like.dtype) + 0.5) / cells - 0.5  # (B, P, A), in cells
        squared = sum(
            _along((_span(n, like) - place[..., i, None]) ** 2, i, len(grid)) for i, n in _each(grid)
        )
        blobs = torch.exp(-0.5 * squared / BLOB**2) if isinstance(squared, Tensor) else maps[:, :0]
        for channel, sign in ((0, 1), (1, 0)):
            shown = (prompts.signs == sign).to(like.dtype).reshape(*prompts.signs.shape, *(1 for _ in axes))
            if blobs.shape[1]:
                maps[:, channel] = (blobs * shown).amax(1)
    if prompts.boxes is not None and prompts.boxes.shape[1]:
        corners = (prompts.boxes.to(like.dtype) + 0.5) / cells - 0.5  # NaN is inside nothing
        low, high = corners[:, :, 0], corners[:, :, 1]
        inside = torch.ones((), dtype=torch.bool, device=like.device)
        for i, n in _each(grid):
            span = _span(n, like)
            within = (span >= low[..., i, None] - 0.5) & (span <= high[..., i, None] + 0.5)
            inside = inside & _along(within, i, len(grid))
        maps[:, 2] = inside.to(like.dtype).amax(1)
    if prompts.previous is not None:
        pool: Any = functional.adaptive_avg_pool2d if len(grid) == 2 else functional.adaptive_avg_pool3d
        maps[:, 3] = pool(2 * prompts.previous.to(like.dtype).sigmoid() - 1, grid)[:, 0]
    return maps


def _each(grid: Sequence[int]) -> list[tuple[int, int]]:
    return list(enumerate(grid))


def _span(n: int, like: Tensor) -> Tensor:
    return torch.arange(n, device=like.device, dtype=like.dtype)


def _along(x: Tensor, axis: int, axes: int) -> Tensor:
    """(B, P, n) -> (B, P, 1, .., n, .., 1), n at ``axis`` of ``axes``."""
    return x.reshape(*x.shape[:2], *(x.shape[2] if i == axis else 1 for i in range(axes)))

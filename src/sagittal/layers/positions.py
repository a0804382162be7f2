"""Where a token lies, as sines and cosines of its coordinates: cells of a grid, or millimetres."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def sincos(grid: Sequence[int], width: int, *, device: torch.device | None = None) -> Tensor:
    """Fixed positions (prod(grid), width) of a 1D, 2D or 3D grid, row by row.

    Coordinates are centred, so the middle of a picture is the origin at every size. Each axis gets the same
    number of frequencies, periods from 4 to 400 cells; left-over columns are zero.
    """
    axes = [torch.arange(n, device=device, dtype=torch.float32) - (n - 1) / 2 for n in grid]
    return waves(torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2), width, 4.0, 400.0)


def waves(points: Tensor, width: int, shortest: float, longest: float) -> Tensor:
    """points (..., A) -> (..., width): sine and cosine of each axis at width / 2A periods.

    Periods grow evenly in their logarithm from ``shortest`` to ``longest``; left-over columns are zero.
    """
    bands = width // (2 * points.shape[-1])
    frequencies = (2 * math.pi / shortest) * torch.logspace(
        0, -math.log10(longest / shortest), bands, device=points.device
    )
    angles = [points[..., axis : axis + 1] * frequencies for axis in range(points.shape[-1])]
    encoded = torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], -1)
    return torch.nn.functional.pad(encoded, (0, width - encoded.shape[-1]))

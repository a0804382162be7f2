"""Where a token lies, as sines and cosines of its grid coordinates."""

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
    bands = width // (2 * len(grid))
    frequencies = (2 * math.pi / 4.0) * torch.logspace(0, -2, bands, device=device)
    axes = [torch.arange(n, device=device, dtype=torch.float32) - (n - 1) / 2 for n in grid]
    columns = []
    for axis in torch.meshgrid(*axes, indexing="ij"):
        angle = axis.reshape(-1, 1) * frequencies
        columns += [angle.sin(), angle.cos()]
    encoded = torch.cat(columns, dim=1)
    return torch.nn.functional.pad(encoded, (0, width - encoded.shape[1]))

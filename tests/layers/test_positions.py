"""Positions tell every cell of a grid from every other, whatever its size."""

from __future__ import annotations

import pytest
import torch

from sagittal.layers.positions import sincos


@pytest.mark.parametrize("grid", [(9,), (8, 8), (4, 6, 6)])
def test_every_cell_has_its_own(grid: tuple[int, ...]) -> None:
    encoded = sincos(grid, 48)
    assert encoded.shape == (torch.Size(grid).numel(), 48)
    assert encoded.abs().max() <= 1
    apart = torch.cdist(encoded, encoded) + 9 * torch.eye(len(encoded))
    assert apart.min() > 0.1


def test_the_centre_is_the_origin_at_every_size() -> None:
    small, large = sincos((3, 3), 32)[4], sincos((7, 7), 32)[24]
    torch.testing.assert_close(small, large)

"""Voxels keep what the shapes say: lengths, volumes, masses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal.phantom.shapes import Cloud, Region, ellipsoid, minus
from sagittal.phantom.voxels import Accumulator, Grid, masks, voxelise


def _grid(depth: int = 40, height: int = 50, width: int = 44, pitch: float = 2.5) -> Grid:
    axes = [(np.arange(n) - (n - 1) / 2) * pitch for n in (depth, height, width)]
    return Grid(*(a.astype(np.float32) for a in axes))


def _rays(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    x, z = np.meshgrid(grid.x, grid.z)
    return x, z


@given(front=st.floats(-80, 80), length=st.floats(0, 60), weight=st.floats(0.1, 3).map(np.float32).map(float))
def test_an_interval_fills_exactly_its_share_of_each_voxel(
    front: float, length: float, weight: float
) -> None:
    grid = Grid(
        np.array([0.0, 1.0], np.float32), np.arange(-20, 21, dtype=np.float32), np.array([0, 1], np.float32)
    )
    back = front + length
    accumulator = Accumulator(grid)
    accumulator.add([(np.full((2, 2), front), np.full((2, 2), back), 1.0)], weight)
    expected = [weight * max(0.0, min(back, y + 0.5) - max(front, y - 0.5)) for y in grid.y.astype(float)]
    assert accumulator.voxels()[1, :, 0] == pytest.approx(expected, abs=2e-4)


def test_projection_of_the_voxels_is_the_line_integral() -> None:
    grid = _grid()
    body = ellipsoid(_rays(grid), (4, -3, 2), (30, 22, 35))
    hole = ellipsoid(_rays(grid), (10, 5, -4), (12, 9, 10))
    region = Region("body", minus(body, [hole]), soft=1.0)
    soft, bone = voxelise([region], [], grid)
    assert np.allclose(soft.sum(axis=1) * grid.pitch[1], region.thickness(), atol=1e-2)
    assert not bone.any()
    assert soft.min() > -1e-5


def test_a_sphere_has_its_volume_as_density_and_as_mask() -> None:
    grid = _grid(pitch=2.0)
    sphere = ellipsoid(_rays(grid), (0, 0, 0), (25, 25, 25))
    volume = 4 / 3 * np.pi * 25**3
    soft, _ = voxelise([Region("s", ((*sphere, 1.0),), soft=1.0)], [], grid)
    mask = masks({"s": [(*sphere, 1.0)]}, grid)["s"]
    assert soft.sum() * 8 == pytest.approx(volume, rel=0.01)
    assert mask.sum() * 8 == pytest.approx(volume, rel=0.02)


def test_points_keep_mass_and_centre() -> None:
    rng = np.random.default_rng(0)
    grid = _grid()
    points = rng.uniform(-30, 30, (500, 3)).astype(np.float32)
    volume = rng.uniform(1, 5, 500).astype(np.float32)
    _, bone = voxelise([], [Cloud("c", points, volume, bone=2.0)], grid)
    cell = float(np.prod(grid.pitch))
    assert bone.sum() * cell == pytest.approx(2 * volume.sum(), rel=1e-4)
    z, y, x = np.meshgrid(grid.z, grid.y, grid.x, indexing="ij")
    centre = [(axis * bone).sum() / bone.sum() for axis in (x, y, z)]
    assert centre == pytest.approx((points * volume[:, None]).sum(0) / volume.sum(), abs=1e-2)


def test_points_outside_of_the_grid_are_left_out() -> None:
    far = np.array([[1e3, 0, 0], [0, -1e3, 0], [0, 0, 1e3]], np.float32)
    soft, _ = voxelise([], [Cloud("c", far, np.ones(3, np.float32), soft=1.0)], _grid())
    assert not soft.any()

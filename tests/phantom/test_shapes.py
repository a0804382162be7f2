"""Shapes have the lengths, volumes and places that geometry gives them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal.phantom.shapes import (
    capsule,
    clip,
    detector_rays,
    ellipsoid,
    hull,
    length,
    minus,
    slab,
    splat2,
    tube_points,
)


def _line(front: float, back: float) -> tuple[np.ndarray, np.ndarray]:
    return np.full((1, 1), front, np.float32), np.full((1, 1), back, np.float32)


@given(cuts=st.lists(st.tuples(st.integers(-30, 130), st.integers(0, 60)), max_size=4))
def test_minus_removes_the_union_of_overlapping_cuts(cuts: list[tuple[int, int]]) -> None:
    left = np.ones(100, bool)
    for start, size in cuts:
        left[max(start, 0) : max(start + size, 0)] = False
    terms = minus(_line(0, 100), [_line(a, a + n) for a, n in cuts])
    assert float(length(terms)[0, 0]) == pytest.approx(left.sum(), abs=1e-3)


def test_clip_keeps_only_what_lies_inside() -> None:
    terms = minus(_line(0, 100), [_line(20, 40)])
    assert float(length(clip(terms, _line(30, 60)))[0, 0]) == pytest.approx(20)


def test_hull_spans_the_gap_and_ignores_empty_parts() -> None:
    front, back = hull([_line(0, 10), _line(30, 45), _line(5, -5)])
    assert (float(front[0, 0]), float(back[0, 0])) == (0.0, 45.0)


def test_a_turned_ellipsoid_keeps_its_volume_and_is_as_wide_as_geometry_says() -> None:
    rays = detector_rays((200, 200), 0.5)
    angle = -0.6
    thick = length(((*ellipsoid(rays.at(0.0), (3, 9, -4), (30, 12, 18), angle), 1.0),))
    assert thick.sum() * 0.25 == pytest.approx(4 / 3 * np.pi * 30 * 12 * 18, rel=5e-3)
    wide = np.flatnonzero(thick.max(0) > 0)
    assert (wide[-1] - wide[0]) * 0.5 == pytest.approx(
        2 * np.hypot(30 * np.cos(angle), 18 * np.sin(angle)), abs=1
    )


def test_a_slanted_tube_is_thicker_along_the_ray_by_its_slope() -> None:
    xz = (np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    flat = length(((*capsule(xz, (-50, 0, 0), (50, 0, 0), 5, 5), 1.0),))
    slanted = length(((*capsule(xz, (-50, -50, 0), (50, 50, 0), 5, 5), 1.0),))
    assert float(flat[0, 0]) == pytest.approx(10, rel=1e-5)
    assert float(slanted[0, 0]) == pytest.approx(10 * np.sqrt(2), rel=1e-5)


def test_a_slab_has_its_thickness() -> None:
    assert float(length(slab(np.full((1, 1), 7, np.float32), 30.0))[0, 0]) == 7


def test_deposited_points_keep_their_volume_and_centre() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-20, 20, (400, 3)).astype(np.float32)
    rays = detector_rays((64, 64), 1.5)
    image = splat2(rays, points, np.full(400, 2.5, np.float32))
    assert image.sum() * 1.5**2 == pytest.approx(1000, rel=1e-4)
    x, z = rays.at(0.0)
    assert (image * x).sum() / image.sum() == pytest.approx(points[:, 0].mean(), abs=1e-3)
    assert (image * z).sum() / image.sum() == pytest.approx(points[:, 2].mean(), abs=1e-3)


def test_a_solid_tube_has_the_volume_of_its_elliptic_section() -> None:
    path = np.stack([np.linspace(-40, 40, 20), np.zeros(20), np.zeros(20)], 1)[None]
    h, t = np.full((1, 20), 6.0), np.full((1, 20), 4.0)
    _, solid = tube_points(path, h, t, 1.0, 1.0, 100, 15)
    _, hollow = tube_points(path, h, t, 1.0, 0.0, 100, 41)
    assert solid.sum() == pytest.approx(np.pi * 6 * 4 * 80, rel=0.02)
    assert hollow.sum() == pytest.approx(np.pi * (6 * 4 - 5 * 3) * 80, rel=0.03)


@given(
    roll=st.floats(-0.2, 0.2),
    yaw=st.floats(-0.1, 0.1),
    y=st.floats(-90, 90),
    x=st.floats(-60, 60),
    z=st.floats(-60, 60),
)
def test_a_point_lands_on_the_ray_that_passes_through_it(
    roll: float, yaw: float, y: float, x: float, z: float
) -> None:
    rays = detector_rays(
        (128, 128),
        2.0,
        roll=roll,
        shift=(4.0, -9.0),
        detector_y=-120.0,
        source_mm=1500.0,
        yaw=yaw,
        pitch=0.05,
    )
    row, column, _ = rays.project(np.array([[x, y, z]], np.float32))
    gx, gz = rays.at(y)
    r, c = round(float(row[0])), round(float(column[0]))
    if 0 <= r < 128 and 0 <= c < 128:
        assert np.hypot(gx[r, c] - x, gz[r, c] - z) < 1.5


def test_what_lies_farther_from_the_detector_is_larger() -> None:
    rays = detector_rays((4, 4), 1.0, detector_y=100.0, source_mm=1000.0)
    assert float(rays.magnification(100.0)) == 1.0
    assert float(rays.magnification(-80.0)) == pytest.approx(1000 / 820)


@pytest.mark.parametrize("pixels", [128, 256, 512])
def test_a_cloud_has_no_lattice_on_fine_pixels(pixels: int) -> None:
    """A straight tube has the same thickness all along, however fine the film."""
    rays = detector_rays(
        (pixels, pixels), 160 / pixels, 1.0, 0.0, (0.0, 0.0), detector_y=45.0, source_mm=1800.0
    )
    x = np.linspace(-100, 100, 30, dtype=np.float32)
    path = np.stack([x, 0 * x, 0 * x], 1)[None]
    width = np.full((1, 30), 8.0, np.float32)
    points, volume = tube_points(path, width, width, 1.2, 0.2, 160, 9)
    thickness = splat2(rays, points[0], volume[0])
    middle = thickness[pixels // 2, pixels // 8 : -pixels // 8]
    assert middle.std() < 0.06 * middle.mean()

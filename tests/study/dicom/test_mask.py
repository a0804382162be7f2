"""Filling contours: known shapes, holes, and agreement with a point-in-polygon oracle."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.study.dicom.mask import fill


def test_a_square_between_pixel_centres() -> None:
    square = np.array([[1.5, 2.5], [1.5, 5.5], [4.5, 5.5], [4.5, 2.5]])
    expected = np.zeros((8, 9), bool)
    expected[2:5, 3:6] = True
    assert np.array_equal(fill(square, (8, 9)), expected)
    assert np.array_equal(fill(square[::-1], (8, 9)), expected)


def test_outside_is_clipped_and_nothing_is_nothing() -> None:
    huge = np.array([[-50.0, -50], [-50, 50], [50, 50], [50, -50]])
    assert fill(huge, (5, 6)).all()
    assert not fill(huge + 200, (5, 6)).any()
    assert not fill(np.array([[2.0, 2.0], [2.0, 5.0]]), (5, 6)).any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 100_000), count=st.integers(3, 12))
def test_every_pixel_agrees_with_ray_casting(seed: int, count: int) -> None:
    polygon = np.random.default_rng(seed).uniform(-2, 14, (count, 2))
    filled = fill(polygon, (12, 13))
    after = np.roll(polygon, -1, axis=0)
    for y, x in np.ndindex(12, 13):
        crosses = (polygon[:, 0] > y) != (after[:, 0] > y)
        at = polygon[:, 1] + (y - polygon[:, 0]) / (after[:, 0] - polygon[:, 0]) * (
            after[:, 1] - polygon[:, 1]
        )
        assert filled[y, x] == (np.count_nonzero(crosses & (at > x)) % 2 == 1)

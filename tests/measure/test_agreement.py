"""Weighted kappa, by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sagittal.measure.agreement import quadratic_kappa


def test_by_hand() -> None:
    assert quadratic_kappa([0, 1, 2], [0, 1, 2], 3) == 1
    assert quadratic_kappa([0, 2], [2, 0], 3) == -1
    # one constant rater agrees as chance does
    assert quadratic_kappa([0, 1, 2, 1], [1, 1, 1, 1], 3) == 0
    assert math.isnan(quadratic_kappa([1, 1], [1, 1], 3)) and math.isnan(quadratic_kappa([], [], 3))
    # observed 1 + 0 + 0 + 0; expected: counts (2, 2) and (1, 3) of 4 -> (2 * 3 + 2 * 1) / 4 = 2
    assert quadratic_kappa([0, 0, 1, 1], [0, 1, 1, 1], 2) == pytest.approx(0.5)


def test_as_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    one = rng.integers(0, 4, 200)
    two = np.clip(one + rng.integers(-1, 2, 200), 0, 3)
    theirs = metrics.cohen_kappa_score(one, two, weights="quadratic", labels=range(4))
    assert quadratic_kappa(one, two, 4) == pytest.approx(theirs, abs=1e-12)


def test_levels_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 2"):
        quadratic_kappa([0, 3], [0, 1], 3)
    with pytest.raises(ValueError, match="alike"):
        quadratic_kappa([0, 1], [0], 3)

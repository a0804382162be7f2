"""Calibration: published values, oracles, and what a calibrator must never do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from sagittal.measure.calibration import brier, ece, fit_isotonic, fit_platt, reliability

# Metrics Reloaded (Nature Methods 2024), supplementary figure SN 2.24.
SN_P = [0.22, 0.48, 0.49, 0.96, 0.55, 0.64, 0.78, 0.82, 0.34, 0.87]
SN_Y = [0, 1, 0, 0, 1, 1, 1, 1, 1, 0]

pairs = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=80)


@pytest.mark.parametrize(("bins", "error", "worst"), [(2, 0.109, 0.12), (5, 0.315, 0.55), (10, 0.359, 0.96)])
def test_ece_and_mce_are_metrics_reloadeds(bins: int, error: float, worst: float) -> None:
    diagram = reliability(SN_Y, SN_P, bins=bins)
    assert diagram.ece == pytest.approx(error, abs=6e-4)
    assert diagram.mce == pytest.approx(worst, abs=6e-3)


@given(pairs)
def test_brier_is_scikit_learns_and_every_case_is_binned_once(rows: list[tuple[bool, float]]) -> None:
    truth = np.array([int(t) for t, _ in rows])
    p = np.array([q for _, q in rows])
    assert brier(truth, p) == pytest.approx(brier_score_loss(truth, p), abs=1e-12)
    for by in ("width", "mass"):
        diagram = reliability(truth, p, by=by)
        assert diagram.count.sum() == len(p)
        assert 0 <= ece(truth, p, by=by) <= 1


def test_probabilities_drawn_from_themselves_have_little_error_and_overconfident_ones_much() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20000)
    truth = (rng.uniform(size=20000) < p).astype(int)
    assert ece(truth, p) < 0.015
    assert ece(truth, p, by="mass") < 0.015
    assert ece(truth, (p > 0.5).astype(float)) > 0.2


def test_platt_recovers_a_planted_distortion() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(0, 2, 20000)
    truth = (rng.uniform(size=20000) < 1 / (1 + np.exp(-(0.5 * z - 1)))).astype(int)
    raw = 1 / (1 + np.exp(-z))
    platt = fit_platt(truth, raw)
    assert platt.slope == pytest.approx(0.5, abs=0.03)
    assert platt.offset == pytest.approx(-1.0, abs=0.05)
    assert ece(truth, platt.apply(raw)) < 0.02 < ece(truth, raw)


def test_platt_stays_finite_on_a_perfect_separation() -> None:
    platt = fit_platt([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    out = platt.apply([0.0, 1.0])
    assert np.isfinite(out).all()
    assert 0 < out[0] < out[1] < 1


@given(pairs.filter(lambda rows: len({q for _, q in rows}) > 1))
def test_isotonic_is_scikit_learns(rows: list[tuple[bool, float]]) -> None:
    truth = np.array([int(t) for t, _ in rows])
    p = np.round([q for _, q in rows], 3)
    if len(np.unique(p)) < 2:
        return
    oracle = IsotonicRegression(out_of_bounds="clip").fit(p, truth)
    grid = np.linspace(0, 1, 41)
    np.testing.assert_allclose(fit_isotonic(truth, p).apply(grid), oracle.predict(grid), atol=1e-6)


@given(pairs)
def test_calibrators_stay_in_range_and_isotonic_never_swaps(rows: list[tuple[bool, float]]) -> None:
    truth = np.array([int(t) for t, _ in rows])
    p = np.array([q for _, q in rows])
    grid = np.linspace(0, 1, 21)
    out = fit_isotonic(truth, p).apply(grid)
    assert (np.diff(out) >= 0).all()
    for values in (out, fit_platt(truth, p, penalty=0.01).apply(grid)):
        assert ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize(
    ("truth", "p"), [([0, 1], [0.1, 1.1]), ([0, 1], [0.1, float("nan")]), ([0, 3], [0.1, 0.2]), ([], [])]
)
def test_what_is_no_probability_is_refused(truth: list[int], p: list[float]) -> None:
    with pytest.raises(ValueError):
        ece(truth, p)

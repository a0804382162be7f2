"""Discrimination against scikit-learn, against brute force, and on published scores."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, roc_auc_score, roc_curve

from sagittal.measure import discrimination as d

cases = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=4, max_size=60).filter(
    lambda rows: 2 <= sum(t for t, _ in rows) <= len(rows) - 2
)


def brute(truth: np.ndarray, scores: np.ndarray) -> float:
    a, b = scores[truth == 1][:, None], scores[truth == 0][None, :]
    return float(np.mean((a > b) + 0.5 * (a == b)))


@given(cases)
def test_auroc_is_the_share_of_ordered_pairs_and_scikit_learns(rows: list[tuple[bool, int]]) -> None:
    truth = np.array([int(t) for t, _ in rows])
    scores = np.array([s for _, s in rows], float)
    assert d.auroc(truth, scores) == pytest.approx(brute(truth, scores))
    assert d.auroc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))
    assert d.average_precision(truth, scores) == pytest.approx(average_precision_score(truth, scores))


@given(cases)
def test_the_curve_is_scikit_learns_and_integrates_to_the_auroc(rows: list[tuple[bool, int]]) -> None:
    truth = np.array([int(t) for t, _ in rows])
    scores = np.array([s for _, s in rows], float)
    curve = d.roc(truth, scores)
    fpr, tpr, threshold = roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate, fpr)
    np.testing.assert_allclose(curve.sensitivity, tpr)
    np.testing.assert_allclose(curve.threshold, threshold)
    assert auc(curve.false_positive_rate, curve.sensitivity) == pytest.approx(d.auroc(truth, scores))


@given(cases)
@settings(max_examples=40)
def test_delongs_covariance_is_the_1988_definition(rows: list[tuple[bool, int]]) -> None:
    """Structural components by the double loop of the paper, for a model and its coarsened self."""
    truth = np.array([int(t) for t, _ in rows])
    scores = np.stack([np.array([s for _, s in rows], float), np.array([s // 2 for _, s in rows], float)])
    areas, covariance = d.delong_covariance(truth, scores)
    a, b = scores[:, truth == 1], scores[:, truth == 0]
    psi = (a[:, :, None] > b[:, None, :]) + 0.5 * (a[:, :, None] == b[:, None, :])
    s10, s01 = np.cov(psi.mean(2)), np.cov(psi.mean(1))
    np.testing.assert_allclose(areas, psi.mean((1, 2)))
    np.testing.assert_allclose(covariance, s10 / a.shape[1] + s01 / b.shape[1], atol=1e-12)


def test_delongs_interval_covers_the_true_area() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [60, 40])
    true_area, hits = 0.8556, 0  # standard normals 1.5 apart: Phi(1.5 / sqrt 2)
    for _ in range(400):
        interval = d.auroc_interval(truth, rng.normal(size=100) + 1.5 * truth)
        hits += interval.low <= true_area <= interval.high
    assert 0.92 < hits / 400 < 0.98


def test_a_perfect_separation_still_has_an_honest_lower_bound() -> None:
    interval = d.auroc_interval([0] * 20 + [1] * 20, range(40))
    assert interval.value == 1.0
    assert 0.8 < interval.low < 0.9
    assert interval.high == 1.0


def test_published_head_ct_models(shared_data: Path) -> None:
    """Scores of two published models on 489 head CTs: our test against an independent bootstrap."""
    with (shared_data / "head_ct_scores" / "CQ500_combined_predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    truth = np.array([int(float(row["label"])) for row in rows])
    ours, base = (np.array([float(row[k]) for row in rows]) for k in ("ct_fm_100pct", "baseline_100pct"))
    test = d.delong_test(truth, ours, base)
    assert test.first == pytest.approx(roc_auc_score(truth, ours))
    assert test.second == pytest.approx(roc_auc_score(truth, base))
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(600):
        index = rng.integers(0, len(truth), len(truth))
        drawn.append(d.auroc(truth[index], ours[index]) - d.auroc(truth[index], base[index]))
    assert test.standard_error == pytest.approx(float(np.std(drawn)), rel=0.12)
    boot = d.auroc_bootstrap(truth, ours, np.arange(len(truth)), repeats=400)
    exact = d.auroc_interval(truth, ours)
    assert boot.low == pytest.approx(exact.low, abs=0.01)
    assert boot.high == pytest.approx(exact.high, abs=0.01)


def test_a_model_does_not_differ_from_itself() -> None:
    truth, scores = [0, 1, 0, 1, 1, 0], [0.1, 0.4, 0.35, 0.8, 0.3, 0.2]
    test = d.delong_test(truth, scores, [2 * s for s in scores])
    assert (test.difference, test.z, test.p) == (0.0, 0.0, 1.0)


def test_operating_points_count_what_they_call() -> None:
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.1, 0.2, 0.6, 0.3, 0.5, 0.7, 0.8, 0.9])
    point = d.at_threshold(truth, scores, 0.5)
    assert (point.sensitivity.value, point.specificity.value) == (1.0, 0.75)
    assert (point.ppv.value, point.npv.value) == (0.8, 1.0)
    assert d.threshold_for_sensitivity(truth, scores, 1.0) == 0.5
    assert d.threshold_for_sensitivity(truth, scores, 0.75) == 0.7
    assert d.threshold_for_specificity(truth, scores, 1.0) == 0.7
    assert d.youden_threshold(truth, scores) in (0.5, 0.7)


@given(cases, st.floats(0.05, 1.0))
def test_a_threshold_for_a_sensitivity_reaches_it_and_no_stricter_one_does(
    rows: list[tuple[bool, int]], wanted: float
) -> None:
    truth = np.array([int(t) for t, _ in rows])
    scores = np.array([s for _, s in rows], float)
    threshold = d.threshold_for_sensitivity(truth, scores, wanted)
    assert d.at_threshold(truth, scores, threshold).sensitivity.value >= wanted - 1e-9
    assert d.at_threshold(truth, scores, threshold + 1e-9).sensitivity.value < wanted


@pytest.mark.parametrize(
    ("truth", "scores", "says"),
    [
        ([1, 1], [0.1, 0.2], "both classes"),
        ([0, 2], [0.1, 0.2], "0 or 1"),
        ([0, 1], [0.1, float("nan")], "NaN"),
        ([0, 1, 1], [0.1, 0.2], "alike"),
    ],
)
def test_what_has_no_answer_says_so(truth: list[int], scores: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        d.auroc(truth, scores)

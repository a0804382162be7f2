"""How well scores separate positives from negatives.

Scores: higher means more likely positive; any real numbers. Truth: 0 or 1.
Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 1988; Sun and Xu, IEEE Signal Processing
Letters 2014 (the same by ranks, in n log n); Hanley and McNeil, Radiology 1982.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtr
from scipy.stats import rankdata

from sagittal.measure.statistics import Interval, bootstrap, normal_quantile, wilson

Floats = NDArray[np.float64]


def _checked(truth: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    """Truth as (n,) bool and scores as (n,) float.

    Raises:
        ValueError: shapes differ, truth is not 0/1, a score is NaN, or a class is missing.
    """
    labels, values = np.asarray(truth), np.asarray(scores, float)
    if labels.ndim != 1 or labels.shape != values.shape:
        raise ValueError(f"truth and scores must be (n,) alike, got {labels.shape} and {values.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("truth must be 0 or 1")
    if np.isnan(values).any():
        raise ValueError("scores must not be NaN")
    positive = labels.astype(bool)
    if positive.all() or not positive.any():
        raise ValueError(f"both classes are needed, got {int(positive.sum())} positive of {len(positive)}")
    return positive, values


def auroc(truth: ArrayLike, scores: ArrayLike) -> float:
    """P(score of a positive > score of a negative) + half P(equal); exact with ties."""
    positive, values = _checked(truth, scores)
    ranks = rankdata(values)
    m, n = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - m * (m + 1) / 2) / (m * n))


def placements(truth: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """DeLong's placement values: V10 a positive (m,), V01 a negative (n,); each averages to the AUROC."""
    positive, values = _checked(truth, scores)
    a, b = values[positive], values[~positive]
    both = rankdata(values)
    v10 = (both[positive] - rankdata(a)) / len(b)
    v01 = 1.0 - (both[~positive] - rankdata(b)) / len(a)
    return v10, v01


def delong_covariance(truth: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """AUROCs (k,) and their covariance (k, k) of ``k`` models scored on the same cases.

    Args:
        scores: (k, n).

    Raises:
        ValueError: fewer than two positives or two negatives, where no variance can be had.
    """
    pairs = [placements(truth, row) for row in np.atleast_2d(np.asarray(scores, float))]
    v10, v01 = np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])
    m, n = v10.shape[1], v01.shape[1]
    if min(m, n) < 2:
        raise ValueError(f"a variance needs two cases of each class, got {m} positive and {n} negative")
    covariance = np.atleast_2d(np.cov(v10)) / m + np.atleast_2d(np.cov(v01)) / n
    return v10.mean(1), covariance


def auroc_interval(truth: ArrayLike, scores: ArrayLike, *, level: float = 0.95) -> Interval:
    """AUROC with DeLong's interval, taken on the logit scale so that it stays inside [0, 1].

    With a perfect separation DeLong's variance is zero and says nothing; then the bound is the exact
    one of "no discordant pair in min(m, n) independent pairs".
    """
    positive, _ = _checked(truth, scores)
    areas, covariance = delong_covariance(truth, scores)
    area, error = float(areas[0]), float(np.sqrt(max(covariance[0, 0], 0.0)))
    size = len(positive)
    if 0.0 < area < 1.0:
        half = normal_quantile(level) * error / (area * (1 - area))
        bounds = expit(logit(area) - half), expit(logit(area) + half)
        return Interval(area, float(bounds[0]), float(bounds[1]), level, size, "DeLong, logit")
    pairs = min(int(positive.sum()), int((~positive).sum()))
    slack = 1.0 - ((1 - level) / 2) ** (1.0 / pairs)
    low, high = (1 - slack, 1.0) if area == 1.0 else (0.0, slack)
    return Interval(area, low, high, level, size, "exact bound at the edge")


def auroc_bootstrap(
    truth: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike,
    *,
    level: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> Interval:
    """AUROC with an interval from resampling patients, for several studies a patient."""
    positive, values = _checked(truth, scores)

    def area(index: NDArray[np.intp]) -> float:
        labels = positive[index]
        if labels.all() or not labels.any():
            return float("nan")
        return auroc(labels, values[index])

    return bootstrap(area, len(values), groups=patients, repeats=repeats, level=level, seed=seed)


@dataclass(frozen=True)
class Comparison:
    """Two paired AUROCs: difference first - second, its standard error, z and two-sided p."""

    first: float
    second: float
    difference: float
    standard_error: float
    z: float
    p: float


def delong_test(truth: ArrayLike, first: ArrayLike, second: ArrayLike) -> Comparison:
    """DeLong's test of two models on the same cases; z is 0 and p is 1 where the scores rank alike."""
    areas, cov = delong_covariance(truth, np.stack([np.asarray(first, float), np.asarray(second, float)]))
    difference = float(areas[0] - areas[1])
    error = float(np.sqrt(max(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1], 0.0)))
    z = difference / error if error > 0 else 0.0
    return Comparison(float(areas[0]), float(areas[1]), difference, error, z, float(2 * ndtr(-abs(z))))


@dataclass(frozen=True)
class Curve:
    """ROC points from strict to lenient; row k calls positive what scores >= ``threshold[k]``."""

    false_positive_rate: Floats
    sensitivity: Floats
    threshold: Floats


def roc(truth: ArrayLike, scores: ArrayLike) -> Curve:
    """The whole ROC curve, tied scores as one step, starting at (0, 0) with threshold +inf."""
    positive, values = _checked(truth, scores)
    order = np.argsort(-values, kind="stable")
    ordered, hits = values[order], positive[order]
    last = np.r_[np.flatnonzero(np.diff(ordered)), len(ordered) - 1]
    true, false = np.cumsum(hits)[last], np.cumsum(~hits)[last]
    return Curve(
        np.r_[0.0, false / false[-1]],
        np.r_[0.0, true / true[-1]],
        np.r_[np.inf, ordered[last]],
    )


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold does: positive is score >= threshold; Wilson intervals."""

    threshold: float
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    npv: Interval


def at_threshold(
    truth: ArrayLike, scores: ArrayLike, threshold: float, *, level: float = 0.95
) -> OperatingPoint:
    """Sensitivity, specificity and predictive values (at this set's prevalence) of a threshold."""
    positive, values = _checked(truth, scores)
    called = values >= threshold
    tp, fp = int((called & positive).sum()), int((called & ~positive).sum())
    fn, tn = int((~called & positive).sum()), int((~called & ~positive).sum())
    return OperatingPoint(
        float(threshold),
        wilson(tp, tp + fn, level=level),
        wilson(tn, tn + fp, level=level),
        wilson(tp, tp + fp, level=level),
        wilson(tn, tn + fn, level=level),
    )


def threshold_for_sensitivity(truth: ArrayLike, scores: ArrayLike, sensitivity: float) -> float:
    """The highest threshold whose sensitivity is at least the wanted one."""
    curve = roc(truth, scores)
    return float(curve.threshold[int(np.argmax(curve.sensitivity >= sensitivity - 1e-12))])


def threshold_for_specificity(truth: ArrayLike, scores: ArrayLike, specificity: float) -> float:
    """The lowest threshold whose specificity is at least the wanted one."""
    curve = roc(truth, scores)
    keep = np.flatnonzero(1 - curve.false_positive_rate >= specificity - 1e-12)
    return float(curve.threshold[keep[-1]])


def youden_threshold(truth: ArrayLike, scores: ArrayLike) -> float:
    """The threshold with the largest sensitivity + specificity - 1; the strictest of equals."""
    curve = roc(truth, scores)
    return float(curve.threshold[int(np.argmax(curve.sensitivity - curve.false_positive_rate))])


def average_precision(truth: ArrayLike, scores: ArrayLike) -> float:
    """Area under precision-recall as a step function (no interpolation), ties as one step."""
    positive, _ = _checked(truth, scores)
    curve = roc(truth, scores)
    m, n = int(positive.sum()), int((~positive).sum())
    true, false = curve.sensitivity[1:] * m, curve.false_positive_rate[1:] * n
    return float(np.sum(np.diff(curve.sensitivity) * true / (true + false)))

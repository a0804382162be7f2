"""Whether a probability means what it says, and how to make it so.

Conventions, since published numbers differ by them: probabilities are those of the positive class
(not of the top label), bins are left-open and right-closed (l, u] with 0 in the first, an empty bin
counts nothing, and the error is weighted by the bins' sizes.
Sources: Naeini, AAAI 2015 (ECE); Brier, Monthly Weather Review 1950; Platt 1999 with the targets
that keep it finite; Zadrozny and Elkan, KDD 2002 (isotonic).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit

Floats = NDArray[np.float64]
Bins = Literal["width", "mass"]
_EDGE = 1e-6


def _checked(truth: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    labels, p = np.asarray(truth, float), np.asarray(probability, float)
    if labels.ndim != 1 or labels.shape != p.shape or not len(p):
        raise ValueError(f"truth and probability must be (n,) alike, got {labels.shape} and {p.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("truth must be 0 or 1")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must be in [0, 1]")
    return labels, p


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram; one entry a bin that holds anything: mean p, share positive, count."""

    predicted: Floats
    observed: Floats
    count: NDArray[np.int64]

    @property
    def ece(self) -> float:
        """Expected calibration error."""
        return float(np.sum(self.count * np.abs(self.predicted - self.observed)) / self.count.sum())

    @property
    def mce(self) -> float:
        """Largest error of any bin."""
        return float(np.abs(self.predicted - self.observed).max())


def reliability(
    truth: ArrayLike, probability: ArrayLike, *, bins: int = 10, by: Bins = "width"
) -> Reliability:
    """Bin the probabilities by equal width of [0, 1], or by equal mass (equal probabilities together).

    Raises:
        ValueError: shapes, truth or probabilities are not as said above, or ``bins`` < 1.
    """
    labels, p = _checked(truth, probability)
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    if by == "width":
        edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    else:
        edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    which = np.searchsorted(edges, p, side="left")
    count = np.bincount(which, minlength=len(edges) + 1)
    full = count > 0
    predicted = np.bincount(which, p, len(count))[full] / count[full]
    observed = np.bincount(which, labels, len(count))[full] / count[full]
    return Reliability(predicted, observed, count[full])


def ece(truth: ArrayLike, probability: ArrayLike, *, bins: int = 10, by: Bins = "width") -> float:
    """Expected calibration error of the positive class's probability."""
    return reliability(truth, probability, bins=bins, by=by).ece


def brier(truth: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared error of the positive class's probability, in [0, 1]."""
    labels, p = _checked(truth, probability)
    return float(np.mean((p - labels) ** 2))


@dataclass(frozen=True)
class Platt:
    """p -> sigmoid(slope * logit(p) + offset); (1, 0) changes nothing."""

    slope: float = 1.0
    offset: float = 0.0

    def apply(self, probability: ArrayLike) -> Floats:
        """Calibrated probabilities of any shape; order is kept when the slope is positive."""
        p = np.clip(np.asarray(probability, float), _EDGE, 1 - _EDGE)
        return np.asarray(expit(self.slope * logit(p) + self.offset))


def fit_platt(truth: ArrayLike, probability: ArrayLike, *, penalty: float = 0.0) -> Platt:
    """Maximum likelihood with Platt's softened targets, so that a perfect separation stays finite.

    Args:
        penalty: pulls the slope towards 1, for small samples.
    """
    labels, p = _checked(truth, probability)
    x = logit(np.clip(p, _EDGE, 1 - _EDGE))
    positives = labels.sum()
    high = (positives + 1) / (positives + 2)
    low = 1 / (len(labels) - positives + 2)
    target = np.where(labels > 0, high, low)

    def loss(w: Floats) -> tuple[float, Floats]:
        z = w[0] * x + w[1]
        value = np.mean(np.logaddexp(0, z) - target * z) + penalty * (w[0] - 1) ** 2
        error = expit(z) - target
        return float(value), np.array([np.mean(error * x) + 2 * penalty * (w[0] - 1), np.mean(error)])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B")
    return Platt(float(found.x[0]), float(found.x[1]))


@dataclass(frozen=True)
class Isotonic:
    """A non-decreasing step-and-line function through ``knots`` (k,) -> ``values`` (k,)."""

    knots: tuple[float, ...]
    values: tuple[float, ...]

    def apply(self, probability: ArrayLike) -> Floats:
        """Calibrated probabilities of any shape; flat outside the knots."""
        return np.asarray(np.interp(np.asarray(probability, float), self.knots, self.values))


def fit_isotonic(truth: ArrayLike, probability: ArrayLike) -> Isotonic:
    """Pool-adjacent-violators; needs more data than `fit_platt` and assumes no shape."""
    labels, p = _checked(truth, probability)
    unique, which, count = np.unique(p, return_inverse=True, return_counts=True)
    means = np.bincount(which, labels) / count
    fitted = np.asarray(isotonic_regression(means, weights=count.astype(float)).x)
    # Only the ends of each flat run carry information.
    ends = np.ones(len(fitted), bool)
    ends[1:-1] = (fitted[1:-1] != fitted[:-2]) | (fitted[1:-1] != fitted[2:])
    return Isotonic(tuple(unique[ends].tolist()), tuple(fitted[ends].tolist()))

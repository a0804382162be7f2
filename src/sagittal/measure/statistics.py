"""Intervals for proportions and resampled statistics.

Sources: Wilson, JASA 1927; Brown, Cai and DasGupta, Statistical Science 2001 (why not Wald);
Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri


@dataclass(frozen=True)
class Interval:
    """A number with its confidence interval.

    Args:
        value: the point estimate; low, high: the interval; level: its nominal coverage.
        n: independent units it rests on (patients where they were given).
        method: how the interval was made.
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    n: int = 0
    method: str = ""

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def normal_quantile(level: float) -> float:
    """Two-sided standard normal quantile, 1.96 for .95.

    Raises:
        ValueError: ``level`` is not strictly between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be strictly between 0 and 1, got {level}")
    return float(ndtri(0.5 + level / 2.0))


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion; (nan, 0, 1) when ``n`` is 0, where nothing is known.

    Raises:
        ValueError: ``successes`` is not in 0..n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be in 0..{n}, got {successes}")
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0, level, 0, "wilson")
    z, p = normal_quantile(level), successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At 0 and n the bound is exactly the edge; rounding must not push it past the estimate.
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == n else float(centre + half)
    return Interval(p, low, high, level, n, "wilson")


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    n: int,
    *,
    groups: ArrayLike | None = None,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap; whole groups (patients) are drawn, since their rows are not independent.

    Args:
        statistic: takes row indices (m,) and returns a number; NaN where it is undefined (one class
            only, for instance), and such draws are left out.
        n: rows; groups: (n,) a patient a row, or None when every row is one.

    Raises:
        ValueError: ``groups`` has another length, or the statistic was undefined in over half of
            the draws, so that the interval would mean little.
    """
    rows = np.arange(n)
    members = [np.array([row]) for row in rows]
    if groups is not None:
        names = np.asarray(groups)
        if names.shape != (n,):
            raise ValueError(f"groups must have shape ({n},), got {names.shape}")
        _, codes = np.unique(names, return_inverse=True)
        order = np.argsort(codes, kind="stable")
        members = np.split(rows[order], np.cumsum(np.bincount(codes))[:-1])
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(repeats):
        picked = rng.integers(0, len(members), len(members))
        index = picked if groups is None else np.concatenate([members[i] for i in picked])
        drawn.append(statistic(index))
    values = np.asarray(drawn, float)
    defined = values[np.isfinite(values)]
    if len(defined) < repeats / 2:
        raise ValueError(f"the statistic is undefined in {repeats - len(defined)} of {repeats} resamples")
    low, high = np.quantile(defined, [0.5 - level / 2, 0.5 + level / 2])
    method = "bootstrap" if groups is None else "bootstrap by patient"
    return Interval(float(statistic(rows)), float(low), float(high), level, len(members), method)


def mean_interval(values: ArrayLike, *, level: float = 0.95, repeats: int = 2000, seed: int = 0) -> Interval:
    """Mean of ``values`` (n,) with its bootstrap interval."""
    array = np.asarray(values, float)
    return bootstrap(
        lambda index: float(array[index].mean()), len(array), level=level, repeats=repeats, seed=seed
    )

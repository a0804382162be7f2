"""How well risks order times to an event.

Source: Harrell, Lee and Mark, Statistics in Medicine 1996.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sagittal.measure.statistics import Interval, bootstrap

CHUNK = 1024


def concordance(time: ArrayLike, event: ArrayLike, risk: ArrayLike) -> float:
    """Harrell's C: P(the earlier event had the higher risk), equal risks half; NaN without pairs.

    A pair counts where it is known who came first: the earlier time is an event; or both times are equal and
    exactly one is an event (the censored one lived longer). Two events at the same time are no pair.

    Args:
        time, event, risk: (n,); event 1 or 0 (censored); a higher risk means earlier.

    Raises:
        ValueError: shapes differ, a value is not finite, or an event is not 0 or 1.
    """
    times, values = np.asarray(time, float), np.asarray(risk, float)
    happened = np.asarray(event)
    if times.ndim != 1 or not times.shape == values.shape == happened.shape:
        raise ValueError(
            f"time, event and risk must be (n,) alike, got {times.shape}, {happened.shape}, {values.shape}"
        )
    if not (np.isfinite(times).all() and np.isfinite(values).all()):
        raise ValueError("time and risk must be finite")
    if not np.isin(happened, (0, 1)).all():
        raise ValueError("event must be 0 or 1")
    died = happened.astype(bool)
    first = np.flatnonzero(died)
    right, pairs = 0.0, 0
    for start in range(0, len(first), CHUNK):
        rows = first[start : start + CHUNK, None]
        later = (times[rows] < times) | ((times[rows] == times) & ~died)
        right += float((later & (values[rows] > values)).sum())
        right += 0.5 * float((later & (values[rows] == values)).sum())
        pairs += int(later.sum())
    return right / pairs if pairs else float("nan")


def concordance_interval(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    level: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> Interval:
    """Harrell's C with its percentile bootstrap, by patient where there are several rows a patient."""
    times, happened, values = np.asarray(time, float), np.asarray(event), np.asarray(risk, float)

    def value(index: NDArray[np.intp]) -> float:
        return concordance(times[index], happened[index], values[index])

    return bootstrap(value, len(times), groups=patients, repeats=repeats, level=level, seed=seed)

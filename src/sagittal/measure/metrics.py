"""A metric with everything a number needs to be read: version, direction, range, averaging, empty rule.

A metric is *additive*: every case adds a row of numbers, and the value is a function of their sum.
Precision is (hits, stated), a mean over cases is (value, 1), corpus BLEU its counts of n-grams. So one
row is the value of that case, the sum of all rows the value of the set, and the sum of the rows of
drawn patients one draw of the bootstrap: the three can never disagree about a rule.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sagittal import registry
from sagittal.errors import BadInput
from sagittal.measure.statistics import Interval, bootstrap

Floats = NDArray[np.float64]
Average = Literal["micro", "macro", "sample", "corpus"]
Better = Literal["higher", "lower"]
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


@dataclass(frozen=True)
class Metric:
    """One number about candidates and references.

    Args:
        name: dotted, lower case, ending in the averaging where there is one ("observation.f1.micro").
        version: changes whenever the same input may give another number.
        about: one line for people.
        better: the direction; low, high: the range (infinite where it has no bound).
        average: "micro" pools the counts of all cases; "macro" is the mean over observations of their
            pooled values; "sample" is the mean over cases; "corpus" pools in the metric's own way.
        empty: what it is where there is nothing to count.
        rows: cases (n) -> what each adds, (n, k); all zero where a case has nothing to count. A batch,
            since some metrics are models.
        value: summed rows (k,) -> the number, never NaN.
        source: where it is defined.
    """

    name: str
    version: str
    about: str
    better: Better
    low: float
    high: float
    average: Average
    empty: str
    rows: Callable[[Sequence[Any]], Floats]
    value: Callable[[Floats], float]
    source: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"a metric's name must be dotted words in lower case, got {self.name!r}")
        if not self.low < self.high:
            raise ValueError(f"{self.name}: low must be below high, got {self.low} and {self.high}")
        if self.better not in ("higher", "lower"):
            raise ValueError(f"{self.name}: better must be higher or lower, got {self.better!r}")
        if not (self.version and self.about and self.empty):
            raise ValueError(f"{self.name}: version, about and empty must say something")

    @property
    def best(self) -> float:
        """The end of the range that a perfect candidate reaches."""
        return self.high if self.better == "higher" else self.low


def known(own: Sequence[Metric]) -> dict[str, Metric]:
    """The metrics of a room and those of plug-ins, by name, in that order.

    Raises:
        BadInput: a plug-in cannot be loaded, or calls itself by a name that is taken.
    """
    found = {metric.name: metric for metric in own}
    for name in registry.names("metrics"):
        metric = registry.load("metrics", name, Metric)
        if metric.name in found:
            raise BadInput(f"plug-in {name!r} brings the metric {metric.name!r}, which is there already")
        found[metric.name] = metric
    return found


def chosen(wanted: Sequence[str], metrics: Mapping[str, Metric]) -> tuple[Metric, ...]:
    """Metrics by name, or by the words a name begins with ("observation", "observation.f1").

    Raises:
        BadInput: a name fits no metric.
    """
    picked: dict[str, Metric] = {}
    for name in wanted:
        fits = {n: m for n, m in metrics.items() if n == name or n.startswith(f"{name}.")}
        if not fits:
            heads = dict.fromkeys(n.split(".")[0] for n in metrics)
            raise BadInput(f"unknown metric {name!r}", f"one of {', '.join(heads)}")
        picked |= fits
    return tuple(picked.values())


def _rows(metric: Metric, cases: Sequence[Any]) -> Floats:
    rows = np.asarray(metric.rows(cases), float)
    if rows.ndim != 2 or len(rows) != len(cases):
        raise ValueError(f"{metric.name} gave rows of shape {rows.shape} for {len(cases)} cases")
    return rows


def per_case(metric: Metric, cases: Sequence[Any]) -> Floats:
    """The metric of each case alone, (n,)."""
    return np.array([metric.value(row) for row in _rows(metric, cases)])


@dataclass(frozen=True)
class Measured:
    """A metric on a set: its interval, and its value for each case, in order."""

    interval: Interval
    cases: tuple[float, ...]


def measure(
    metric: Metric,
    cases: Sequence[Any],
    patients: Sequence[str],
    *,
    level: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> Measured:
    """A metric with its percentile bootstrap by patient, and case by case.

    Draws without anything to count are left out. Where every draw lies at an end of the range the
    bootstrap says nothing ("1 to 1"); the bound is then the exact one of a proportion of n out of n, n
    the patients that add anything. Where a single patient adds all there is, elsewhere in the range,
    or is the only one, there is no interval: its ends are NaN.

    Args:
        patients: one a case; cases of a patient are drawn together.

    Raises:
        ValueError: no cases, or ``patients`` has another length.
    """
    if not cases or len(cases) != len(patients):
        raise ValueError(f"one patient a case is needed, got {len(cases)} cases, {len(patients)} patients")
    rows = _rows(metric, cases)
    each = tuple(float(metric.value(row)) for row in rows)
    return Measured(_interval(metric, rows, patients, level, repeats, seed), each)


def _interval(
    metric: Metric, rows: Floats, patients: Sequence[str], level: float, repeats: int, seed: int
) -> Interval:
    _, codes = np.unique(np.asarray(patients), return_inverse=True)
    n = int(codes.max()) + 1
    filled = np.flatnonzero(rows.any(axis=0))
    by_patient = np.zeros((n, len(filled)))
    np.add.at(by_patient, codes, rows[:, filled])
    informative = int(by_patient.any(axis=1).sum())

    def value(index: NDArray[np.intp]) -> float:
        total = np.zeros(rows.shape[1])
        total[filled] = np.bincount(index, minlength=n) @ by_patient
        # A draw without anything to count has no value of its own; the empty rule is no observation.
        return float(metric.value(total)) if total.any() else math.nan

    if informative < 2:
        whole = float(metric.value(rows.sum(axis=0)))
        found = Interval(whole, whole, whole, level, n)
    else:
        found = bootstrap(value, n, repeats=repeats, level=level, seed=seed)
    if n < 2:
        return replace(found, low=math.nan, high=math.nan, method="none from one patient")
    bounded = math.isfinite(metric.low) and math.isfinite(metric.high)
    if bounded and found.low == found.high in (metric.low, metric.high):
        slack = (1.0 - ((1 - level) / 2) ** (1.0 / informative)) if informative else 1.0
        slack *= metric.high - metric.low
        low = max(metric.low, found.low - slack)
        high = min(metric.high, found.high + slack)
        return replace(found, low=low, high=high, method="exact bound at the edge, by patient")
    if informative < 2:
        return replace(found, low=math.nan, high=math.nan, method="none from one patient")
    return replace(found, method="bootstrap by patient")

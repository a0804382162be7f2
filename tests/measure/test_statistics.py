"""Intervals: published values, coverage, resampling by patient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal.measure.statistics import bootstrap, mean_interval, normal_quantile, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 1998, table I, method 3 (score, no continuity correction)."""
    interval = wilson(successes, n)
    assert interval.low == pytest.approx(low, abs=6e-5)
    assert interval.high == pytest.approx(high, abs=6e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_its_estimate_and_stays_inside_the_unit_interval(a: int, b: int) -> None:
    interval = wilson(a, a + b)
    assert 0.0 <= interval.low <= interval.high <= 1.0
    if a + b:
        assert interval.low <= interval.value <= interval.high


def test_wilson_covers_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = [wilson(int(k), 40) for k in rng.binomial(40, 0.1, 3000)]
    covered = np.mean([h.low <= 0.1 <= h.high for h in hits])
    assert 0.93 < covered < 0.98


def test_wilson_refuses_more_successes_than_tries() -> None:
    with pytest.raises(ValueError, match=r"0\.\.3"):
        wilson(4, 3)


def test_the_normal_quantile_is_the_familiar_one() -> None:
    assert normal_quantile(0.95) == pytest.approx(1.959963985)
    with pytest.raises(ValueError, match="level"):
        normal_quantile(1.0)


def test_the_bootstrap_of_a_mean_agrees_with_the_central_limit_theorem() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    interval = mean_interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert interval.value == pytest.approx(values.mean())
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)


def test_repeated_rows_of_a_patient_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(2).normal(size=60)
    once = bootstrap(lambda i: float(values[i].mean()), 60)
    tenfold = np.repeat(values, 10)
    patients = np.repeat(np.arange(60), 10)
    by_patient = bootstrap(lambda i: float(tenfold[i].mean()), 600, groups=patients)
    by_row = bootstrap(lambda i: float(tenfold[i].mean()), 600)
    width = once.high - once.low
    assert by_patient.high - by_patient.low == pytest.approx(width, rel=0.1)
    assert by_row.high - by_row.low < 0.5 * width
    assert by_patient.n == 60


def test_the_bootstrap_refuses_a_statistic_that_is_mostly_undefined() -> None:
    with pytest.raises(ValueError, match="undefined"):
        bootstrap(lambda index: float("nan"), 10, repeats=20)


def test_the_bootstrap_refuses_groups_of_another_length() -> None:
    with pytest.raises(ValueError, match="groups"):
        bootstrap(lambda index: 0.0, 10, groups=[1, 2])

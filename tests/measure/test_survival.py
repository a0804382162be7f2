"""Concordance: a hand-counted example, a published implementation's value, and what it must obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal.measure.survival import concordance, concordance_interval


def test_counted_by_hand() -> None:
    # pairs (earlier, later): (1, 2), (1, 3), (1, 4), (3, 4); 2 is censored before 3 and 4
    time, event = [1, 2, 3, 4], [1, 0, 1, 1]
    assert concordance(time, event, [4, 3, 2, 1]) == 1.0
    assert concordance(time, event, [4, 9, 2, 1]) == 0.75
    assert concordance(time, event, [1, 2, 3, 4]) == 0.0
    assert concordance(time, event, [0, 0, 0, 0]) == 0.5


def test_equal_times() -> None:
    assert np.isnan(concordance([2, 2], [1, 1], [3, 1]))  # two events: nobody came first
    assert concordance([2, 2], [1, 0], [3, 1]) == 1.0  # the censored one lived on
    assert np.isnan(concordance([1, 2], [0, 1], [3, 1]))


def test_agrees_with_lifelines() -> None:
    """lifelines 0.30.3, concordance_index(time, -risk, event) = 0.7 on a set with ties and censoring."""
    time = [4, 3, 3, 7, 7, 7, 1, 9, 2, 9, 5, 5]
    event = [1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1]
    risk = [0.3, -0.5, 1.2, 0.1, -0.7, 0.4, 0.9, -1.1, 1.5, -0.2, 0.6, -0.3]
    assert concordance(time, event, risk) == pytest.approx(0.7, abs=1e-12)


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(-3, 3)), min_size=2, max_size=12))
def test_turning_the_risk_turns_the_index(rows: list[tuple[int, bool, int]]) -> None:
    time, event, risk = (np.array(column, float) for column in zip(*rows, strict=True))
    value = concordance(time, event, risk)
    if np.isnan(value):
        assert np.isnan(concordance(time, event, -risk))
    else:
        assert concordance(time, event, -risk) == pytest.approx(1 - value)
        assert concordance(time, event, np.exp(risk)) == pytest.approx(value)


def test_interval_holds_the_value_and_draws_patients() -> None:
    rng = np.random.default_rng(0)
    risk = rng.normal(size=80)
    time, event = rng.exponential(np.exp(-risk)), rng.random(80) < 0.7
    alone = concordance_interval(time, event, risk, repeats=200)
    assert alone.low < alone.value < alone.high
    pairs = concordance_interval(
        np.repeat(time, 2), np.repeat(event, 2), np.repeat(risk, 2), np.repeat(np.arange(80), 2), repeats=200
    )
    assert pairs.n == 80


@pytest.mark.parametrize(
    ("time", "event", "risk"), [([1], [1, 0], [1]), ([1, np.nan], [1, 0], [1, 2]), ([1, 2], [1, 2], [1, 2])]
)
def test_misuse_is_named(time: list[float], event: list[int], risk: list[float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        concordance(time, event, risk)

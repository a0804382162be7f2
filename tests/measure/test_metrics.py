"""Metrics in general: three views of one sum, intervals by patient, and what a metric must say."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal import registry
from sagittal.errors import BadInput
from sagittal.measure.metrics import Metric, chosen, known, measure, per_case
from sagittal.measure.statistics import bootstrap

SHARE = Metric(
    "share.micro",
    "1",
    "hits of tries",
    "higher",
    0.0,
    1.0,
    "micro",
    "1 without tries",
    lambda cases: np.asarray(cases, float).reshape(-1, 2),
    lambda row: float(row[0] / row[1]) if row[1] else 1.0,
)
CASES = st.lists(st.integers(0, 5).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2)


def test_a_set_is_the_sum_of_its_cases_and_a_case_is_its_own_row() -> None:
    cases = [(1, 2), (0, 4), (0, 0)]
    found = measure(SHARE, cases, ["a", "b", "c"])
    assert found.interval.value == pytest.approx(1 / 6)
    assert found.cases == (0.5, 0.0, 1.0) == tuple(per_case(SHARE, cases))


def test_the_interval_is_the_bootstrap_of_patients() -> None:
    rng = np.random.default_rng(0)
    cases = [(int(rng.integers(0, 4)), 3) for _ in range(60)]
    patients = [str(i // 3) for i in range(60)]
    rows = np.asarray(cases, float)

    def value(index: Any) -> float:
        return float(rows[index, 0].sum() / rows[index, 1].sum())

    theirs = bootstrap(value, 60, groups=patients, seed=5)
    ours = measure(SHARE, cases, patients, seed=5).interval
    # The same draws of the same patients (names sort alike), so the same numbers.
    assert (ours.value, ours.low, ours.high, ours.n) == pytest.approx(
        (theirs.value, theirs.low, theirs.high, 20)
    )


@given(CASES)
def test_an_interval_holds_its_value_and_stays_in_range(cases: list[tuple[int, int]]) -> None:
    found = measure(SHARE, cases, [str(i) for i in range(len(cases))], repeats=40).interval
    assert 0.0 <= found.value <= 1.0
    if not math.isnan(found.low):
        assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_where_no_draw_varies_the_bound_is_the_exact_one() -> None:
    """Clopper-Pearson: 20 of 20 has the lower bound .8316 (two-sided 95 %)."""
    perfect = measure(SHARE, [(1, 1)] * 20, [str(i) for i in range(20)]).interval
    assert (perfect.low, perfect.high) == (pytest.approx(0.8316, abs=1e-4), 1.0)
    none = measure(SHARE, [(0, 1)] * 20, [str(i) for i in range(20)]).interval
    assert (none.low, none.high) == (0.0, pytest.approx(0.1684, abs=1e-4))
    # Patients without a try inform nobody.
    sparse = measure(SHARE, [(1, 1)] * 5 + [(0, 0)] * 15, [str(i) for i in range(20)]).interval
    assert sparse.low == pytest.approx(0.4782, abs=1e-4)
    nothing = measure(SHARE, [(0, 0)] * 20, [str(i) for i in range(20)]).interval
    assert (nothing.value, nothing.low, nothing.high) == (1.0, 0.0, 1.0)


def test_one_patient_has_no_interval() -> None:
    found = measure(SHARE, [(1, 2), (1, 2)], ["a", "a"]).interval
    assert found.value == 0.5
    assert math.isnan(found.low) and math.isnan(found.high)
    assert "one patient" in found.method
    # Nor have many of which one adds all there is; the empty rule of the others is no observation.
    lone = measure(SHARE, [(1, 2), (0, 0), (0, 0)], ["a", "b", "c"]).interval
    assert (lone.value, lone.n) == (0.5, 3)
    assert math.isnan(lone.low)
    edge = measure(SHARE, [(0, 2), (0, 0), (0, 0)], ["a", "b", "c"]).interval
    assert (edge.value, edge.low, edge.high) == (0.0, 0.0, pytest.approx(0.975))


def test_draws_without_anything_to_count_are_left_out() -> None:
    """Two of thirty patients have tries and no hit: the empty rule's 1 must not reach the interval."""
    cases = [(0, 1), (0, 1), *[(0, 0)] * 28]
    found = measure(SHARE, cases, [str(i) for i in range(30)]).interval
    assert (found.value, found.low, found.high) == (0.0, 0.0, pytest.approx(1 - 0.025**0.5))


@pytest.mark.parametrize("cases, patients", [([], []), ([(1, 1)], ["a", "b"])])
def test_every_case_needs_a_patient(cases: Any, patients: Any) -> None:
    with pytest.raises(ValueError, match="one patient a case"):
        measure(SHARE, cases, patients)


def test_a_metric_that_loses_cases_is_caught() -> None:
    lossy = replace(SHARE, rows=lambda cases: np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"share\.micro gave rows"):
        per_case(lossy, [(1, 1), (1, 1)])


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "Share", "lower case"),
        ("name", "share..micro", "dotted"),
        ("low", 1.0, "below high"),
        ("better", "more", "higher or lower"),
        ("empty", "", "must say"),
        ("version", "", "must say"),
    ],
)
def test_a_metric_must_say_what_it_is(field: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(SHARE, **{field: value})


def test_metrics_are_chosen_by_name_or_by_how_the_name_begins() -> None:
    table = {n: replace(SHARE, name=n) for n in ("site.f1.micro", "site.recall.micro", "sites.f1.micro")}
    assert [m.name for m in chosen(["site"], table)] == ["site.f1.micro", "site.recall.micro"]
    assert [m.name for m in chosen(["sites.f1.micro", "site.f1"], table)] == [
        "sites.f1.micro",
        "site.f1.micro",
    ]
    with pytest.raises(BadInput, match="unknown metric 'size'; expected one of site, sites"):
        chosen(["size"], table)


@pytest.fixture
def plugged() -> Iterator[None]:
    registry.register("metrics", "toy", replace(SHARE, name="toy.micro"))
    yield
    registry.forget("metrics", "toy")


def test_a_plug_in_stands_beside_ours_and_takes_no_name_of_ours(plugged: None) -> None:
    assert list(known([SHARE])) == ["share.micro", "toy.micro"]
    with pytest.raises(BadInput, match=r"'toy\.micro', which is there already"):
        known([replace(SHARE, name="toy.micro")])

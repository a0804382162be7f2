"""Invented people are consistent and nobody twice."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal.phantom.identity import FIRST_DAY, LAST_DAY, age_on, draw_identity, later
from sagittal.phantom.truth import Scope, uid


@given(seed=st.integers(0, 2**32 - 1), age=st.floats(0, 100), sex=st.sampled_from("MF"))
def test_birth_date_age_and_study_date_agree(seed: int, age: float, sex: str) -> None:
    person = draw_identity(np.random.default_rng(seed), "k", sex=sex, age_years=age)
    assert FIRST_DAY <= person.study_date <= LAST_DAY
    assert person.patient.sex == sex
    birth = person.patient.birth_date
    assert birth is not None
    assert birth <= person.study_date
    assert person.patient.age_years == age_on(birth, person.study_date)
    assert abs((person.patient.age_years or 0) - age) <= 1.01
    assert person.patient.name.isascii()


@pytest.mark.parametrize(
    ("birth", "day", "age"),
    [
        (date(2000, 2, 29), date(2018, 2, 28), 17),
        (date(2000, 2, 29), date(2018, 3, 1), 18),
        (date(2020, 1, 15), date(2021, 1, 14), 11 / 12),
        (date(2020, 1, 15), date(2021, 7, 15), 1.5),
        (date(1950, 12, 31), date(2024, 1, 1), 73),
    ],
)
def test_age_counts_birthdays(birth: date, day: date, age: float) -> None:
    assert age_on(birth, day) == pytest.approx(age)


def test_no_two_of_ten_thousand_patients_share_a_number() -> None:
    rng = np.random.default_rng(0)
    numbers = {
        draw_identity(rng, f"chest-ct/train/0/{k}", sex="F", age_years=40).patient.id for k in range(10_000)
    }
    assert len(numbers) == 10_000


def test_follow_up_is_six_weeks_to_eighteen_months_later() -> None:
    rng = np.random.default_rng(1)
    gaps = [(later(rng, date(2020, 1, 1)) - date(2020, 1, 1)).days for _ in range(500)]
    assert min(gaps) >= 42
    assert max(gaps) < 548


def test_uids_are_valid_and_depend_on_every_part() -> None:
    found = {uid(a, b) for a in range(30) for b in range(30)}
    assert len(found) == 900
    assert all(len(u) <= 64 and u.startswith("2.25.") and not u[5:].startswith("0") for u in found)
    assert uid("ab", "c") != uid("a", "bc")
    first, second = Scope("p", "p/0", date(2020, 1, 1)), Scope("p", "p/1", date(2021, 1, 1))
    assert first.tracking_uid("nodule-1") == second.tracking_uid("nodule-1")
    assert first.uid("series") != second.uid("series")

"""RANO 2.0: products, the baseline after radiotherapy, what needs confirmation, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.errors import BadInput, Refused
from sagittal.report.finding import Change, ChangeKind, Finding, Laterality, Measurement, Presence
from sagittal.report.lesions import Ledger, Role, assign, build
from sagittal.report.rano import (
    AMBIGUOUS,
    CRITERION,
    EARLY,
    GROWN,
    NEVER,
    NOT_BORNE_OUT,
    SMALL,
    STEROIDS_LOWERED,
    STEROIDS_RAISED,
    Assessment,
    Clinical,
    Response,
    Rest,
    State,
    assess,
)
from sagittal.report.vocabulary import concept, site

CR, PR, SD, PD, NE = Response.CR, Response.PR, Response.SD, Response.PD, Response.NE
CR_, PR_, PD_ = Response.CR_UNCONFIRMED, Response.PR_UNCONFIRMED, Response.PD_UNCONFIRMED
END = date(2025, 1, 1)
"""Last day of radiotherapy; the baseline is four weeks later."""
WELL = State(Clinical.STABLE, 0.0)
PLACES = ["frontal_lobe", "temporal_lobe", "parietal_lobe", "occipital_lobe"]


def day(number: int) -> date:
    """So many days after radiotherapy."""
    return END + timedelta(days=number)


def tumour(*mm: float, number: int = 0, unit: str = "mm", **changes: Any) -> Finding:
    made = Finding(
        concept("contrast_enhancement"),
        site=site(PLACES[number]).concept,
        laterality=Laterality.LEFT,
        measurements=(Measurement("diameter", mm, unit),) if mm else (),
        tracking_uid=f"tumour {number}",
    )
    return replace(made, **changes)


GONE = tumour(presence=Presence.ABSENT)


def ledger(
    visits: Mapping[int, Sequence[Finding]], roles: Mapping[str, Role] | None = None, baseline: int = 28
) -> Ledger:
    book = build("P1", [(day(n), found) for n, found in sorted(visits.items())], baseline=day(baseline))
    given = {one.uid: Role.TARGET for one in book.lesions if one.first <= day(baseline)}
    return assign(book, given if roles is None else roles)


def course(
    visits: Mapping[int, Finding | Sequence[Finding]],
    states: Mapping[int, State] | None = None,
    *,
    roles: Mapping[str, Role] | None = None,
    **options: Any,
) -> list[Assessment]:
    listed = {n: [found] if isinstance(found, Finding) else found for n, found in visits.items()}
    known = {day(n): WELL for n in visits} | {day(n): state for n, state in (states or {}).items()}
    return list(assess(ledger(listed, roles), known, **({"radiotherapy_end": END} | options)))


def responses(*arguments: Any, **options: Any) -> list[Response]:
    return [a.response for a in course(*arguments, **options)]


# --- by size, long after radiotherapy -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ((25.0, 20.0), PD),  # 400 -> 500 mm2: exactly 25 %
        ((24.9, 20.0), SD),
        ((20.0, 20.0), SD),
        ((20.0, 10.1), SD),
        ((20.0, 10.0), PR_),  # exactly 50 %
        ((5.0, 5.0), PR_),
    ],
)
def test_limits_of_the_product(now: tuple[float, float], expected: Response) -> None:
    (seen,) = course({28: tumour(20.0, 20.0), 200: tumour(*now)})
    assert seen.response is expected
    assert (seen.baseline_mm2, seen.sum_mm2) == (400.0, pytest.approx(now[0] * now[1]))
    assert seen.criterion == CRITERION


def test_progression_is_over_the_smallest_sum_and_response_under_the_baseline() -> None:
    seen = course({28: tumour(30.0, 30.0), 120: tumour(20.0, 20.0), 180: tumour(25.0, 20.0)})
    # 900 -> 400 is 56 % under the baseline; 500 is 25 % over 400, though 44 % under the baseline.
    assert [a.response for a in seen] == [PR_, PD]
    assert (seen[1].smallest, seen[1].smallest_mm2, seen[1].since) == (day(120), 400.0, day(180))
    assert GROWN in seen[1].why


def test_a_response_is_one_when_it_has_lasted_four_weeks() -> None:
    first, small = tumour(20.0, 20.0), tumour(10.0, 10.0)
    assert responses({28: first, 120: small, 147: small, 148: small}) == [PR_, PR_, PR]
    assert responses({28: first, 120: GONE, 148: GONE}) == [CR_, CR]
    assert responses({28: first, 120: small, 148: GONE, 176: GONE}) == [PR_, CR_, CR]
    # Interrupted, it starts again.
    assert responses({28: first, 120: small, 148: tumour(12.0, 10.0, unit="cm"), 176: small})[1:] == [PD, PR_]


def test_targets_under_ten_millimetres_do_not_progress_by_a_quarter() -> None:
    visits = {28: tumour(12.0, 12.0), 120: tumour(6.0, 6.0), 180: tumour(8.0, 8.0), 240: tumour(10.0, 10.0)}
    seen = course(visits)
    assert [a.response for a in seen] == [PR_, NE, PD]
    assert seen[1].why == (SMALL,)


def test_back_from_nothing() -> None:
    visits = {28: tumour(20.0, 20.0), 120: GONE, 150: GONE, 180: tumour(9.0, 9.0), 210: tumour(11.0, 10.0)}
    assert responses(visits) == [CR_, CR, NE, PD]


# --- radiotherapy ---------------------------------------------------------------------------------------

GROWING = {28: tumour(20.0, 20.0), 60: tumour(30.0, 20.0)}


def test_within_twelve_weeks_growth_is_progression_to_be_confirmed() -> None:
    (seen,) = course(GROWING)
    assert (seen.response, seen.since) == (PD_, day(60)) and EARLY in seen.why
    at_the_limit = {28: tumour(20.0, 20.0), 84: tumour(30.0, 20.0)}
    assert responses(at_the_limit) == [PD_]
    assert responses({28: tumour(20.0, 20.0), 85: tumour(30.0, 20.0)}) == [PD]


def test_no_word_of_pseudoprogression_is_ever_said() -> None:
    assert not any("pseudo" in value for value in Response)
    for later in (tumour(30.0, 20.0), tumour(20.0, 20.0), GONE):
        for one in course(GROWING | {95: later}):
            assert not any("pseudo" in word for word in one.why)


def test_a_second_scan_confirms_it_and_dates_it_back() -> None:
    seen = course(GROWING | {87: tumour(30.0, 20.0)}, confirm_progression=True)
    assert [a.response for a in seen] == [PD_, PD_]  # 27 days
    seen = course(GROWING | {88: tumour(30.0, 20.0)}, confirm_progression=True)
    assert [a.response for a in seen] == [PD_, PD] and seen[1].since == day(60)
    # A date that could not be assessed does not break the chain.
    seen = course(GROWING | {70: tumour(), 88: tumour(30.0, 20.0)}, confirm_progression=True)
    assert [a.response for a in seen] == [PD_, NE, PD] and seen[2].since == day(60)


def test_a_second_scan_that_does_not_bear_it_out_says_no_more_than_that() -> None:
    seen = course(GROWING | {90: tumour(20.0, 20.0)})
    assert [a.response for a in seen] == [PD_, SD] and seen[1].why == (NOT_BORNE_OUT,)


def test_histology_settles_it_at_once() -> None:
    (seen,) = course(GROWING, {60: State(Clinical.STABLE, 0.0, recurrence=True)})
    assert seen.response is PD


def test_clinical_decline_alone_is_not_enough_within_twelve_weeks() -> None:
    still, worse = tumour(20.0, 20.0), State(Clinical.WORSE, 0.0)
    assert responses({28: still, 50: still, 80: still}, {50: worse, 80: worse}) == [PD_, PD_]
    assert responses({28: still, 120: still}, {120: worse}) == [PD]


def test_treatments_that_make_pseudoprogression_likely_ask_for_confirmation_at_any_time() -> None:
    grown = {28: tumour(20.0, 20.0), 300: tumour(30.0, 20.0), 330: tumour(30.0, 20.0)}
    assert responses(grown) == [PD, PD]
    assert responses(grown, confirm_progression=True) == [PD_, PD]


def test_the_baseline_is_the_mri_after_radiotherapy() -> None:
    with pytest.raises(Refused, match="MRI after radiotherapy"):
        course(GROWING, radiotherapy_end=day(29))
    assert responses(GROWING, radiotherapy_end=day(28)) == [PD_]
    assert responses(GROWING, radiotherapy_end=NEVER) == [PD]


# --- steroids, new lesions, the rest ----------------------------------------------------------------------


def dose(mg: float, clinical: Clinical = Clinical.STABLE, rest: Rest | None = None) -> State:
    return State(clinical, mg, rest)


def test_steroids() -> None:
    still, small = tumour(20.0, 20.0), tumour(10.0, 10.0)
    # More of them: neither stable nor progression.
    (seen,) = course({28: still, 200: still}, {28: dose(2), 200: dose(4)})
    assert (seen.response, seen.why) == (NE, (STEROIDS_RAISED,))
    assert responses({28: still, 200: small}, {28: dose(2), 200: dose(4)}) == [NE]
    assert responses({28: still, 200: small}, {28: dose(2), 200: dose(2)}) == [PR_]
    # Complete response only without any.
    (seen,) = course({28: still, 200: GONE}, {28: dose(2), 200: dose(2)})
    assert seen.response is PR_ and "steroids are still given" in seen.why
    # Enhancement that rises when steroids fall is looked at again.
    (seen,) = course({28: still, 200: tumour(30.0, 20.0)}, {28: dose(4), 200: dose(2)})
    assert seen.response is PD_ and STEROIDS_LOWERED in seen.why


def test_new_lesions_count_when_they_are_measurable() -> None:
    new = Change(ChangeKind.NEW)
    first = tumour(20.0, 20.0)
    small = [first, tumour(9.0, 12.0, number=1, change=new)]
    large = [first, tumour(10.0, 12.0, number=1, change=new)]
    roles = {"tumour 0": Role.TARGET}
    (seen,) = course({28: first, 200: small}, roles=roles)
    assert seen.response is SD and "to be followed" in seen.why[0]
    assert responses({28: first, 200: small, 230: large}, roles=roles) == [SD, PD]
    # No response beside a new lesion.
    shrunk = [tumour(10.0, 10.0), tumour(5.0, 5.0, number=1, change=new)]
    assert responses({28: first, 200: shrunk}, roles=roles) == [SD]


def test_a_new_lesion_that_goes_again_does_not_confirm_itself() -> None:
    first, new = tumour(20.0, 20.0), tumour(12.0, 12.0, number=1, change=Change(ChangeKind.NEW))
    none = tumour(number=1, presence=Presence.ABSENT)
    seen = course({28: first, 60: [first, new], 95: [first, none]}, roles={"tumour 0": Role.TARGET})
    assert [a.response for a in seen] == [PD_, SD] and NOT_BORNE_OUT in seen[1].why


def test_the_rest_of_the_disease() -> None:
    two = [tumour(20.0, 20.0), tumour(6.0, 6.0, number=1)]
    roles = {"tumour 0": Role.TARGET, "tumour 1": Role.NON_TARGET}
    small = [tumour(10.0, 10.0), tumour(6.0, 6.0, number=1)]
    gone = [GONE, tumour(6.0, 6.0, number=1)]

    def one(found: Sequence[Finding], rest: Rest | None) -> Response:
        return responses({28: two, 200: found}, {200: dose(0, rest=rest)}, roles=roles)[0]

    assert one(small, Rest.STABLE) is PR_
    assert one(small, Rest.WORSE) is PD
    assert one(small, Rest.NOT_EVALUATED) is NE
    assert one(gone, Rest.STABLE) is PR_
    assert one(gone, Rest.GONE) is CR_
    with pytest.raises(Refused, match="non-target disease"):
        one(small, None)


def test_what_is_not_measured() -> None:
    assert responses({28: tumour(20.0, 20.0), 200: tumour(20.0)}) == [NE]
    assert responses({28: tumour(20.0, 20.0), 200: tumour(20.0, 20.0, unit="{pixel}")}) == [NE]
    two = [tumour(20.0, 20.0), tumour(20.0, 20.0, number=1)]
    # One alone is already 25 % over both.
    assert responses({28: two, 200: [tumour(40.0, 25.0)]}) == [PD]
    assert responses({28: two, 200: [tumour(5.0, 5.0)]}) == [NE]
    # Two that may be the same lesion.
    pair = [tumour(20.0, 20.0), tumour(10.0, 5.0, number=1, tracking_uid=None)]
    double = [tumour(20.0, 20.0), *[tumour(5.0, 5.0, number=1, tracking_uid=None)] * 2]
    uid = next(x.uid for x in ledger({28: pair}).lesions if x.uid != "tumour 0")
    roles = {"tumour 0": Role.TARGET, uid: Role.NON_TARGET}
    (seen,) = course({28: pair, 200: double}, {200: dose(0, rest=Rest.STABLE)}, roles=roles)
    assert seen.response is NE and AMBIGUOUS in seen.why


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State(None, 0.0), "clinical state of 2025-07-20"),
        (State(Clinical.STABLE, None), "steroid dose of 2025-07-20"),
    ],
)
def test_no_assessment_without_context(state: State, said: str) -> None:
    visits = {28: tumour(20.0, 20.0), 200: tumour(20.0, 20.0)}
    with pytest.raises(Refused, match=said):
        course(visits, {200: state})
    with pytest.raises(Refused, match="end of radiotherapy"):
        course(visits, radiotherapy_end=None)
    with pytest.raises(Refused, match="clinical state of 2025-01-29"):
        assess(ledger({n: [f] for n, f in visits.items()}), {day(200): WELL}, radiotherapy_end=END)


def test_other_refusals() -> None:
    still = [tumour(20.0, 20.0)]
    with pytest.raises(Refused, match="two dates cannot give it"):
        assess(build("P1", [(day(28), still)]), {}, radiotherapy_end=END)
    with pytest.raises(Refused, match="a date after the baseline"):
        assess(ledger({28: still}), {}, radiotherapy_end=END)
    with pytest.raises(Refused, match="a role for lesion tumour 1, first named on"):
        course({28: still, 200: [*still, tumour(5.0, 5.0, number=1)]}, roles={"tumour 0": Role.TARGET})
    with pytest.raises(Refused, match="measurable disease"):
        course({28: still, 200: still}, {200: dose(0, rest=Rest.STABLE)}, roles={"tumour 0": Role.NON_TARGET})
    with pytest.raises(Refused, match="not measurable"):
        course({28: tumour(20.0, 9.9), 200: still})
    with pytest.raises(Refused, match="both diameters"):
        course({28: tumour(20.0), 200: still})
    four = [tumour(20.0, 20.0, number=k) for k in range(4)]
    with pytest.raises(BadInput, match="at most 3"):
        course({28: four, 200: four})
    with pytest.raises(BadInput, match="steroid dose"):
        course({28: still, 200: still}, {200: dose(-1)})
    with pytest.raises(BadInput, match="'sometimes'"):
        course({28: still, 200: still}, radiotherapy_end="sometimes")


# --- what must not matter -----------------------------------------------------------------------------------

SIDES = st.lists(st.tuples(st.floats(10, 60), st.floats(10, 60)), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.permutations(range(3)), st.booleans())
def test_neither_order_nor_unit_matters(
    one: list[tuple[float, float]], two: list[tuple[float, float]], order: list[int], cm: bool
) -> None:
    def visits(order: Sequence[int], unit: str) -> dict[int, list[Finding]]:
        scale = 10.0 if unit == "cm" else 1.0
        return {
            28 + 100 * n: [tumour(mm[k][0] / scale, mm[k][1] / scale, number=k, unit=unit) for k in order]
            for n, mm in enumerate((one, two))
        }

    (a,) = course(visits(range(3), "mm"))
    (b,) = course(visits(order, "cm" if cm else "mm"))
    assert a.sum_mm2 == pytest.approx(b.sum_mm2)
    assert a.sum_mm2 is not None
    near = min(abs(a.sum_mm2 - share * a.baseline_mm2) for share in (0.5, 1.25))
    assert near < 1e-3 or a.response is b.response


RANK = {PR_: 0, SD: 1, PD: 2}


@settings(max_examples=100, deadline=None)
@given(st.floats(10, 60), st.floats(10, 60), st.floats(10, 60))
def test_more_disease_is_never_a_better_response(first: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    found = [responses({28: tumour(first, first), 200: tumour(now, now)})[0] for now in (less, more)]
    assert RANK[found[0]] <= RANK[found[1]]

"""RECIST 1.1: every row of its tables, its limits to the tenth of a millimetre, the EORTC's examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.errors import BadInput, Refused
from sagittal.report.best_response import best
from sagittal.report.finding import Change, ChangeKind, Finding, Laterality, Measurement, Presence
from sagittal.report.lesions import Ledger, Role, assign, build
from sagittal.report.recist import (
    CONTINUED,
    CRITERION,
    MAY_BE_NEW,
    ONLY_BASELINE,
    REAPPEARED,
    TOO_SMALL,
    Assessment,
    Response,
    assess,
    overall,
    propose,
    target_response,
)
from sagittal.report.vocabulary import concept, site

CR, PR, SD, PD, NE = Response.CR, Response.PR, Response.SD, Response.PD, Response.NE
NON = Response.NON_CR_NON_PD
DAYS = [date(2025, 1, 1) + timedelta(days=56 * k) for k in range(8)]
PLACES = [
    ("liver", None),
    ("upper_lobe", Laterality.RIGHT),
    ("frontal_lobe", Laterality.LEFT),
    ("kidney", Laterality.LEFT),
    ("thyroid", Laterality.RIGHT),
]


def lesion(
    number: int,
    *mm: float,
    key: str = "metastasis",
    presence: Presence = Presence.PRESENT,
    unit: str = "mm",
    **changes: object,
) -> Finding:
    where, side = PLACES[number]
    made = Finding(
        concept(key),
        presence=presence,
        site=site(where).concept,
        laterality=side,
        measurements=(Measurement("diameter", mm, unit),) if mm else (),
        tracking_uid=f"{key} {number}",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def gone(number: int, key: str = "metastasis") -> Finding:
    return lesion(number, key=key, presence=Presence.ABSENT)


def node(short: float | None, *, long: float = 30.0) -> Finding:
    """An axillary lymph node."""
    size = () if short is None else (Measurement("diameter", (long, short), "mm"),)
    return Finding(
        concept("lymphadenopathy"),
        site=site("axilla").concept,
        laterality=Laterality.LEFT,
        measurements=size,
        tracking_uid="node",
    )


def ledger(*visits: Sequence[Finding], roles: Mapping[str, Role] | None = None) -> Ledger:
    book = build("P1", list(zip(DAYS, visits, strict=False)), baseline=DAYS[0])
    return assign(book, roles) if roles is not None else propose(book)


def course(*sums: float) -> tuple[Assessment, ...]:
    """One target lesion with that long axis at each date; 0 where it is gone."""
    return assess(ledger(*[[lesion(0, mm) if mm else gone(0)] for mm in sums]))


# --- the tables -------------------------------------------------------------------------------------

TABLE_1 = [
    (CR, CR, False, CR),
    (CR, NON, False, PR),
    (CR, NE, False, PR),
    (PR, CR, False, PR),
    (PR, NON, False, PR),
    (PR, NE, False, PR),
    (SD, CR, False, SD),
    (SD, NON, False, SD),
    (SD, NE, False, SD),
    (NE, CR, False, NE),
    (NE, NON, False, NE),
    *[(PD, any_, new, PD) for any_ in (CR, NON, NE, PD) for new in (False, True)],
    *[(any_, PD, new, PD) for any_ in (CR, PR, SD, NE) for new in (False, True)],
    *[(any_, other, True, PD) for any_ in (CR, PR, SD, NE) for other in (CR, NON, NE)],
    # No non-target disease.
    *[(any_, None, False, any_) for any_ in (CR, PR, SD, PD, NE)],
    *[(any_, None, True, PD) for any_ in (CR, PR, SD, PD, NE)],
]
TABLE_2 = [
    (CR, False, CR),
    (NON, False, NON),
    (NE, False, NE),
    (PD, False, PD),
    *[(any_, True, PD) for any_ in (CR, NON, NE, PD)],
]


@pytest.mark.parametrize(("target", "non_target", "new", "expected"), TABLE_1)
def test_table_1_target_disease(
    target: Response, non_target: Response | None, new: bool, expected: Response
) -> None:
    assert overall(target, non_target, new=new) is expected


@pytest.mark.parametrize(("non_target", "new", "expected"), TABLE_2)
def test_table_2_non_target_disease_only(non_target: Response, new: bool, expected: Response) -> None:
    assert overall(None, non_target, new=new) is expected


def test_tables_have_no_other_rows() -> None:
    for target, other in ((NON, CR), (CR, PR), (CR, SD), (None, None)):
        with pytest.raises(BadInput):
            overall(target, other, new=False)


def series(*responses: tuple[Response, int]) -> list[Assessment]:
    """Assessments with that overall response, so many days after the baseline."""
    day = [DAYS[0] + timedelta(days=n) for _, n in responses]
    return [
        Assessment(d, DAYS[0], DAYS[0], 50.0, 50.0, None, None, None, (), r)
        for d, (r, _) in zip(day, responses, strict=True)
    ]


# First time point, subsequent one, best response where SD was long enough, and where it was not.
TABLE_3 = [
    (CR, CR, CR, CR),
    (CR, SD, SD, PD),
    (CR, PD, SD, PD),
    (CR, NE, SD, NE),
    (PR, CR, PR, PR),
    (PR, PR, PR, PR),
    (PR, SD, SD, SD),
    (PR, PD, SD, PD),
    (PR, NE, SD, NE),
    (NE, NE, NE, NE),
]


@pytest.mark.parametrize(("first", "second", "long", "short"), TABLE_3)
def test_table_3_confirmed_best_response(
    first: Response, second: Response, long: Response, short: Response
) -> None:
    seen = series((first, 56), (second, 56 + 28))
    assert best(seen, confirmation=True, stable_weeks=6) is long
    assert best(seen, confirmation=True, stable_weeks=14) is short


def test_best_response_of_a_course() -> None:
    def both(*path: tuple[Response, int]) -> tuple[Response, Response]:
        seen = series(*path)
        return (
            best(seen, confirmation=True, stable_weeks=6),
            best(seen, confirmation=False, stable_weeks=6),
        )

    # Seen once, or again too early: not confirmed.
    assert both((SD, 56), (PR, 112)) == (SD, PR)
    assert both((PR, 56), (PR, 83), (PD, 140)) == (SD, PR)
    assert both((PR, 56), (NE, 70), (PR, 84)) == (PR, PR)
    # Whatever comes after the first progression does not count.
    assert both((PD, 56), (PR, 112), (PR, 168)) == (PD, PD)
    assert both((SD, 30), (PD, 56)) == (PD, PD)
    assert both((SD, 30), (NE, 56)) == (NE, NE)
    assert both((NON, 56), (NON, 112)) == (NON, NON)
    with pytest.raises(BadInput):
        best([], confirmation=False, stable_weeks=6)


# --- the limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("baseline", "nadir", "now", "expected"),
    [
        (100.0, 100.0, 70.0, PR),  # exactly 30 %
        (100.0, 100.0, 70.1, SD),
        (100.0, 100.0, 120.0, PD),  # exactly 20 %
        (100.0, 100.0, 119.9, SD),
        (25.0, 25.0, 30.0, PD),  # exactly 20 % and exactly 5 mm
        (24.5, 24.5, 29.4, SD),  # 20 %, and 4.9 mm
        (20.0, 20.0, 24.9, SD),  # 24.5 %, and 4.9 mm
        (26.0, 26.0, 31.0, SD),  # 5 mm, and 19.2 %
        (100.0, 40.0, 48.0, PD),  # over the nadir, though 52 % under the baseline
        (100.0, 40.0, 47.9, PR),
        (100.0, 0.0, 4.9, PR),
        (100.0, 0.0, 5.0, PD),
        (10.0, 10.0, 10.0, SD),
        (12.0, 12.0, 8.4, PR),  # 0.7 x 12 is 8.399999999999999 in binary
    ],
)
def test_limits(baseline: float, nadir: float, now: float, expected: Response) -> None:
    assert target_response(baseline, nadir, now, vanished=False) is expected


RANK = [CR, PR, SD, PD]


@settings(max_examples=300, deadline=None)
@given(st.floats(10, 300), st.floats(0, 1), st.floats(0, 600), st.floats(0, 600))
def test_more_disease_is_never_a_better_response(
    baseline: float, share: float, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    nadir = baseline * share
    ranks = [RANK.index(target_response(baseline, nadir, mm, vanished=False)) for mm in (less, more)]
    assert ranks[0] <= ranks[1]


@pytest.mark.parametrize(
    "sums", [(0, 0, 5), (10, 11, 5), (10, 10, -1), (float("nan"), 1, 1), (10, 10, float("inf"))]
)
def test_what_are_no_sums(sums: tuple[float, float, float]) -> None:
    with pytest.raises(BadInput):
        target_response(*sums, vanished=False)


# --- courses ----------------------------------------------------------------------------------------


def test_baseline_and_nadir_are_two_things() -> None:
    # 50 -> 34 is 32 % under the baseline; 42 is 8 mm and 23.5 % over that nadir.
    one, two = course(50, 34, 42)
    assert (one.overall, two.overall) == (PR, PD)
    assert (two.baseline, two.nadir) == (DAYS[0], DAYS[1])
    assert (two.baseline_mm, two.nadir_mm, two.sum_mm) == (50.0, 34.0, 42.0)
    assert two.from_baseline == pytest.approx(-0.16) and two.from_nadir == pytest.approx(8 / 34)
    assert two.criterion == CRITERION and ONLY_BASELINE not in two.notes


def test_with_one_follow_up_the_nadir_is_the_baseline_and_that_is_said() -> None:
    (only,) = course(50, 60)
    assert (only.overall, only.nadir, only.notes) == (PD, DAYS[0], (ONLY_BASELINE,))


def test_the_published_example_of_a_continued_response() -> None:
    # EORTC: 165 mm at baseline, 63 at week 8 and 65 at week 16 is a continued partial response.
    assert [a.overall for a in course(165, 63, 65)] == [PR, PR]
    # EORTC FAQ: 100, then 70, 70, 80, 80, 80 stays PR, although 80 is not 30 % under the baseline.
    seen = course(100, 70, 70, 80, 80, 80)
    assert [a.overall for a in seen] == [PR] * 5
    assert CONTINUED in seen[2].notes and CONTINUED not in seen[1].notes
    # Not confirmed, it does not continue.
    assert [a.overall for a in course(100, 70, 80)] == [PR, SD]
    # Progression ends it: 70 + 20 %.
    assert [a.overall for a in course(100, 70, 70, 84, 80)][2:] == [PD, SD]


def test_complete_response_and_what_comes_back() -> None:
    seen = course(50, 0, 0, 4)
    assert [a.overall for a in seen] == [CR, CR, PD]
    assert REAPPEARED in seen[-1].notes
    assert seen[1].from_nadir is None


def test_a_partly_measured_date() -> None:
    # The guideline's own example: three lesions of 50 mm in all; two of them alone make 80 mm.
    first = [lesion(0, 20), lesion(1, 15), lesion(2, 15)]
    (seen,) = assess(ledger(first, [lesion(0, 45), lesion(1, 35)]))
    assert (seen.target, seen.overall, seen.sum_mm) == (PD, PD, None)
    assert any("metastasis 2: not named" in note for note in seen.notes)
    (seen,) = assess(ledger(first, [lesion(0, 5), lesion(1, 5)]))
    assert (seen.target, seen.overall) == (NE, NE)
    # Uncertain or measured in another way is not measured; a nadir is a whole sum.
    for odd in (lesion(2, presence=Presence.UNCERTAIN), lesion(2, 1.0, unit="{pixel}"), lesion(2)):
        seen, last = assess(ledger(first, [lesion(0, 5), lesion(1, 5), odd], first))
        assert seen.overall is NE and (last.overall, last.nadir) == (SD, DAYS[0])
    other = Measurement("diameter", (15.0,), "mm", spacing_source="at the detector, uncorrected")
    seen, *_ = assess(ledger(first, [lesion(0, 5), lesion(1, 5), replace(lesion(2), measurements=(other,))]))
    assert seen.overall is NE


def test_too_small_to_measure_is_five_millimetres() -> None:
    faint = lesion(0, attributes=(TOO_SMALL,))
    (seen,) = assess(ledger([lesion(0, 12.0)], [faint]))
    assert (seen.sum_mm, seen.overall) == (5.0, PR)


def test_lymph_nodes_go_by_their_short_axis() -> None:
    seen = assess(ledger([node(20.0)], [node(15.0)], [node(9.9)]))
    assert [a.sum_mm for a in seen] == [15.0, 9.9]
    assert [a.overall for a in seen] == [SD, CR]  # the sum of a complete response need not be 0
    assert assess(ledger([node(20.0)], [node(10.0)]))[0].overall is PR
    # Other lesions shrink beside it: CR needs all of them.
    mixed = ledger([node(20.0), lesion(0, 30.0)], [node(8.0), gone(0)], [node(8.0), lesion(0, 6.0)])
    assert [a.overall for a in assess(mixed)] == [CR, PD]


def test_a_normal_node_without_a_size_is_gone_but_leaves_the_sum_open() -> None:
    absent = replace(node(None), presence=Presence.ABSENT)
    (seen,) = assess(ledger([node(20.0)], [absent]))
    assert (seen.overall, seen.sum_mm) == (CR, None)
    both = ledger([node(20.0), lesion(0, 30.0)], [absent, lesion(0, 10.0)])
    assert assess(both)[0].overall is NE


@pytest.mark.parametrize(
    ("short", "role"), [(15.0, Role.TARGET), (14.9, Role.NON_TARGET), (10.0, Role.NON_TARGET)]
)
def test_which_nodes_are_targets(short: float, role: Role) -> None:
    (one,) = ledger([node(short)]).lesions
    assert one.role is role


def test_new_lesions_are_progression_for_good() -> None:
    none = Finding(concept("metastasis"), presence=Presence.ABSENT, site=site("thyroid").concept)
    new = lesion(4, 6.0)
    book = ledger([lesion(0, 50.0), none], [lesion(0, 20.0), new], [lesion(0, 10.0), new])
    seen = assess(book)
    assert [(a.target, a.overall, a.new) for a in seen] == [(PR, PD, ("metastasis 4",))] * 2


def test_a_lesion_that_may_be_new_is_refused_until_somebody_says_so() -> None:
    book = ledger([lesion(0, 50.0)], [lesion(0, 20.0), lesion(4, 6.0)])
    with pytest.raises(Refused, match=r"whether a lesion is new: metastasis metastasis 4, first named on"):
        assess(book)
    assert assess(assign(book, {"metastasis 4": Role.NEW}))[0].overall is PD
    known = assign(book, {"metastasis 4": Role.NON_TARGET})
    assert assess(known, {DAYS[1]: NON})[0].overall is PR


def test_what_may_be_one_of_two_lesions_leaves_everything_but_progression_open() -> None:
    def unnamed(mm: float) -> Finding:
        return lesion(3, mm, tracking_uid=None)

    book = ledger([lesion(0, 50.0), unnamed(12.0)], [lesion(0, 20.0), unnamed(12.0), unnamed(30.0)])
    first = next(one.uid for one in book.lesions if one.uid != "metastasis 0")
    book = assign(book, {first: Role.NON_TARGET})
    (seen,) = assess(book, {DAYS[1]: NON})
    assert seen.overall is NE and sum(MAY_BE_NEW in note for note in seen.notes) == 2
    (seen,) = assess(book, {DAYS[1]: PD})
    assert seen.overall is PD
    # An equivocal new lesion is followed first.
    maybe = ledger([lesion(0, 50.0)], [lesion(0, 20.0), lesion(3, presence=Presence.UNCERTAIN)])
    (seen,) = assess(maybe)
    assert seen.overall is PR and any(MAY_BE_NEW in note for note in seen.notes)


def test_non_target_disease_is_what_a_person_says() -> None:
    book = ledger([lesion(0, 50.0), lesion(1, 6.0)], [gone(0), lesion(1, 6.0)])
    assert [one.role for one in book.lesions] == [Role.TARGET, Role.NON_TARGET]
    with pytest.raises(Refused, match="non-target disease of 2025-02-26"):
        assess(book)
    assert [assess(book, {DAYS[1]: r})[0].overall for r in (NON, NE, PD)] == [PR, PR, PD]
    with pytest.raises(BadInput, match="metastasis 1 is present"):
        assess(book, {DAYS[1]: CR})
    with pytest.raises(BadInput, match="after the baseline"):
        assess(book, {DAYS[1]: NON, DAYS[0]: NON})
    with pytest.raises(BadInput, match="there is none"):
        assess(ledger([lesion(0, 50.0)], [gone(0)]), {DAYS[1]: NON})


def test_non_target_disease_only() -> None:
    book = ledger([lesion(0, 6.0)], [lesion(0, 6.0)], [gone(0)])
    assert [a.overall for a in assess(book, {DAYS[1]: NON, DAYS[2]: CR})] == [NON, CR]
    assert assess(book, {DAYS[1]: NON, DAYS[2]: CR})[0].sum_mm is None


# --- what is chosen, and what is refused --------------------------------------------------------------


def test_targets_are_proposed_by_size_and_organ() -> None:
    def many(place: int, count: int, start: float) -> list[Finding]:
        return [lesion(place, start - k, tracking_uid=f"{place}/{k}") for k in range(count)]

    book = ledger(
        [*many(0, 3, 90.0), *many(1, 3, 40.0), *many(2, 1, 12.0), *many(3, 1, 9.0), *many(4, 1, 15.0)]
    )
    # The largest of each organ first; of the five, one place is left for the second largest anywhere.
    assert {one.uid for one in book.of(Role.TARGET)} == {"0/0", "1/0", "4/0", "2/0", "0/1"}
    assert {one.uid for one in book.of(Role.NON_TARGET)} == {"0/2", "1/1", "1/2", "3/0"}


def test_limits_of_targets() -> None:
    two = [lesion(k % 3, 20.0, tracking_uid=str(k)) for k in range(6)]
    roles = {str(k): Role.TARGET for k in range(6)}
    with pytest.raises(BadInput, match="6 target lesions; expected at most 5"):
        assess(ledger(two, two, roles=roles))
    three = [lesion(0, 20.0, tracking_uid=str(k)) for k in range(3)]
    with pytest.raises(BadInput, match="3 target lesions in liver; expected at most 2"):
        assess(ledger(three, three, roles={str(k): Role.TARGET for k in range(3)}))
    # Both lungs are one organ.
    lungs = [
        lesion(1, 20.0, tracking_uid=side.value, laterality=side, site=site(where).concept)
        for side, where in ((Laterality.LEFT, "upper_lobe"), (Laterality.RIGHT, "middle_lobe"))
    ]
    lungs.append(lesion(1, 20.0, tracking_uid="third", site=site("lower_lobe").concept))
    with pytest.raises(BadInput, match="3 target lesions in lung"):
        assess(ledger(lungs, lungs, roles={f.tracking_uid or "": Role.TARGET for f in lungs}))


@pytest.mark.parametrize(
    ("finding", "said"),
    [
        (lesion(0, 9.9), "not measurable; wanted long axis of 10 mm, got 9.9 mm"),
        (lesion(0, 20.0, count=3), "got a group of 3"),
        (lesion(0), "long axis of target metastasis 0 at the baseline"),
        (lesion(0, 20.0, unit="{pixel}"), "long axis of target metastasis 0 at the baseline"),
    ],
)
def test_what_cannot_be_a_target(finding: Finding, said: str) -> None:
    book = ledger([finding], [lesion(0, 20.0)], roles={"metastasis 0": Role.TARGET})
    with pytest.raises(Refused, match=said):
        assess(book)


def test_nodes_need_a_short_axis_of_fifteen() -> None:
    for finding, said in ((node(14.9), "short axis of 15 mm, got 14.9 mm"), (node(None), "short axis")):
        with pytest.raises(Refused, match=said):
            assess(ledger([finding], [node(9.0)], roles={"node": Role.TARGET}))
    one = replace(node(None), measurements=(Measurement("diameter", (22.0,), "mm"),))
    with pytest.raises(Refused, match="short axis"):
        assess(ledger([one], [one], roles={"node": Role.TARGET}))


def test_another_least_size_for_films_and_thick_slices() -> None:
    book = ledger([lesion(0, 15.0)], [lesion(0, 9.0)])
    assert assess(book)[0].overall is PR
    with pytest.raises(Refused, match="long axis of 20 mm"):
        assess(book, minimum_mm=20.0)


def test_two_dates_cannot_give_it() -> None:
    visits = [(DAYS[0], [lesion(0, 50.0)]), (DAYS[1], [lesion(0, 80.0)])]
    undesignated = build("P1", visits)
    with pytest.raises(Refused, match="two dates cannot give it"):
        assess(undesignated)
    with pytest.raises(Refused, match="two dates cannot give it"):
        propose(undesignated)
    with pytest.raises(Refused, match="a date after the baseline"):
        assess(ledger([lesion(0, 50.0)]))
    with pytest.raises(Refused, match="a role for every lesion"):
        assess(build("P1", visits, baseline=DAYS[0]))
    with pytest.raises(Refused, match="disease at the baseline"):
        assess(build("P1", [(DAYS[0], []), (DAYS[1], [])], baseline=DAYS[0]))


def test_called_new_by_the_report() -> None:
    new = lesion(4, 6.0, change=Change(ChangeKind.NEW))
    assert assess(ledger([lesion(0, 50.0)], [lesion(0, 50.0), new]))[0].overall is PD


# --- what must not matter -----------------------------------------------------------------------------

SIZES = st.lists(st.floats(10, 80), min_size=5, max_size=5)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, st.permutations(range(5)), st.booleans())
def test_neither_order_nor_unit_matters(
    one: list[float], two: list[float], three: list[float], order: list[int], cm: bool
) -> None:
    def visits(order: Sequence[int], unit: str) -> list[list[Finding]]:
        scale = 10.0 if unit == "cm" else 1.0
        return [[lesion(k, mm[k] / scale, unit=unit) for k in order] for mm in (one, two, three)]

    plain, other = (assess(ledger(*v)) for v in (visits(range(5), "mm"), visits(order, "cm" if cm else "mm")))
    for a, b in zip(plain, other, strict=True):
        assert a.sum_mm == pytest.approx(b.sum_mm)
        # A sum at the limit to the sixth decimal may fall to either side.
        if a.baseline_mm and a.nadir_mm and a.sum_mm is not None:
            near = min(
                abs(a.sum_mm - a.baseline_mm * 0.7),
                abs(a.sum_mm - a.nadir_mm * 1.2),
                abs(a.sum_mm - a.nadir_mm - 5),
            )
            assert near < 1e-4 or a.overall is b.overall

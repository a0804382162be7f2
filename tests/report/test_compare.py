"""Change against a named date, only by a named rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.errors import BadInput
from sagittal.report.compare import (
    AMBIGUOUS,
    BACKWARDS,
    CATEGORY,
    DOUBTFUL,
    FLEISCHNER,
    GROUP,
    LATE,
    LUNG_RADS,
    RULES,
    UNLIKE,
    UNNAMED,
    UNTOLD,
    compare,
    compared,
)
from sagittal.report.finding import (
    Change,
    ChangeKind,
    Evidence,
    Finding,
    Laterality,
    Measurement,
    Presence,
    Severity,
    Temporality,
)
from sagittal.report.parse import parse
from sagittal.report.render import sentence
from sagittal.report.stated import stated
from sagittal.report.vocabulary import concept, site

THEN, NOW = date(2025, 1, 2), date(2026, 1, 2)


def nodule(*mm: float, uid: str | None = None, source: str | None = None) -> Finding:
    size = Measurement("diameter", mm, "mm", spacing_source=source)
    lobe = site("upper_lobe").concept
    side = Laterality.RIGHT
    return Finding(concept("nodule"), site=lobe, laterality=side, measurements=(size,), tracking_uid=uid)


def change(prior: Finding, current: Finding) -> ChangeKind:
    (found,) = compare([prior], [current], prior_date=THEN, current_date=NOW)
    assert found.change is not None and found.change.since == THEN
    return found.change.kind


# Fleischner 2017: 2 mm or more in the mean of the two axes.
@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        ((6.0,), (8.0,), ChangeKind.LARGER),
        ((6.0,), (7.9,), ChangeKind.STABLE),
        ((8.0,), (6.0,), ChangeKind.SMALLER),
        ((6.0, 4.0), (9.0, 5.0), ChangeKind.LARGER),
        ((6.0, 4.0), (9.0, 4.0), ChangeKind.STABLE),
        ((6.0, 4.0), (9.0,), ChangeKind.NOT_COMPARABLE),
    ],
)
def test_nodules_by_fleischner(before: tuple[float, ...], now: tuple[float, ...], kind: ChangeKind) -> None:
    assert change(nodule(*before), nodule(*now)) is kind


@settings(max_examples=100, deadline=None)
@given(st.floats(1, 30), st.floats(1, 30))
def test_the_other_way_round_is_the_opposite(one: float, other: float) -> None:
    mirror = {ChangeKind.LARGER: ChangeKind.SMALLER, ChangeKind.SMALLER: ChangeKind.LARGER}
    there, back = change(nodule(one), nodule(other)), change(nodule(other), nodule(one))
    assert back is mirror.get(there, there)


def test_both_sizes_dates_and_the_rule_are_stated() -> None:
    (found,) = compare([nodule(6.0)], [nodule(9.0)], prior_date=THEN, current_date=NOW)
    assert found.change is not None and found.change.criterion == FLEISCHNER
    assert sentence(found) == (
        "Nodule in the right upper lobe, measuring 9 mm, larger since 2025-01-02 "
        f"(criterion: {FLEISCHNER}), previously measuring 6 mm."
    )


def test_other_scales_are_not_comparable() -> None:
    assert change(nodule(6.0, source="at the detector"), nodule(9.0)) is ChangeKind.NOT_COMPARABLE


def test_effusion_goes_by_category() -> None:
    def effusion(grade: Severity | None) -> Finding:
        return Finding(concept("pleural_effusion"), laterality=Laterality.LEFT, severity=grade)

    assert change(effusion(Severity.MILD), effusion(Severity.SEVERE)) is ChangeKind.LARGER
    assert change(effusion(Severity.MILD), effusion(Severity.MILD)) is ChangeKind.STABLE
    assert change(effusion(None), effusion(Severity.MILD)) is ChangeKind.NOT_COMPARABLE
    (found,) = compare(
        [effusion(Severity.MODERATE)], [effusion(Severity.MILD)], prior_date=THEN, current_date=NOW
    )
    assert found.change is not None and found.change.criterion == CATEGORY


def test_what_has_no_rule_is_not_comparable_but_both_sizes_stay() -> None:
    def mass(mm: float) -> Finding:
        return Finding(concept("mass"), measurements=(Measurement("diameter", (mm,), "mm"),))

    (found,) = compare([mass(34.0)], [mass(50.0)], prior_date=THEN, current_date=NOW)
    assert found.change is not None and found.change.kind is ChangeKind.NOT_COMPARABLE
    assert found.change.prior == Measurement("diameter", (34.0,), "mm")


def test_new_and_resolved_need_a_stated_absence() -> None:
    seen = Finding(
        concept("pneumothorax"),
        laterality=Laterality.LEFT,
        measurements=(Measurement("diameter", (9.0,), "mm"),),
        evidence=Evidence("1.2", mask="pneumothorax-1"),
        actionable=1,
    )
    none = Finding(concept("pneumothorax"), presence=Presence.ABSENT)
    (new,) = compare([none], [seen], prior_date=THEN, current_date=NOW)
    assert new.change is not None and new.change.kind is ChangeKind.NEW
    (unknown,) = compare([], [seen], prior_date=THEN, current_date=NOW)
    assert unknown.change is not None and unknown.change.kind is ChangeKind.NOT_COMPARABLE
    _, gone = compare([seen], [none], prior_date=THEN, current_date=NOW)
    assert gone.change is not None and gone.change.kind is ChangeKind.RESOLVED
    # Nothing measured or drawn on the earlier images is passed off as of today.
    assert gone.presence is Presence.ABSENT
    assert (gone.measurements, gone.evidence, gone.actionable) == ((), None, None)
    assert compare([seen], [], prior_date=THEN, current_date=NOW) == ()


def test_two_candidates_or_a_later_prior_are_not_comparable() -> None:
    kinds = [
        f.change.kind for f in compare([nodule(6.0)], [nodule(6.0), nodule(9.0)], prior_date=THEN) if f.change
    ]
    assert kinds == [ChangeKind.NOT_COMPARABLE] * 2
    (late,) = compare([nodule(6.0)], [nodule(9.0)], prior_date=NOW, current_date=THEN)
    assert late.change is not None and late.change.kind is ChangeKind.NOT_COMPARABLE


def test_what_is_not_comparable_says_why() -> None:
    doubtful = Finding(concept("pneumothorax"), presence=Presence.UNCERTAIN)
    seen = Finding(concept("pneumothorax"))
    for prior, when, reason in (
        ([], THEN, UNTOLD),
        ([seen], date(2027, 1, 1), BACKWARDS),
        ([seen, seen], THEN, AMBIGUOUS),
        ([doubtful], THEN, DOUBTFUL),
    ):
        (found,) = compare(prior, [seen], prior_date=when, current_date=NOW)
        assert found.change is not None and found.change.kind is ChangeKind.NOT_COMPARABLE
        assert found.change.criterion == reason
        assert f"(criterion: {reason})" in sentence(found)
        assert parse(sentence(found)) == [stated(found)]


def test_the_same_lesion_keeps_its_tracking_uid_across_dates() -> None:
    (found,) = compare([nodule(6.0, uid="1")], [nodule(9.0, uid="2")], prior_date=THEN, current_date=NOW)
    assert found.tracking_uid == "1"
    (unpaired,) = compare([], [nodule(9.0, uid="2")], prior_date=THEN, current_date=NOW)
    assert unpaired.tracking_uid == "2"


def test_a_tracking_uid_pairs_lesions_that_look_alike() -> None:
    before = [nodule(6.0, uid="1"), nodule(12.0, uid="2")]
    now = [nodule(12.0, uid="2"), nodule(9.0, uid="1")]
    kinds = {
        f.tracking_uid: f.change.kind
        for f in compare(before, now, prior_date=THEN, current_date=NOW)
        if f.change
    }
    assert kinds == {"1": ChangeKind.LARGER, "2": ChangeKind.STABLE}


# --- other rules, asked for by name ---------------------------------------------------------------


def kind(before: Finding, now: Finding, rule: str, when: date = NOW) -> tuple[ChangeKind, str | None]:
    (found,) = compare([before], [now], prior_date=THEN, current_date=when, rule=RULES[rule])
    assert found.change is not None
    return found.change.kind, found.change.criterion


# ACR Lung-RADS v2022: growth is an increase in mean diameter of *more* than 1.5 mm within 12 months.
@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (6.0, 7.5, ChangeKind.STABLE),
        (6.0, 7.6, ChangeKind.LARGER),
        (7.6, 6.0, ChangeKind.SMALLER),
        (7.5, 6.0, ChangeKind.STABLE),
    ],
)
def test_nodules_by_lung_rads(before: float, now: float, expected: ChangeKind) -> None:
    assert kind(nodule(before), nodule(now), "lung-rads") == (expected, LUNG_RADS)
    assert kind(nodule(before), nodule(now), "fleischner")[0] is ChangeKind.STABLE


def test_lung_rads_says_when_its_twelve_months_are_over() -> None:
    assert kind(nodule(6.0), nodule(8.0), "lung-rads", date(2026, 1, 2))[1] == LUNG_RADS
    assert kind(nodule(6.0), nodule(8.0), "lung-rads", date(2026, 1, 3))[1] == LUNG_RADS + LATE


# BTS 2015: 25 % of volume, whatever the diameters say.
@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (0.200, 0.250, ChangeKind.LARGER),
        (0.200, 0.249, ChangeKind.STABLE),
        (0.200, 0.150, ChangeKind.SMALLER),
        (0.200, 0.151, ChangeKind.STABLE),
        (0.0, 0.2, ChangeKind.NOT_COMPARABLE),
    ],
)
def test_nodules_by_bts(before: float, now: float, expected: ChangeKind) -> None:
    def sized(volume: float) -> Finding:
        one = nodule(8.0)
        return replace(one, measurements=(*one.measurements, Measurement("volume", (volume,), "mL")))

    assert kind(sized(before), sized(now), "bts")[0] is expected


def test_bts_has_nothing_to_say_without_volumes() -> None:
    assert kind(nodule(8.0), nodule(20.0), "bts") == (ChangeKind.NOT_COMPARABLE, UNLIKE)


@pytest.mark.parametrize("criterion", [*(r.criterion for r in RULES.values()), LUNG_RADS + LATE])
def test_every_criterion_survives_being_written_and_read(criterion: str) -> None:
    found = replace(nodule(9.0), change=Change(ChangeKind.LARGER, THEN, criterion))
    assert parse(sentence(found)) == [stated(found)]


@settings(max_examples=100, deadline=None)
@given(st.floats(1, 30), st.floats(1, 30))
def test_units_change_nothing(before: float, now: float) -> None:
    def in_cm(finding: Finding) -> Finding:
        (size,) = finding.measurements
        return replace(
            finding, measurements=(replace(size, values=tuple(v / 10 for v in size.values), unit="cm"),)
        )

    # What lies at the limit to the sixth decimal is decided by rounding, in either unit.
    for rule, limit in (("fleischner", 2.0), ("lung-rads", 1.5)):
        if abs(abs(now - before) - limit) > 1e-5:
            assert kind(nodule(before), nodule(now), rule) == kind(nodule(before), in_cm(nodule(now)), rule)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -3.0])
def test_what_is_no_number_is_not_unchanged(odd: float) -> None:
    assert change(nodule(6.0), nodule(odd)) is ChangeKind.NOT_COMPARABLE
    assert change(nodule(odd), nodule(6.0)) is ChangeKind.NOT_COMPARABLE


def test_a_group_is_no_lesion() -> None:
    three = replace(nodule(6.0), count=3)
    (found,) = compare([three], [replace(nodule(9.0), count=3)], prior_date=THEN)
    assert found.change is not None and found.change.criterion == GROUP


def test_history_and_questions_are_not_compared() -> None:
    old = replace(nodule(6.0), temporality=Temporality.HISTORICAL)
    (found,) = compare([old], [nodule(9.0)], prior_date=THEN, current_date=NOW)
    assert found.change is not None and found.change.criterion == UNTOLD
    (kept,) = compare([nodule(6.0)], [replace(old, measurements=())], prior_date=THEN, current_date=NOW)
    assert kept.change is None


def test_what_is_no_longer_named_is_not_forgotten() -> None:
    (row,) = compared([nodule(6.0, uid="1")], [], prior_date=THEN, current_date=NOW)
    assert (row.current, row.reason) == (None, UNNAMED)
    rows = compared([nodule(6.0)], [nodule(6.0), nodule(9.0)], prior_date=THEN, current_date=NOW)
    assert [row.reason for row in rows if row.current is None] == [AMBIGUOUS]


# --- registered images -------------------------------------------------------------------------------


def at(x: float, mm: float = 8.0, *, uid: str | None = None, y: float = 0.0, **changes: object) -> Finding:
    half = mm / 2
    box = (x - half, y - half, -half, x + half, y + half, half)
    return replace(nodule(mm, uid=uid), evidence=Evidence("1.2", box_mm=box), **changes)  # type: ignore[arg-type]


SHIFT = np.array([[1.0, 0, 0, 100.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def uids(prior: list[Finding], current: list[Finding], **options: object) -> list[str | None]:
    found = compare(prior, current, prior_date=THEN, current_date=NOW, **options)  # type: ignore[arg-type]
    return [f.tracking_uid for f in found]


def test_nodules_that_look_alike_are_told_apart_by_where_they_lie() -> None:
    before = [at(0.0, uid="a"), at(60.0, uid="b"), at(30.0, uid="c")]
    now = [at(161.0, 11.0), at(101.0), at(129.0)]
    assert uids(before, now, transform=SHIFT) == ["b", "a", "c"]
    kinds = {
        f.tracking_uid: f.change.kind
        for f in compare(before, now, prior_date=THEN, current_date=NOW, transform=SHIFT)
        if f.change
    }
    assert kinds == {"b": ChangeKind.LARGER, "a": ChangeKind.STABLE, "c": ChangeKind.STABLE}
    # Without the registration the boxes say nothing, and nobody may guess.
    assert uids(before, now) == [None, None, None]


def test_a_function_does_as_well_as_a_matrix() -> None:
    before, now = [at(0.0, uid="a"), at(60.0, uid="b")], [at(160.0), at(100.0)]
    assert uids(before, now, transform=lambda p: (p[0] + 100, p[1], p[2])) == ["b", "a"]


def test_what_lies_elsewhere_is_another_lesion() -> None:
    (found,) = compare([at(0.0)], [at(140.0)], prior_date=THEN, current_date=NOW, transform=SHIFT)
    assert found.change is not None and found.change.criterion == UNTOLD
    (found,) = compare([at(0.0)], [at(109.9)], prior_date=THEN, current_date=NOW, transform=SHIFT)
    assert found.change is not None and found.change.kind is ChangeKind.STABLE
    (found,) = compare([at(0.0)], [at(110.1)], prior_date=THEN, current_date=NOW, transform=SHIFT)
    assert found.change is not None and found.change.kind is ChangeKind.NOT_COMPARABLE


def test_the_site_yields_to_the_place_but_the_side_does_not() -> None:
    lower = site("lower_lobe").concept
    assert uids([at(0.0, uid="a")], [at(100.0, site=lower)], transform=SHIFT) == ["a"]
    assert uids([at(0.0, uid="a")], [at(100.0, laterality=Laterality.LEFT)], transform=SHIFT) == [None]


def test_neighbours_that_distances_do_not_tell_apart_stay_apart() -> None:
    # One of two neighbours 6 mm apart has gone: which one, a registration good to some mm cannot say.
    before = [at(0.0, uid="a"), at(6.0, uid="b")]
    (found, *_) = compare(before, [at(102.0)], prior_date=THEN, current_date=NOW, transform=SHIFT)
    assert found.change is not None and found.change.criterion == AMBIGUOUS
    # Both are there: the other way round would be 4 + 4 against 2 + 2 mm, still too close to call ...
    two = [at(102.0), at(104.0)]
    kinds = compare(before, two, prior_date=THEN, current_date=NOW, transform=SHIFT)
    assert {f.change.criterion for f in kinds if f.change} == {AMBIGUOUS}
    # ... but 6 + 6 against 0 + 0 is not.
    assert uids(before, [at(106.0), at(100.0)], transform=SHIFT) == ["b", "a"]


def test_a_nodule_that_became_a_mass_is_the_same_lesion() -> None:
    grown = replace(at(100.0, 36.0), observation=concept("mass"))
    (found,) = compare([at(0.0, 25.0, uid="a")], [grown], prior_date=THEN, transform=SHIFT)
    assert found.tracking_uid == "a"
    assert found.change is not None and found.change.kind is ChangeKind.LARGER
    # By words alone they could be two.
    assert uids([at(0.0, 25.0, uid="a")], [grown]) == [None]


def test_tracking_uids_outrank_distance() -> None:
    before, now = [at(0.0, uid="a"), at(40.0, uid="b")], [at(140.0, uid="a"), at(100.0, uid="b")]
    assert uids(before, now, transform=SHIFT) == ["a", "b"]


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(6)), st.permutations(range(6)), st.integers(0, 2**32 - 1))
def test_the_order_of_lesions_does_not_matter(one: list[int], two: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    places, jitter = rng.uniform(0, 60, 6), rng.normal(0, 2, 6)
    before = [at(float(places[k]), uid=f"prior {k}") for k in range(6)]
    now = [at(100 + float(places[k] + jitter[k]), uid=f"now {k}") for k in range(6)]

    def paired(first: list[int], second: list[int]) -> set[tuple[str | None, str | None]]:
        old, new = [before[k] for k in first], [now[k] for k in second]
        rows = compared(old, new, prior_date=THEN, current_date=NOW, transform=SHIFT)
        boxes = {f.evidence: f.tracking_uid for f in now}
        return {
            (row.prior.tracking_uid if row.prior else None, boxes[row.current.evidence])
            for row in rows
            if row.current is not None
        }

    assert paired(one, two) == paired(list(range(6)), list(range(6)))


@pytest.mark.parametrize(
    "odd",
    [
        np.eye(3),
        np.full((4, 4), np.nan),
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]],
        np.diag([1.0, 1, 0, 1]),
        "matrix",
        [[1, 2], [3]],
        lambda point: (1.0, float("nan"), 0.0),
        lambda point: (1.0, 2.0),
    ],
)
def test_what_is_no_transform_is_refused(odd: object) -> None:
    with pytest.raises(BadInput, match="transform"):
        compare([at(0.0)], [at(0.0)], prior_date=THEN, transform=odd)  # type: ignore[arg-type]

"""Change against a named date, only by a named rule."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.report.compare import (
    AMBIGUOUS,
    BACKWARDS,
    CATEGORY,
    DOUBTFUL,
    FLEISCHNER,
    UNTOLD,
    compare,
)
from sagittal.report.finding import ChangeKind, Evidence, Finding, Laterality, Measurement, Presence, Severity
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

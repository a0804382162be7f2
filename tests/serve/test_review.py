"""A review changes findings and report together, keeps every version, and closes with a signature."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from sagittal.errors import BadInput, Refused
from sagittal.report.finding import Certainty, Evidence, Laterality, Presence, Severity
from sagittal.report.reading import Reading, Status
from sagittal.serve import review
from sagittal.serve.review import Corrections

WHEN = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
NODULE, AIR = "2.25.1", "2.25.2"


@pytest.fixture
def reading(kit: SimpleNamespace) -> Reading:
    made: Reading = kit.read(kit.ct()).reading
    return made


@pytest.fixture
def by(kit: SimpleNamespace) -> dict[str, object]:
    return {"by": "Dr A", "when": WHEN, "redraft": kit.draft}


def told(uid: str = AIR) -> object:
    return review.communication(uid, by="Dr A", to="Dr Ward", how="telephone", when=WHEN, read_back=True)


def decided(reading: Reading, by: dict[str, object]) -> Reading:
    return review.accept(review.accept(reading, NODULE, **by), AIR, **by)  # type: ignore[arg-type]


def test_each_step_is_a_new_version_and_the_old_one_stays(reading: Reading, by: dict[str, object]) -> None:
    after = review.accept(reading, NODULE, **by)  # type: ignore[arg-type]
    assert (reading.version, reading.status, reading.edits) == (1, Status.DRAFT, ())
    assert (after.version, after.status) == (2, Status.IN_REVIEW)
    assert after.supersedes == reading.uid != after.uid
    assert after.edits[-1].action == "accept"
    assert after.findings == reading.findings


def test_a_rejected_finding_leaves_findings_report_and_masks(reading: Reading, by: dict[str, object]) -> None:
    after = review.reject(reading, NODULE, reason="vessel", **by)  # type: ignore[arg-type]
    assert "nodule" in reading.report.text
    assert "nodule" not in after.report.text
    assert NODULE not in [f.tracking_uid for f in after.findings]
    assert after.masks == ()
    assert (after.edits[-1].before, after.edits[-1].reason) == ("Left nodule 11 mm.", "vessel")
    back = review.restore(after, reading, NODULE, **by)  # type: ignore[arg-type]
    assert back.finding(NODULE) == reading.finding(NODULE)
    assert back.masks == reading.masks
    assert NODULE in [f.tracking_uid for f in review.undecided(back)]


def test_an_edit_replaces_what_it_names_and_the_models_number_goes(
    reading: Reading, by: dict[str, object]
) -> None:
    changes = Corrections(
        laterality=Laterality.RIGHT,
        severity=Severity.MILD,
        certainty=Certainty.POSSIBLE,
        diameter_mm=(7.0, 9.0),
    )
    after = review.edit(reading, NODULE, changes, **by)  # type: ignore[arg-type]
    finding = after.finding(NODULE)
    assert finding.laterality is Laterality.RIGHT
    assert finding.measurements[0].values == (9.0, 7.0)
    assert (finding.probability, finding.domain, finding.source) == (None, None, "radiologist")
    assert finding.evidence == reading.finding(NODULE).evidence
    assert after.edits[-1].before == "Left nodule 11 mm."
    assert after.edits[-1].after == "Right nodule 9 mm."
    cleared = review.edit(after, NODULE, Corrections(clear=("laterality", "severity")), **by)  # type: ignore[arg-type]
    assert (cleared.finding(NODULE).laterality, cleared.finding(NODULE).severity) == (None, None)


def test_an_edit_that_changes_nothing_or_cannot_be_is_refused(
    reading: Reading, by: dict[str, object]
) -> None:
    for changes in (
        Corrections(),
        Corrections(laterality=Laterality.LEFT),
        Corrections(diameter_mm=(11.0, 10.0)),
        Corrections(diameter_mm=(0.0,)),
        Corrections(diameter_mm=(1.0, 2.0, 3.0, 4.0)),
        Corrections(clear=("presence",)),
    ):
        with pytest.raises(BadInput):
            review.edit(reading, NODULE, changes, **by)  # type: ignore[arg-type]


def test_a_sentence_adds_a_finding_of_the_vocabulary(reading: Reading, by: dict[str, object]) -> None:
    place = Evidence(series_uid="1.2", slices_index=(4,))
    after = review.add(reading, "8 mm nodule in the right upper lobe.", evidence=place, **by)  # type: ignore[arg-type]
    new = after.findings[-1]
    assert new.observation.key == "nodule"
    assert new.laterality is Laterality.RIGHT
    assert new.measurements[0].values == (8.0,)
    assert (new.source, new.evidence) == ("radiologist", place)
    assert review.decisions(after)[new.tracking_uid or ""] == "add"
    assert "Right nodule 8 mm." in after.report.text


@pytest.mark.parametrize(
    "text", ["", "No nodule.", "The weather is fine.", "x" * 1001, "<script>alert(1)</script>"]
)
def test_a_sentence_without_a_finding_is_one_clear_line(
    reading: Reading, by: dict[str, object], text: str
) -> None:
    with pytest.raises(BadInput) as caught:
        review.add(reading, text, **by)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_no_signature_before_every_finding_is_decided(reading: Reading, by: dict[str, object]) -> None:
    one = review.accept(reading, NODULE, **by)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="1 finding"):
        review.sign(one, by="Dr A", when=WHEN, communications=[told()])  # type: ignore[list-item]
    # An absence is not a finding somebody has to click on.
    assert [f.tracking_uid for f in review.undecided(one)] == [AIR]


def test_a_category_1_finding_asks_for_the_communication(reading: Reading, by: dict[str, object]) -> None:
    ready = decided(reading, by)
    with pytest.raises(Refused, match="category 1"):
        review.sign(ready, by="Dr A", when=WHEN)
    with pytest.raises(Refused, match="category 1"):
        review.sign(ready, by="Dr A", when=WHEN, communications=[told(NODULE)])  # type: ignore[list-item]
    signed = review.sign(ready, by="Dr A", when=WHEN, communications=[told()])  # type: ignore[list-item]
    assert (signed.status, signed.signed_by, signed.signed_at) == (Status.SIGNED, "Dr A", WHEN)
    assert signed.report.communications[0].to == "Dr Ward"
    without = review.reject(ready, AIR, **by)  # type: ignore[arg-type]
    assert review.sign(without, by="Dr A", when=WHEN).status is Status.SIGNED


def test_a_communication_needs_every_part(reading: Reading) -> None:
    for gap in ({"to": " "}, {"how": ""}, {"by": ""}, {"to": "x" * 121}, {"to": "a\x07b"}):
        parts = {"by": "Dr A", "to": "Dr Ward", "how": "telephone"} | gap
        with pytest.raises(BadInput):
            review.communication(AIR, when=WHEN, read_back=True, **parts)


def test_a_signed_reading_is_closed_to_everything_but_an_amendment(
    reading: Reading, by: dict[str, object]
) -> None:
    signed = review.sign(decided(reading, by), by="Dr A", when=WHEN, communications=[told()])  # type: ignore[list-item]
    for change in (
        lambda: review.accept(signed, NODULE, **by),  # type: ignore[arg-type]
        lambda: review.reject(signed, NODULE, **by),  # type: ignore[arg-type]
        lambda: review.edit(signed, NODULE, Corrections(severity=Severity.MILD), **by),  # type: ignore[arg-type]
        lambda: review.add(signed, "Emphysema.", **by),  # type: ignore[arg-type]
        lambda: review.sign(signed, by="Dr B", when=WHEN),
    ):
        with pytest.raises(Refused, match="signed and closed"):
            change()
    with pytest.raises(BadInput, match="reason"):
        review.amend(signed, by="Dr A", when=WHEN, reason=" ")
    opened = review.amend(signed, by="Dr A", when=WHEN, reason="size corrected")
    assert (opened.status, opened.signed_by, opened.supersedes) == (Status.IN_REVIEW, None, signed.uid)
    changed = review.edit(opened, NODULE, Corrections(diameter_mm=(12.0,)), **by)  # type: ignore[arg-type]
    # What was told stays told.
    assert changed.report.communications == signed.report.communications
    again = review.sign(changed, by="Dr B", when=WHEN)
    assert (again.status, again.signed_by) == (Status.AMENDED, "Dr B")
    assert signed.status is Status.SIGNED
    with pytest.raises(Refused):
        review.amend(reading, by="Dr A", when=WHEN, reason="not signed yet")


def test_names_are_bounded_and_printable(reading: Reading, by: dict[str, object]) -> None:
    for name in ("", "   ", "x" * 121, "a\x00b"):
        with pytest.raises(BadInput):
            review.accept(reading, NODULE, **{**by, "by": name})  # type: ignore[arg-type]


def test_a_refused_reading_is_not_signed_but_can_be_read_by_a_person(
    reading: Reading, by: dict[str, object]
) -> None:
    refused = replace(reading, status=Status.REFUSED, findings=(), masks=())
    with pytest.raises(Refused, match="nothing was read"):
        review.sign(refused, by="Dr A", when=WHEN)
    added = review.add(refused, "Left pleural effusion.", **by)  # type: ignore[arg-type]
    assert added.status is Status.IN_REVIEW
    assert added.findings[0].presence is Presence.PRESENT
    assert review.sign(added, by="Dr A", when=WHEN).status is Status.SIGNED


def test_what_a_finding_is_called_that_is_not_there(reading: Reading, by: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="no such finding"):
        review.accept(reading, "<script>", **by)  # type: ignore[arg-type]


def test_what_a_person_rejected_is_not_called_not_assessed(reading: Reading, by: dict[str, object]) -> None:
    from sagittal.report.reading import Score
    from sagittal.report.vocabulary import concept
    from sagittal.serve.worker import without_rejected

    quiet = Score(concept("consolidation"), "not assessed")
    scored = replace(reading, scores=(*reading.scores, quiet))
    after = review.reject(scored, NODULE, **by)  # type: ignore[arg-type]
    assert [s.observation.key for s in without_rejected(scored).scores] == [
        "nodule",
        "pneumothorax",
        "consolidation",
    ]
    assert [s.observation.key for s in without_rejected(after).scores] == ["pneumothorax", "consolidation"]
    assert len(after.scores) == 3

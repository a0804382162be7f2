"""Pairs from the versions of readings, as the reading room keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sagittal.report.finding import Presence
from sagittal.report.parse import parse
from sagittal.report.reading import Provenance, Reading, Status, StudySummary
from sagittal.report.report import Report, Section, Sentence
from sagittal.tasks.edits import edited_pairs

WHEN = datetime(2026, 3, 4, tzinfo=UTC)


def report(findings: str, impression: str = "Normal.") -> Report:
    named = {"indication": "Cough.", "findings": findings, "impression": impression}
    return Report(tuple(Section(k, (Sentence(v),) if v else ()) for k, v in named.items()))


@pytest.fixture
def draft() -> Reading:
    said = "There is a nodule in the right upper lobe. No effusion."
    return Reading(
        "1",
        Status.DRAFT,
        StudySummary("s1", "p1"),
        (),
        (),
        tuple(parse(said)),
        (),
        report(said),
        Provenance(WHEN, 0),
    )


def then(before: Reading, uid: str, status: Status, text: str, impression: str = "Normal.") -> Reading:
    return replace(
        before,
        uid=uid,
        status=status,
        report=report(text, impression),
        version=before.version + 1,
        supersedes=before.uid,
    )


def test_the_draft_against_what_was_signed_last(draft: Reading) -> None:
    review = then(draft, "2", Status.IN_REVIEW, "Nodule, right upper lobe.")
    signed = then(review, "3", Status.SIGNED, "Nodule, right upper lobe. No effusion.")
    (pair,) = edited_pairs([signed, draft, review])
    assert pair.draft == "There is a nodule in the right upper lobe. No effusion."
    assert pair.edited == "Nodule, right upper lobe. No effusion."
    assert (pair.section, pair.reading, pair.study, pair.indication) == ("findings", "3", "s1", "Cough.")
    assert pair.reworded
    # an amendment that is still open does not undo the signature; one that is signed replaces it
    opened = then(signed, "4", Status.IN_REVIEW, "Nothing yet.")
    assert edited_pairs([draft, review, signed, opened]) == (pair,)
    amended = then(opened, "5", Status.AMENDED, "Granuloma, right upper lobe.", "No action needed.")
    both = edited_pairs([draft, review, signed, opened, amended])
    assert [(p.section, p.edited) for p in both] == [
        ("findings", "Granuloma, right upper lobe."),
        ("impression", "No action needed."),
    ]
    assert edited_pairs([draft, review, signed, opened, amended], sections=("impression",)) == both[1:]


def test_a_changed_finding_is_no_rewording(draft: Reading) -> None:
    signed = then(draft, "2", Status.SIGNED, "No nodule.")
    signed = replace(signed, findings=tuple(replace(f, presence=Presence.ABSENT) for f in draft.findings))
    (pair,) = edited_pairs([draft, signed])
    assert not pair.reworded


def test_what_teaches_nothing_makes_no_pair(draft: Reading) -> None:
    same = then(draft, "2", Status.SIGNED, draft.report.section("findings").sentences[0].text)
    unsigned = then(draft, "2", Status.IN_REVIEW, "Nodule.")
    emptied = then(draft, "2", Status.SIGNED, "")
    german = then(draft, "2", Status.SIGNED, "Rundherd.")
    german = replace(german, report=replace(german.report, language="de"))
    for version in (same, unsigned, emptied, german):
        assert edited_pairs([draft, version]) == ()
    signed = then(draft, "2", Status.SIGNED, "Nodule.")
    assert edited_pairs([signed]) == ()  # its draft is missing
    assert edited_pairs([]) == ()
    assert edited_pairs([replace(draft, status=Status.REFUSED), signed]) == ()
    ring = replace(draft, supersedes="2")
    assert edited_pairs([ring, signed]) == ()
    assert (
        len(edited_pairs([draft, signed, replace(draft, uid="8"), replace(signed, uid="9", supersedes="8")]))
        == 2
    )

"""A report is rendered from findings: a stored text that has parted from them is not passed on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sagittal.errors import BadInput
from sagittal.report.code import Concept
from sagittal.report.finding import Finding, Laterality, Presence
from sagittal.report.known import check_known
from sagittal.report.names import languages
from sagittal.report.parse import parse
from sagittal.report.parted import parted
from sagittal.report.phrasebook import say
from sagittal.report.reading import Edit, Reading, Status
from sagittal.report.render import AUDIENCES, render
from sagittal.report.report import Report, Sentence
from sagittal.report.stated import stated
from sagittal.report.styles import STYLES
from sagittal.report.vocabulary import concept

WHEN = datetime(2026, 3, 5, 9, 30, tzinfo=UTC)
RIGHT = Finding(concept("pneumothorax"), laterality=Laterality.RIGHT, tracking_uid="2.25.3")


def signed(reading: Reading) -> Reading:
    return replace(reading, status=Status.SIGNED, signed_by="Dr A. Reader", signed_at=WHEN)


def turned(reading: Reading) -> Reading:
    """The finding says right pneumothorax, the stored text still says there is none."""
    findings = tuple(RIGHT if f.tracking_uid == "2.25.3" else f for f in reading.findings)
    return replace(reading, findings=findings)


def unfit(reading: Reading, name: str) -> Reading:
    """A reading whose text and findings have parted in one of the ways that there are."""
    if name == "turned":
        return turned(reading)
    if name == "one more":
        return replace(reading, findings=(*reading.findings, replace(RIGHT, tracking_uid="2.25.8")))
    if name == "one fewer":
        return replace(reading, findings=reading.findings[1:])
    if name == "other names":
        return replace(reading, findings=(replace(RIGHT, tracking_uid="2.25.77"),))
    sections = tuple(
        replace(s, sentences=tuple(Sentence(x.text) for x in s.sentences)) for s in reading.report.sections
    )
    return turned(replace(reading, report=replace(reading.report, sections=sections)))


UNFIT = ("turned", "one more", "one fewer", "other names", "no names")


def test_a_draft_s_text_and_findings_agree(reading: Reading) -> None:
    assert parted(reading) is None
    assert say("redrawn") not in render(reading).text


@pytest.mark.parametrize("name", UNFIT)
@pytest.mark.parametrize("code", languages())
def test_a_draft_is_drawn_up_again_and_says_so(reading: Reading, name: str, code: str) -> None:
    made = unfit(reading, name)
    for style in STYLES:
        report = render(made, language=code, style=style)
        if style == "impression":
            continue
        told = [f for f in parse(report) if f.observation.key == "pneumothorax"]
        wanted = [stated(f) for f in made.findings if f.observation.key == "pneumothorax"]
        assert {f.presence for f in told} == {f.presence for f in wanted}, report.text
        assert set(told) == set(wanted)
        assert say("redrawn", code) in report.text
        other = render(reading, language=code, style=style)
        assert report.section("indication") == other.section("indication")


@pytest.mark.parametrize("name", UNFIT)
@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_signed_text_is_refused_and_never_changed(reading: Reading, name: str, audience: str) -> None:
    with pytest.raises(BadInput, match="signed report does not say"):
        render(signed(unfit(reading, name)), audience=audience)


def test_what_a_person_wrote_stands(reading: Reading) -> None:
    edit = Edit("edit", "Dr A. Reader", WHEN, "2.25.3", after="No pneumothorax.")
    for made in (turned(reading), signed(turned(reading))):
        text = render(replace(made, edits=(edit,))).text
        assert "No pneumothorax." in text and say("redrawn") not in text


def test_without_a_stored_text_it_is_drawn_from_the_findings(reading: Reading) -> None:
    for made in (reading, signed(reading)):
        report = render(replace(made, report=Report()))
        assert {uid for s in report.section("findings").sentences for uid in s.findings} == {
            "2.25.1",
            "2.25.2",
            "2.25.3",
        }
        assert say("redrawn") not in report.text, "there was nothing to leave out"


@pytest.mark.parametrize("place", ["observation", "site", "score"])
def test_what_the_vocabulary_does_not_know_is_one_line(reading: Reading, place: str) -> None:
    unicorn = Concept("unicorn", "99SAGITTAL", "unicorn", "Unicorn")
    first = reading.findings[0]
    if place == "score":
        made = replace(reading, scores=(replace(reading.scores[0], observation=unicorn),))
    else:
        odd = replace(first, **{place: unicorn})
        made = replace(reading, findings=(odd, *reading.findings[1:]))
        with pytest.raises(BadInput, match="unicorn"):
            render([odd])
    for audience in AUDIENCES:
        for style in STYLES:
            with pytest.raises(BadInput, match="unicorn"):
                render(made, audience=audience, style=style, preview=True)
    with pytest.raises(BadInput, match="unicorn"):
        check_known(made)


def test_absent_and_unassessed_are_not_mixed_up(reading: Reading) -> None:
    findings = tuple(
        replace(f, presence=Presence.NOT_ASSESSED) if f.tracking_uid == "2.25.3" else f
        for f in reading.findings
    )
    report = render(replace(reading, findings=findings))
    assert "No pneumothorax" not in report.text and say("redrawn") in report.text

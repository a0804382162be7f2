"""What a patient reads: every finding once, none of it changed, in words that need no explaining."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from sagittal.errors import BadInput
from sagittal.report import grammar
from sagittal.report.draft import draft
from sagittal.report.finding import (
    Certainty,
    Change,
    ChangeKind,
    Finding,
    Laterality,
    Measurement,
    Presence,
    Severity,
    Temporality,
)
from sagittal.report.language import language
from sagittal.report.names import document, languages, names
from sagittal.report.plain import explain, section_of
from sagittal.report.readability import grade
from sagittal.report.reading import Edit, Reading, Score, SeriesSummary, Status
from sagittal.report.render import render
from sagittal.report.report import Recommendation, Report, Sentence
from sagittal.report.stated import stated
from sagittal.report.styles import STYLES
from sagittal.report.vocabulary import Observation, concept, observation, observations, site, sites

WHEN = datetime(2026, 3, 5, 9, 30, tzinfo=UTC)
TOLD = ("findings", "not found", "not assessed")
EASY = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


def signed(reading: Reading, findings: tuple[Finding, ...] | None = None, **more: Any) -> Reading:
    kept = reading.findings if findings is None else findings
    report = draft(reading.study, kept, scores=more.get("scores", reading.scores))
    return replace(
        reading,
        status=Status.SIGNED,
        signed_by="Dr A. Reader",
        signed_at=WHEN,
        findings=kept,
        report=report,
        **more,
    )


def told(report: Report) -> Counter[str]:
    return Counter(uid for section in report.sections for s in section.sentences for uid in s.findings)


def patient(reading: Reading, code: str = "en", style: str = "narrative") -> Report:
    return render(reading, audience="patient", language=code, style=style)


@settings(max_examples=40, deadline=None, suppress_health_check=EASY)
@given(st.data())
def test_every_finding_is_told_once_where_it_belongs(drawn: Any, reading: Reading, data: DataObject) -> None:
    found = data.draw(st.lists(drawn.finding, max_size=4))
    findings = tuple(replace(f, tracking_uid=f"2.25.{i}") for i, f in enumerate(found))
    code = data.draw(st.sampled_from(languages()))
    style = data.draw(st.sampled_from([s for s in STYLES if s != "impression"]))
    report = patient(signed(reading, findings, scores=()), code, style)
    assert told(report) == Counter(f.tracking_uid for f in findings)
    for finding in findings:
        where = [
            s.name for s in report.sections if any(finding.tracking_uid in x.findings for x in s.sentences)
        ]
        assert where == [section_of(finding)]
        presence = stated(finding).presence
        assert (where == ["not assessed"]) == (presence is Presence.NOT_ASSESSED)
        if presence in (Presence.PRESENT, Presence.UNCERTAIN):
            assert where == ["findings"]


@pytest.mark.parametrize("code", languages())
def test_frames_say_different_things(code: str) -> None:
    """Presence, certainty and time survive: no two of them are said with the same words."""
    frames = document(code)["patient"]["frames"]
    assert len(set(frames.values())) == len(frames)
    meanings = document(code)["patient"]["meaning"]
    assert len(set(meanings.values())) == len(meanings) and not set(meanings.values()) & set(frames.values())
    sides = document(code)["patient"]["sides"]
    apart = {side: words for side, words in sides.items() if side != "neither"}
    assert len(set(apart.values())) == len(apart)


def _variants() -> Iterator[tuple[Finding, Finding]]:
    """Pairs of findings that differ in one fact."""
    base = Finding(concept("nodule"), site=site("lung").concept, laterality=Laterality.LEFT)
    size = Measurement("diameter", (8.0, 6.0), "mm")
    yield base, replace(base, laterality=Laterality.RIGHT)
    yield base, replace(base, laterality=Laterality.BILATERAL)
    yield base, replace(base, site=site("lung_apex").concept)
    yield base, replace(base, presence=Presence.ABSENT)
    yield base, replace(base, presence=Presence.NOT_ASSESSED)
    yield base, replace(base, presence=Presence.UNCERTAIN)
    for word in Certainty:
        yield base, replace(base, certainty=word)
    yield base, replace(base, severity=Severity.MILD)
    yield base, replace(base, count=3)
    yield base, replace(base, attributes=(("margin", "spiculated"),))
    yield base, replace(base, temporality=Temporality.HISTORICAL)
    yield base, replace(base, temporality=Temporality.FAMILY)
    yield base, replace(base, temporality=Temporality.HYPOTHETICAL)
    yield base, replace(base, measurements=(size,))
    yield replace(base, measurements=(size,)), replace(base, measurements=(replace(size, values=(8.0, 5.0)),))
    for kind in ChangeKind:
        yield base, replace(base, change=Change(kind))
    changed = replace(base, change=Change(ChangeKind.LARGER, date(2025, 5, 6), None, size))
    yield changed, replace(base, change=Change(ChangeKind.SMALLER, date(2025, 5, 6), None, size))
    yield changed, replace(base, change=Change(ChangeKind.LARGER, date(2025, 6, 6), None, size))


@pytest.mark.parametrize("code", languages())
def test_no_fact_is_lost(code: str) -> None:
    for one, other in _variants():
        assert explain(one, language(code)) != explain(other, language(code)), (one, other)


@pytest.mark.parametrize("code", languages())
def test_side_and_size_are_those_of_the_finding(code: str) -> None:
    spoken, sides = language(code), document(code)["patient"]["sides"]
    size = Measurement("diameter", (12.4, 8.04), "mm")
    for side in Laterality:
        finding = Finding(concept("nodule"), laterality=side, measurements=(size,))
        text = explain(finding, spoken)
        assert grammar.amount(size, spoken).replace("12.4", "12").replace("12,4", "12") in text
        said = {name for name, words in sides.items() if words in text and name != "neither"}
        assert said == {side.value}
    nowhere = explain(Finding(concept("nodule"), laterality=None), spoken)
    assert not [words for words in sides.values() if words in nowhere]


@pytest.mark.parametrize("code", languages())
def test_sizes_are_compared_with_things_of_that_size(code: str) -> None:
    things = document(code)["patient"]["like"]["mm"]

    def like(mm: float, unit: str = "mm") -> str:
        finding = Finding(concept("nodule"), measurements=(Measurement("diameter", (mm,), unit),))
        return next((thing for _, thing in things if f" {thing}" in explain(finding, language(code))), "")

    assert like(8) == things[2][1] == like(0.8, "cm")
    assert like(200) == "" and like(0) == ""
    assert like(30) == things[6][1], "a walnut"


def _reports(code: str, reading: Reading, step: int) -> Iterator[tuple[Observation, Report]]:
    """A report of three findings round every ``step``-th observation: there, perhaps there, not there."""
    entries = observations()
    study = replace(reading.study, series=(SeriesSummary("1.1", "CT", "x", (9, 9, 9), None, "SPL", "HU"),))
    for i in range(0, len(entries), step):
        seen, maybe, absent, left = (entries[(i + k) % len(entries)] for k in range(4))

        def found(entry: Observation, uid: str, **facts: Any) -> Finding:
            place = site(entry.sites[0]).concept if entry.sites else None
            side = Laterality.LEFT if entry.laterality == "sided" else None
            return Finding(entry.concept, entry.kind, site=place, laterality=side, tracking_uid=uid, **facts)

        findings = (
            found(
                seen,
                "2.25.1",
                severity=Severity.MILD,
                measurements=(Measurement("diameter", (12.0, 8.0), "mm"),),
                change=Change(ChangeKind.LARGER, date(2025, 1, 2)),
            ),
            found(maybe, "2.25.2", presence=Presence.UNCERTAIN, certainty=Certainty.POSSIBLE),
            found(absent, "2.25.3", presence=Presence.ABSENT),
        )
        scores = (Score(left.concept, "not assessed"),)
        yield seen, patient(signed(replace(reading, study=study), findings, scores=scores, refusals=()), code)


def _grade_six(code: str, reading: Reading, step: int) -> None:
    for entry, report in _reports(code, reading, step):
        result = grade(report.text, code)
        assert result.grade <= 6, f"{entry.key}: {result}"
        # The fixed sentences must not hide what is hard.
        sentences = [s.text for x in report.sections for s in x.sentences if s.findings]
        assert grade("\n".join(sentences), code).grade <= 7, f"{entry.key}: {sentences}"


@pytest.mark.parametrize("code", languages())
def test_grade_six(code: str, reading: Reading) -> None:
    _grade_six(code, reading, 7)


@pytest.mark.slow
@pytest.mark.parametrize("code", languages())
def test_grade_six_over_the_whole_vocabulary(code: str, reading: Reading) -> None:
    _grade_six(code, reading, 1)


@pytest.mark.parametrize("code", languages())
def test_no_term_of_the_radiologist_is_used(code: str, reading: Reading) -> None:
    """Unless it is a word of everyday life, which the lay words then use themselves."""
    spoken = language(code)
    for entry in observations():
        name = names(code)[entry.key]
        text = explain(Finding(entry.concept), spoken).lower()
        assert name.lay and name.lay.lower() in text
        if name.term.lower() not in name.lay.lower():
            assert not re.search(rf"\b{re.escape(name.term.lower())}\b", text), text
    for place in sites():
        assert place.name(code).lay, (code, place.key)


@pytest.mark.parametrize("code", languages())
def test_nothing_about_probability_treatment_or_models(code: str, reading: Reading) -> None:
    advice = Recommendation("Start antibiotics", "Guideline 2024", ("2.25.1",))
    made = signed(reading)
    made = replace(made, report=replace(made.report, recommendations=(advice,)))
    report = patient(made, code)
    assert "antibiotics" not in report.text and not report.recommendations
    assert "0.91" not in report.text and "0,91" not in report.text and "%" not in report.text
    assert "ACR" not in report.text and not report.actionable
    assert not re.search(r"modell?[oe]?\b|modèle", report.text, re.IGNORECASE)
    lines = document(code)["patient"]["lines"]
    assert report.section("next steps").sentences == (Sentence(lines["next"]),)
    assert "Dr A. Reader" in report.text


def test_urgent_findings_come_first_and_say_so() -> None:
    embolism = Finding(concept("pulmonary_embolism"), actionable=1, tracking_uid="2.25.1")
    for code in languages():
        first = document(code)["patient"]["lines"]["first"]
        assert explain(embolism, language(code)).endswith(first)
        assert first not in explain(replace(embolism, actionable=3), language(code))
        assert first not in explain(replace(embolism, presence=Presence.ABSENT), language(code))


def test_silence_is_no_all_clear(reading: Reading) -> None:
    for code in languages():
        lines = document(code)["patient"]["lines"]
        looked = signed(reading, (), scores=(Score(concept("nodule"), "less likely"),))
        assert patient(looked, code).section("findings").sentences[0].text == lines["nothing_seen"]
        unlooked = signed(reading, (), scores=(Score(concept("nodule"), "not assessed"),))
        report = patient(unlooked, code)
        assert report.section("findings").sentences[0].text == lines["nothing_checked"]
        lay = names(code)["nodule"].lay
        assert any(lay in s.text for s in report.section("not assessed").sentences)
        assert not report.section("not found").sentences


def test_a_radiologist_s_own_words_are_not_contradicted(reading: Reading) -> None:
    """The finding says nodule; the signed report says there is none: the patient is sent to the doctor."""
    made = signed(reading)
    sections = tuple(
        replace(
            s,
            sentences=tuple(
                replace(x, text="No nodule.") if x.findings[:1] == ("2.25.1",) else x for x in s.sentences
            ),
        )
        for s in made.report.sections
    )
    edit = Edit("edit", "Dr A. Reader", WHEN, "2.25.1", after="No nodule.")
    made = replace(made, report=replace(made.report, sections=sections))
    with pytest.raises(BadInput, match="signed report does not say"):
        patient(made)
    report = patient(replace(made, edits=(edit,)))
    (line,) = [s.text for s in report.section("findings").sentences if "2.25.1" in s.findings]
    assert line.startswith("The report speaks of this in other words") and "8.2" not in line


def test_what_only_the_report_says_is_pointed_to(reading: Reading) -> None:
    made = signed(reading, (), scores=())
    sections = tuple(
        replace(s, sentences=(Sentence("Large tumour of the liver."),)) if s.name == "impression" else s
        for s in made.report.sections
    )
    report = patient(replace(made, report=replace(made.report, sections=sections)))
    lines = document("en")["patient"]["lines"]
    assert [s.text for s in report.section("findings").sentences] == [lines["more_in_report"]]


def test_image_sides_are_not_the_patient_s(reading: Reading) -> None:
    finding = Finding(concept("nodule"), laterality=Laterality.IMAGE_LEFT, tracking_uid="2.25.1")
    text = patient(signed(reading, (finding,))).text
    assert "on the left of the picture" in text and "your left" not in text
    assert "We do not know which side is your right." in text


def test_a_report_in_full(reading: Reading) -> None:
    report = patient(signed(reading))
    assert report.text == (
        "YOUR SCAN\n"
        "You had a CT scan. It takes X-ray pictures of the body in thin slices.\n"
        "It was on 4 March 2026.\n"
        "Right and left mean your own right and left.\n\n"
        "WHAT WE SAW\n"
        "We saw: small round spot. Where: upper part of the lung, on your right side. Size: 8.2 x 6 mm. "
        "That is about as big as a pea.\n"
        "There may be: fluid around the lung. Where: on your left side.\n"
        "Taken together, this is likely: lung infection.\n\n"
        "WHAT WE LOOKED FOR AND DID NOT SEE\n"
        "Not seen: air around the lung.\n\n"
        "WHAT WE DID NOT CHECK\n"
        "Not checked: damaged air sacs.\n"
        "We did not check for things that are not named here.\n\n"
        "WHAT COMES NEXT\n"
        "Your doctor will tell you what this means for you. "
        "Your doctor will also tell you what comes next.\n\n"
        "ABOUT THIS TEXT\n"
        "A computer helped to write this text. Dr A. Reader checked the report and signed it.\n"
        "This is for research only. It is not a medical device.\n"
    )
    assert observation("nodule").name().lay == "small round spot"

"""A reading's report in every language, style and audience says what its findings say, and no more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from sagittal.errors import BadInput, Refused
from sagittal.report import grammar
from sagittal.report.draft import draft, permitted
from sagittal.report.finding import Finding, Laterality, Presence
from sagittal.report.language import language
from sagittal.report.names import languages, names
from sagittal.report.parse import parse
from sagittal.report.phrasebook import recognise, say
from sagittal.report.reading import Edit, Reading, Status
from sagittal.report.render import render
from sagittal.report.report import Communication, Recommendation, Report, Sentence
from sagittal.report.stated import stated
from sagittal.report.styles import STYLES, expected
from sagittal.report.vocabulary import concept, observation, observations

OTHERS = [code for code in languages() if code != "en"]
WHEN = datetime(2026, 3, 5, 9, 30, tzinfo=UTC)


def signed(reading: Reading) -> Reading:
    return replace(reading, status=Status.SIGNED, signed_by="Dr A. Reader", signed_at=WHEN)


def worded(reading: Reading, uid: str, text: str) -> Reading:
    """The reading with a person's wording of the sentence of a finding, on record."""
    sections = tuple(
        replace(
            section,
            sentences=tuple(replace(s, text=text) if uid in s.findings[:1] else s for s in section.sentences),
        )
        for section in reading.report.sections
    )
    edit = Edit("edit", "Dr A. Reader", WHEN, uid, after=text)
    return replace(reading, report=replace(reading.report, sections=sections), edits=(edit,))


def free(report: Report) -> list[str]:
    return [s.text for section in report.sections for s in section.sentences if not s.findings]


@pytest.mark.parametrize("code", OTHERS)
def test_another_language_states_the_same_findings(reading: Reading, code: str) -> None:
    report = render(reading, language=code)
    assert report.language == code
    assert [s.name for s in report.sections] == [s.name for s in reading.report.sections]
    for section, before in zip(report.sections, reading.report.sections, strict=True):
        for sentence, old in zip(section.sentences, before.sentences, strict=True):
            assert sentence.findings == old.findings
            if sentence.findings and section.name in ("findings", "not assessed"):
                (uid,) = sentence.findings
                assert parse([sentence], code) == [stated(reading.finding(uid))]
    (conclusion, *_) = report.section("impression").sentences
    assert parse([conclusion], code)[0] == stated(reading.finding("2.25.4"))


@pytest.mark.parametrize("code", OTHERS)
def test_only_quoted_words_stay_english(reading: Reading, code: str) -> None:
    kept = {
        a for a, b in zip(free(reading.report), free(render(reading, language=code)), strict=True) if a == b
    }
    # The request as typed, and what the reader of the files said of a series.
    assert kept == {"Cough.", "Scout: one slice."}


@pytest.mark.parametrize("code", OTHERS)
def test_every_inference_with_and_without_support(code: str) -> None:
    spoken = language(code)
    for entry in observations():
        if not entry.support:
            continue
        found = Finding(entry.concept, entry.kind, tracking_uid="2.25.1")
        support = Finding(concept(entry.support[0]), tracking_uid="2.25.2")
        from sagittal.report.draft import conclusion

        for rests in ([], [support]):
            text = conclusion(found, rests, code)
            assert text.startswith(grammar.sentence(found, spoken)[:-1])
            assert parse(text, code)[0] == stated(found), text
            assert [f.observation.key for f in parse(text, code)[1:]] == [f.observation.key for f in rests], (
                text
            )


def test_a_person_s_own_claim_is_not_translated(reading: Reading) -> None:
    """The finding says right; the radiologist wrote left: her words are kept and marked."""
    own = "There is a nodule in the left upper lobe."
    text = render(worded(reading, "2.25.1", own), language="de").section("findings").sentences[0].text
    assert text == say("original", "de", text=own)


@pytest.mark.parametrize(
    "more",
    [". The patient was told.", ", which the patient was told of.", ", CT in 3 months is recommended."],
)
def test_a_person_s_addition_is_not_lost(reading: Reading, more: str) -> None:
    own = f"{reading.report.section('findings').sentences[0].text.rstrip('.')}{more}"
    text = render(worded(reading, "2.25.1", own), language="de").section("findings").sentences[0].text
    assert text == say("original", "de", text=own)


def test_the_same_claim_in_other_words_is_written_anew(reading: Reading) -> None:
    same = "A nodule is seen in the right upper lobe, measuring 8.2 x 6 mm (axial plane)."
    assert parse(same) == [stated(reading.finding("2.25.1"))]
    german = render(worded(reading, "2.25.1", same), language="de").section("findings").sentences[0].text
    assert parse(german, "de") == [stated(reading.finding("2.25.1"))] and "nodule" not in german


def test_sentences_without_a_finding_are_marked_where_they_claim_something(reading: Reading) -> None:
    sections = tuple(
        replace(s, sentences=(*s.sentences, Sentence("Old scar."))) if s.name == "impression" else s
        for s in reading.report.sections
    )
    edit = Edit("add", "Dr A. Reader", WHEN, after="Old scar.")
    added = replace(reading, report=replace(reading.report, sections=sections), edits=(edit,))
    report = render(added, language="fr")
    assert report.section("impression").sentences[-1].text == say("original", "fr", text="Old scar.")


@pytest.mark.parametrize(("code", "style"), list(product(languages(), STYLES)))
def test_styles_keep_every_sentence_and_finding(reading: Reading, code: str, style: str) -> None:
    narrative = render(reading, language=code)
    report = render(reading, language=code, style=style)
    parts = ("impression",) if style == "impression" else ("findings", "impression")
    for name in parts:
        told = [s for s in report.section(name).sentences if s.findings]
        want = [s for s in narrative.section(name).sentences if s.findings]
        assert sorted(
            (s.text.removeprefix("- "), s.findings) for s in told if "2.25.5" not in s.findings
        ) == sorted((s.text, s.findings) for s in want)
    assert say("actionable_3", code) in report.text
    wanted = {f.observation.key for f in parse(narrative)}
    if style != "impression":
        assert {f.observation.key for f in parse(report)} == wanted
        absent = {f.observation.key for f in parse(report) if f.presence is Presence.ABSENT}
        assert absent == {"pneumothorax"}, "what was not assessed never becomes a no"


@pytest.mark.parametrize("code", languages())
def test_structured_by_organ_with_what_was_not_assessed(reading: Reading, code: str) -> None:
    report = render(reading, language=code, style="structured")
    lines = [s.text for s in report.section("findings").sentences]
    words = language(code).file["groups"]
    lung, pleura = (lines.index(say("group", code, group=words[g])) for g in ("lung", "pleura"))
    assert lung == 0, "in the order of the headings"
    lungs, rest = lines[lung + 1 : pleura], lines[pleura + 1 :]
    assert [f.observation.key for f in parse(lungs, code)] == ["nodule", "emphysema"]
    assert lungs[-1] == say("not_assessed_brief", code, terms=["emphysema"])
    assert [f.observation.key for f in parse(rest[:2], code)] == ["pleural_effusion", "pneumothorax"]
    heart = say("group", code, group=words["heart and mediastinum"])
    assert f"{heart} {say('group_not_assessed', code)}" in rest
    assert expected(reading) and "brain" not in expected(reading)
    left = [s.text for s in report.section("not assessed").sentences]
    assert left == [say("only_named", code)]


def test_an_examination_that_is_not_plain_promises_no_organs(reading: Reading) -> None:
    assert expected(replace(reading, scores=(), findings=())) == ()


@pytest.mark.parametrize("code", languages())
def test_the_clinician_reads_the_impression_first_and_nothing_of_models(reading: Reading, code: str) -> None:
    told = Communication("2.25.1", "Dr A", "Dr B", WHEN, "phone", True)
    advice = Recommendation("Consider CT in 3 months", "Fleischner 2017", ("2.25.1",))
    extra = replace(reading.report, communications=(told,), recommendations=(advice, Recommendation("Call")))
    report = render(signed(replace(reading, report=extra)), language=code, audience="clinician")
    assert [s.name for s in report.sections][:3] == ["impression", "recommendation", "communication"]
    text = report.text
    assert not any(word in text.lower() for word in ("model", "modèl", "threshold", "distance", "calibr"))
    assert say("actionable_3", code) in text and "Fleischner 2017" in text and "Dr B" in text
    assert say("no_source", code) in text
    assert say("not_assessed_brief", code, terms=["emphysema"]) in text
    marked = say("original", code, text="x")[:5]
    assert all(
        s.text.startswith(marked) == (code != "en") for s in report.section("recommendation").sentences
    )


def test_an_unassessed_finding_reaches_the_clinician_without_the_model(reading: Reading) -> None:
    findings = permitted(reading.findings, may_state_absent=())
    made = signed(replace(reading, findings=tuple(findings), report=draft(reading.study, findings)))
    for code in languages():
        report = render(made, language=code, audience="clinician")
        (line,) = [s for s in report.section("not assessed").sentences if s.findings]
        assert line.text == say("not_assessed_brief", code, terms=["pneumothorax"])
        assert parse([line], code)[0].presence is Presence.NOT_ASSESSED


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.data())
def test_any_findings_in_any_language_and_style(drawn: Any, data: DataObject) -> None:
    found = data.draw(st.lists(drawn.finding, min_size=1, max_size=3))
    findings = [replace(f, tracking_uid=f"2.25.{i}") for i, f in enumerate(found)]
    code, style = data.draw(st.sampled_from(languages())), data.draw(st.sampled_from(STYLES))
    from tests.report.conftest import _reading

    base = _reading()
    made = signed(replace(base, findings=tuple(findings), report=draft(base.study, findings)))
    narrative = render(made, language=code)
    for told in narrative.section("findings").sentences:
        if told.findings:
            # That it reads back is asked of the grammar in test_parse_render.
            assert told.text == grammar.sentence(made.finding(told.findings[0]), language(code))
    report = render(made, language=code, style=style)
    if style != "impression":
        named = {uid for section in report.sections for s in section.sentences for uid in s.findings}
        assert named == {f.tracking_uid for f in findings}


def test_who_may_see_what(reading: Reading) -> None:
    for audience in ("clinician", "patient"):
        with pytest.raises(Refused):
            render(reading, audience=audience)
        for code in languages():
            shown = render(reading, audience=audience, preview=True, language=code)
            assert all(s.sentences[0].text == say("preview", code) for s in shown.sections)
            text = render(signed(reading), audience=audience, preview=True, language=code).text
            assert say("preview", code) not in text, "a signed reading needs no stamp"
    for wrong in ({"style": "poem"}, {"audience": "press"}, {"language": "xx"}):
        with pytest.raises(BadInput, match="not available"):
            render(reading, **wrong)  # type: ignore[call-overload]
    with pytest.raises(Refused):
        render([reading.findings[0]], audience="patient")


def test_the_house_sentences_of_a_draft_are_all_in_the_phrasebook(reading: Reading) -> None:
    own = {"Cough.", "Scout: one slice."}
    assert {text for text in free(reading.report) if recognise(text) is None} == own


def test_flags_need_a_finding_that_is_there(reading: Reading) -> None:
    absent = replace(reading.findings[2], actionable=1)
    maybe = replace(reading.findings[1], actionable=2, laterality=Laterality.LEFT)
    made = replace(reading, findings=(absent, maybe), report=draft(reading.study, [absent, maybe]))
    assert render(made).actionable == {"2.25.2": 2}
    assert render(made).text.count("[ACR") == 2, "in findings and impression"


def test_names_exist_for_all_that_is_rendered() -> None:
    for code in languages():
        assert {o.key for o in observations()} <= set(names(code)), code
        assert observation("nodule").name(code).term

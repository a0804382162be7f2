"""Every rule of what a draft may say, checked on generated drafts."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from sagittal.report.draft import draft, ordered
from sagittal.report.finding import Certainty, Finding, Kind, Laterality, Measurement, Presence, Severity
from sagittal.report.parse import parse
from sagittal.report.phrasebook import say
from sagittal.report.reading import Reading, Refusal, Score, SeriesSummary, StudySummary
from sagittal.report.report import SECTIONS, Report
from sagittal.report.stated import IMAGE_SIDES, stated
from sagittal.report.vocabulary import concept, observation, observations, site

SERIES = SeriesSummary(
    "1.1", "MR", "T1", (22, 256, 256), (6.5, 0.9, 0.9), "SPL", "arbitrary", ("thick slices",)
)
STUDY = StudySummary("1", "P", date(2026, 1, 2), series=(SERIES,))
KEYS = [o.key for o in observations()]
FORBIDDEN = ("cannot be excluded", "correlate clinically", "clinical correlation")
PERCENT = re.compile(r"\b(?:probability|likelihood|confidence)\b|\b0\.\d+\s+(?:probab|likel)", re.I)


def test_the_skeleton_is_always_whole_and_in_order() -> None:
    for findings in ((), (Finding(concept("nodule")),)):
        report = draft(STUDY, findings)
        assert tuple(s.name for s in report.sections) == SECTIONS
        assert all(section.sentences for section in report.sections)


def test_technique_comparison_and_indication_are_never_invented() -> None:
    bare = draft(StudySummary("1", "P"), ())
    said = {name: [s.text for s in bare.section(name).sentences] for name in SECTIONS}
    assert said["indication"] == ["Not stated."] and said["technique"] == ["Not stated."]
    assert said["comparison"] == ["None available."]
    assert said["findings"] == [say("nothing")]
    full = draft(STUDY, (), indication="First seizure", prior_dates=[date(2025, 5, 6)])
    assert full.section("indication").sentences[0].text == "First seizure."
    assert full.section("technique").sentences[0].text == "MR T1: 22 slices, 6.5 mm apart."
    assert full.section("comparison").sentences[0].text == "Compared with 2025-05-06."


def test_a_prior_that_was_not_compared_is_named_with_the_reason() -> None:
    report = draft(STUDY, (), not_compared=["Prior of 2025-05-06 not compared: unlike what was learnt"])
    (said,) = report.section("comparison").sentences
    assert said.text == "Prior of 2025-05-06 not compared: unlike what was learnt."


def test_silence_after_looking_and_without_looking_are_different() -> None:
    def impression(*scores: Score) -> str:
        return draft(STUDY, (), scores=scores).section("impression").sentences[0].text

    assert impression() == say("none_assessed")
    assert impression(Score(concept("nodule"), "not assessed")) == say("none_assessed")
    assert impression(Score(concept("nodule"), "less likely")) == say("no_positive")
    assert not parse([say("none_assessed"), say("no_positive")])


def test_an_unclaimed_absence_names_what_it_is_about() -> None:
    scores = [Score(concept(k), "not assessed", note="absence not claimed: why") for k in ("mass", "cavity")]
    said = [s.text for s in draft(STUDY, (), scores=scores).section("limitations").sentences]
    assert "Absence not claimed: why (mass, cavity)." in said


def test_a_film_without_orientation_says_so_whatever_was_found() -> None:
    film = SeriesSummary("1.1", "DX", "film", (256, 256), None, "not stated", "arbitrary")
    said = [
        s.text for s in draft(StudySummary("1", "P", series=(film,)), ()).section("limitations").sentences
    ]
    assert say("orientation") in said


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.data())
def test_rules_hold_on_any_findings(drawn: Any, data: DataObject) -> None:
    findings = [
        finding if finding.tracking_uid is None else _named(finding, number)
        for number, finding in enumerate(data.draw(st.lists(drawn.finding, max_size=4)))
    ]
    allowed = set(data.draw(st.lists(st.sampled_from(KEYS), max_size=20)))
    scores = [Score(concept(k), "absent") for k in data.draw(st.lists(st.sampled_from(KEYS), max_size=3))]
    report = draft(STUDY, findings, scores=scores, may_state_absent=allowed)
    by_uid = {f.tracking_uid: f for f in findings}
    _absence_is_permitted(report, allowed)
    _sentences_state_their_findings(report, by_uid)
    _observations_and_inferences_are_apart(report, by_uid)
    text = report.text.lower()
    assert not any(phrase in text for phrase in FORBIDDEN)
    assert not PERCENT.search(report.text)
    for finding in findings:
        # The probability is nowhere in what the draft says of the finding.
        said = [s.text for x in report.sections for s in x.sentences if finding.tracking_uid in s.findings]
        assert said, "a finding is stated, or named as not assessed"
    if any(f.laterality in IMAGE_SIDES for f in findings):
        assert any(s.text == say("orientation") for s in report.section("limitations").sentences)
    named = {f.observation.key for f in parse(report.section("not assessed").sentences)}
    told = {f.observation.key for f in findings}
    assert {s.observation.key for s in scores} - told <= named


def _named(finding: Finding, number: int) -> Finding:
    from dataclasses import replace

    return replace(finding, tracking_uid=f"2.25.{number}")


def _absence_is_permitted(report: Report, allowed: set[str]) -> None:
    for section in ("findings", "impression"):
        for finding in parse(report.section(section).sentences):
            if finding.presence is Presence.ABSENT:
                assert finding.observation.key in allowed


def _sentences_state_their_findings(report: Report, by_uid: dict[str | None, Finding]) -> None:
    for section in ("findings", "impression"):
        for sentence in report.section(section).sentences:
            read = parse([sentence])
            assert len({f.certainty for f in read} - {None}) <= 1, "one certainty term a sentence"
            for uid in sentence.findings[:1]:
                assert read[0] == stated(by_uid[uid])


def _observations_and_inferences_are_apart(report: Report, by_uid: dict[str | None, Finding]) -> None:
    for sentence in report.section("findings").sentences:
        for uid in sentence.findings:
            assert observation(by_uid[uid].observation.key).kind is Kind.OBSERVATION


def test_absence_that_may_not_be_claimed_is_not_assessed() -> None:
    none = Finding(concept("pneumothorax"), presence=Presence.ABSENT, tracking_uid="2.25.1")
    allowed = draft(STUDY, [none], may_state_absent={"pneumothorax"})
    assert allowed.section("findings").sentences[0].text == "No pneumothorax."
    silent = draft(STUDY, [none], may_state_absent=())
    assert "No pneumothorax" not in silent.text
    assert silent.section("not assessed").sentences[0].text == "Not assessed by the model: pneumothorax."


def test_an_inference_comes_with_its_support(reading: Reading) -> None:
    pneumonia = Finding(concept("pneumonia"), certainty=Certainty.PROBABLE, tracking_uid="2.25.1")
    seen = Finding(concept("consolidation"), laterality=Laterality.LEFT, tracking_uid="2.25.2")
    with_it = draft(STUDY, [pneumonia, seen]).section("impression").sentences[0]
    assert with_it.text == "Probable pneumonia, supported by consolidation."
    assert with_it.findings == ("2.25.1", "2.25.2")
    alone = draft(STUDY, [pneumonia]).section("impression").sentences[0]
    assert alone.text == "Probable pneumonia, without a supporting finding."
    assert not draft(STUDY, [pneumonia]).section("findings").sentences[0].findings


def test_most_important_first() -> None:
    small = Finding(concept("nodule"), measurements=(Measurement("diameter", (4.0,), "mm"),))
    large = Finding(concept("nodule"), measurements=(Measurement("diameter", (1.2,), "cm"),))
    urgent = Finding(concept("pulmonary_embolism"), actionable=1)
    maybe = Finding(concept("pneumothorax"), presence=Presence.UNCERTAIN, actionable=1)
    severe = Finding(concept("emphysema"), severity=Severity.SEVERE)
    absent = Finding(concept("cavity"), presence=Presence.ABSENT)
    assert ordered([absent, small, maybe, severe, large, urgent]) == [
        urgent,
        severe,
        large,
        small,
        maybe,
        absent,
    ]


def test_refusals_problems_and_what_the_user_stated_are_limitations() -> None:
    study = StudySummary("1", "P", series=(SERIES,), stated={"modality": "MR"}, synthetic=True)
    refusal = Refusal("sagittal-small", "1.1", "outside its specification", 7.125, 2.5)
    notes = [Score(concept("nodule"), "possible", note="not calibrated on this kind of image")]
    report = draft(study, (), refusals=[refusal], scores=notes)
    said = [s.text for s in report.section("limitations").sentences]
    assert "Synthetic study (phantom)." in said
    wanted = "sagittal-small did not read T1: outside its specification (distance 7.12, threshold 2.50)."
    assert wanted in said
    assert "T1: thick slices." in said and "modality MR: stated by user." in said
    assert "Scores are not calibrated on this kind of image." in said
    assert len(report.limitations) == len(said)


def test_millimetres_carry_their_source() -> None:
    size = Measurement("diameter", (12.4,), "mm", spacing_source="at the detector, uncorrected")
    finding = Finding(concept("nodule"), site=site("lung").concept, measurements=(size,))
    (sentence,) = draft(STUDY, [finding]).section("findings").sentences
    assert sentence.text == "Nodule in the lung, measuring 12 mm (scale: at the detector, uncorrected)."


@pytest.mark.parametrize("probability", [0.123, 0.987])
def test_probabilities_are_never_written(probability: float) -> None:
    finding = Finding(concept("nodule"), probability=probability, domain="phantom chest-ct")
    assert f"{probability:.2f}"[:4] not in draft(STUDY, [finding]).text

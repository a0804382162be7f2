"""Styles of loose findings and of readings whose findings have no tracking UID."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sagittal.report.draft import draft
from sagittal.report.finding import Certainty, Finding, Laterality, Presence
from sagittal.report.language import language
from sagittal.report.names import languages
from sagittal.report.parse import parse
from sagittal.report.phrasebook import say
from sagittal.report.reading import Reading
from sagittal.report.render import render
from sagittal.report.report import Report
from sagittal.report.stated import stated
from sagittal.report.styles import STYLES, TEMPLATES, expected
from sagittal.report.vocabulary import EXAMS, concept, observations, site

FINDINGS = [
    Finding(concept("cyst"), site=site("kidney").concept, laterality=Laterality.LEFT),
    Finding(concept("pneumothorax"), presence=Presence.ABSENT),
    Finding(concept("pneumoperitoneum")),
    Finding(concept("acute_infarct"), laterality=Laterality.RIGHT),
    Finding(concept("pneumonia")),
]


@pytest.mark.parametrize("code", languages())
def test_loose_findings_in_every_style(code: str) -> None:
    texts = {style: [s.text for s in render(FINDINGS, language=code, style=style)] for style in STYLES}
    assert len({tuple(lines) for lines in texts.values()}) == len(STYLES)
    wanted = [stated(f) for f in FINDINGS]
    assert parse(texts["narrative"], code) == wanted, "in the order given"
    for style in ("structured", "bullet"):
        found = parse(texts[style], code)
        assert sorted(map(repr, found)) == sorted(map(repr, wanted)), texts[style]
    flag = say("actionable_1", code)
    for style in ("bullet", "impression"):
        keys = [f.observation.key for f in parse(texts[style], code)]
        assert set(keys[:2]) == {"pneumoperitoneum", "acute_infarct"} and keys.index("cyst") >= 2
        assert sum(flag in line for line in texts[style]) == 2
    assert all(line.startswith("- ") for line in texts["bullet"])
    assert not any(f.presence is Presence.ABSENT for f in parse(texts["impression"], code))
    heading = say("group", code, group=language(code).file["groups"]["brain"])
    at = texts["structured"].index(heading)
    assert parse([texts["structured"][at + 1]], code)[0].observation.key == "acute_infarct"
    assert sum(flag in line for line in texts["structured"]) == 2


def test_an_impression_of_absences_claims_no_health() -> None:
    (line,) = render([Finding(concept("nodule"), presence=Presence.ABSENT)], style="impression")
    assert line.text == say("no_positive_brief")


@pytest.mark.parametrize("code", languages())
def test_normal_statements_without_uid_stand_under_their_organ(reading: Reading, code: str) -> None:
    findings = tuple(
        Finding(concept(k), presence=Presence.ABSENT) for k in ("nodule", "mass", "pneumothorax")
    )
    made = replace(reading, findings=findings, scores=(), report=draft(reading.study, findings))
    lines = [s.text for s in render(made, language=code, style="structured").section("findings").sentences]
    words = language(code).file["groups"]
    assert say("group", code, group=words["other"]) not in lines
    lung = lines.index(say("group", code, group=words["lung"]))
    assert [f.observation.key for f in parse(lines[lung + 1 : lung + 3], code)] == ["nodule", "mass"]


def test_a_brain_examination_has_no_lungs(reading: Reading) -> None:
    series = tuple(replace(s, modality="MR") for s in reading.study.series)
    findings = (Finding(concept("acute_infarct"), tracking_uid="1"), Finding(concept("vasogenic_oedema")))
    diffusion = (Finding(concept("restricted_diffusion"), presence=Presence.ABSENT),)
    made = replace(
        reading, study=replace(reading.study, series=series), findings=findings + diffusion, scores=()
    )
    assert expected(made) == TEMPLATES["brain-mr"] and "lung" not in expected(made)


def test_every_examination_has_a_template_of_headings_that_are_there() -> None:
    assert set(TEMPLATES) == set(EXAMS)
    for exam, groups in TEMPLATES.items():
        assert set(groups) <= {o.group for o in observations(exam)} | {"vessels"}, exam
        assert set(groups) <= set(language("en").file["groups"])


def test_what_is_urgent_opens_the_impression_of_a_draft(reading: Reading) -> None:
    findings = tuple(replace(f, tracking_uid=f"2.25.{i}") for i, f in enumerate(FINDINGS))
    report = render(replace(reading, findings=findings, report=Report()))
    keys = [f.observation.key for f in parse(report.section("impression").sentences)]
    assert set(keys[:2]) == {"pneumoperitoneum", "acute_infarct"} and keys[2] == "pneumonia"
    assert report.text.count(say("actionable_1")) == 4, "in findings and impression"


@pytest.mark.parametrize(
    ("key", "place", "heading"),
    [
        ("cyst", "kidney", "Urinary tract:"),
        ("nodule", "liver", "Abdomen:"),
        ("nodule", "upper_lobe", "Lungs:"),
        ("nodule", "thyroid", "Neck:"),
        ("pneumothorax", "lung_apex", "Pleura:"),
        ("pleural_effusion", "costophrenic_angle", "Pleura:"),
    ],
)
def test_a_finding_stands_under_its_place(key: str, place: str, heading: str) -> None:
    first, _ = render([Finding(concept(key), site=site(place).concept)], style="structured")
    assert first.text == heading


def test_what_is_only_possible_is_not_flagged_by_its_observation() -> None:
    maybe = Finding(concept("pneumoperitoneum"), certainty=Certainty.POSSIBLE)
    assert "ACR" not in render([maybe], style="bullet")[0].text
    assert "ACR" in render([replace(maybe, actionable=1)], style="bullet")[0].text

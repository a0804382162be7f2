"""`sagittal render`: who may see what before a signature."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sagittal.report.codec import dumps
from sagittal.report.draft import draft
from sagittal.report.finding import Finding
from sagittal.report.names import languages, names
from sagittal.report.phrasebook import say
from sagittal.report.reading import Provenance, Reading, Status, StudySummary
from sagittal.report.render import AUDIENCES
from sagittal.report.report import SECTIONS
from sagittal.report.styles import STYLES
from sagittal.report.vocabulary import concept

DRAFTED, PREVIEW = say("drafted", "en"), say("preview", "en")


def reading(**changes: Any) -> Reading:
    study = StudySummary("1.2", "P1")
    made = Reading(
        "2.25.1",
        Status.DRAFT,
        study,
        (),
        (),
        (Finding(concept("nodule"), tracking_uid="2.25.2"),),
        (),
        draft(study, [Finding(concept("nodule"), tracking_uid="2.25.2")]),
        Provenance(datetime(2026, 1, 2, tzinfo=UTC), 0),
    )
    return replace(made, **changes)


def signed() -> Reading:
    when = datetime(2026, 1, 3, tzinfo=UTC)
    return reading(status=Status.SIGNED, signed_by="Dr A. Reader", signed_at=when)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reading.json"
    path.write_text(dumps(reading()), "utf-8")
    return path


def test_a_radiologist_sees_the_draft_marked_as_one(sagittal: Any, file: Path) -> None:
    ran = sagittal("render", file)
    assert ran.code == 0 and DRAFTED in ran.out and "Nodule." in ran.out
    document = sagittal("render", file, "--json").json
    assert [s["name"] for s in document["sections"]] == list(SECTIONS)


@pytest.mark.parametrize("audience", ["clinician", "patient"])
def test_nobody_else_sees_it_unsigned(sagittal: Any, file: Path, audience: str) -> None:
    ran = sagittal("render", file, "--audience", audience)
    assert (ran.code, ran.out) == (3, "") and "unsigned" in ran.err
    refusal = sagittal("render", file, "--audience", audience, "--json")
    assert refusal.code == 3 and refusal.json["wanted"] == "signed"


@pytest.mark.parametrize("audience", ["clinician", "patient"])
def test_a_preview_is_stamped_on_every_section(sagittal: Any, file: Path, audience: str) -> None:
    ran = sagittal("render", file, "--audience", audience, "--preview")
    assert ran.code == 0 and ran.out.startswith(PREVIEW)
    shown = sagittal("render", file, "--audience", audience, "--preview", "--json").json["sections"]
    assert ran.out.count(PREVIEW) == 1 + len(shown) and len(shown) >= 5


def test_signed_readings_go_out_and_say_what_they_are_not(sagittal: Any, tmp_path: Path) -> None:
    path = tmp_path / "signed.json"
    path.write_text(dumps(signed()), "utf-8")
    clinician = sagittal("render", path, "--audience", "clinician")
    assert clinician.code == 0 and PREVIEW not in clinician.out and "Dr A. Reader" in clinician.out
    assert "small round spot" in sagittal("render", path, "--audience", "patient").out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--language", "xx"], "one of en, de"),
        (["--audience", "press"], "radiologist, clinician, patient"),
        (["--style", "poem"], "narrative, structured, bullet, impression"),
    ],
)
def test_what_is_not_there_lists_what_is(sagittal: Any, file: Path, options: list[str], said: str) -> None:
    ran = sagittal("render", file, *options)
    assert (ran.code, ran.out) == (2, "") and said in ran.err and ran.err.count("\n") == 1


def test_a_file_that_is_no_reading_is_one_line(sagittal: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in ("", "{}", "[1]", '{"uid": 3}', "not json"):
        path.write_text(text, "utf-8")
        ran = sagittal("render", path)
        assert (ran.code, ran.out) == (2, "") and ran.err.count("\n") == 1


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_language_is_one_option(sagittal: Any, tmp_path: Path, audience: str) -> None:
    path = tmp_path / "signed.json"
    path.write_text(dumps(signed()), "utf-8")
    for code in languages():
        ran = sagittal("render", path, "--language", code, "--audience", audience)
        name = names(code)["nodule"]
        assert ran.code == 0
        assert (name.lay if audience == "patient" else name.term).lower() in ran.out.lower()
        # Patients read who signed in words of their own; the others read the disclosure of the language.
        assert (say("research", code) in ran.out) == (audience != "patient") and "Dr A. Reader" in ran.out


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_one_option(sagittal: Any, tmp_path: Path, style: str) -> None:
    path = tmp_path / "signed.json"
    path.write_text(dumps(signed()), "utf-8")
    for audience in AUDIENCES:
        document = sagittal("render", path, "--style", style, "--audience", audience, "--json").json
        assert (document["language"], document["audience"]) == ("en", audience)
        named = {
            uid for section in document["sections"] for s in section["sentences"] for uid in s["findings"]
        }
        assert named == {"2.25.2"}


@pytest.mark.parametrize("audience", AUDIENCES)
def test_an_unknown_observation_is_one_line(sagittal: Any, tmp_path: Path, audience: str) -> None:
    path = tmp_path / "unknown.json"
    path.write_text(dumps(reading()).replace('"key": "nodule"', '"key": "unicorn"'), "utf-8")
    text = tmp_path / "report.txt"
    text.write_text("FINDINGS: No nodule.", "utf-8")
    for style in STYLES:
        for code in languages():
            options = ("--style", style, "--audience", audience, "--language", code, "--preview")
            ran = sagittal("render", path, *options)
            assert (ran.code, ran.out) == (2, "") and "unicorn" in ran.err and ran.err.count("\n") == 1
    for verb in (("check", text, "--against", path), ("score", path, text), ("score", text, path)):
        ran = sagittal(*verb)
        assert (ran.code, ran.out) == (2, "") and "unicorn" in ran.err and ran.err.count("\n") == 1


def test_a_draft_drawn_up_again_says_why(sagittal: Any, tmp_path: Path) -> None:
    path = tmp_path / "reading.json"
    other = Finding(concept("pneumothorax"), tracking_uid="2.25.2")
    path.write_text(dumps(reading(findings=(other,))), "utf-8")
    ran = sagittal("render", path)
    assert ran.code == 0 and "Pneumothorax." in ran.out and "Nodule" not in ran.out
    assert "drawn up again" in ran.err and ran.err.count("\n") == 1
    path.write_text(dumps(replace(signed(), findings=(other,))), "utf-8")
    ran = sagittal("render", path)
    assert (ran.code, ran.out) == (2, "") and "signed report" in ran.err and ran.err.count("\n") == 1

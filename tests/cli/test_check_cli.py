"""`sagittal check`: a line a problem, one JSON document, and evidence from a reading or a parsed report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sagittal.report.codec import dumps
from sagittal.report.parse import parse
from sagittal.report.reading import (
    Provenance,
    Reading,
    SeriesSummary,
    Status,
    StudySummary,
)
from sagittal.report.report import Report

CLEAN = "FINDINGS: Small left pleural effusion. 8 mm nodule in the right upper lobe. No pneumothorax."


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.txt"
    path.write_text(CLEAN, "utf-8")
    return path


@pytest.fixture
def reading(tmp_path: Path) -> Path:
    from datetime import UTC, datetime

    series = SeriesSummary("1.2.1", "DX", "Chest PA", (64, 64), None, "stated", "arbitrary")
    study = StudySummary("1.2", "P1", sex="F", age_years=60.0, series=(series,))
    made = Provenance(datetime(2026, 1, 1, tzinfo=UTC), 0)
    whole = Reading("r1", Status.DRAFT, study, (), (), tuple(parse(CLEAN)), (), Report(), made)
    path = tmp_path / "reading.json"
    path.write_text(dumps(whole), "utf-8")
    return path


def test_a_report_that_agrees(sagittal: Any, report: Path, reading: Path) -> None:
    ran = sagittal("check", report, "--against", reading)
    assert (ran.code, ran.err) == (0, "")
    errors = [line for line in ran.out.splitlines() if line.startswith("error")]
    assert errors == [] and ran.out.splitlines()[-1].startswith("0 errors")


def test_a_line_a_problem_with_its_words(sagittal: Any, report: Path, reading: Path) -> None:
    draft = CLEAN.replace("left", "right").replace("effusion", "effussion") + "\nThe prostate is normal."
    report.write_text(draft, "utf-8")
    ran = sagittal("check", report, "--against", reading)
    assert ran.code == 0
    told = [line for line in ran.out.splitlines() if line.startswith("error")]
    assert any("spelling" in line and "“effussion”" in line and "“effusion”?" in line for line in told)
    assert any("line 2" in line and "“prostate”: the patient is female" in line for line in told)


def test_json_is_one_document_whose_spans_fit(sagittal: Any, report: Path, reading: Path) -> None:
    draft = CLEAN.replace("8 mm", "8 cm")
    report.write_text(draft, "utf-8")
    ran = sagittal("check", report, "--against", reading, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert set(ran.json) == {"report", "against", "counts", "spelling_checked", "problems"}
    (size,) = [p for p in ran.json["problems"] if p["kind"] == "size"]
    start, end = size["span"]
    assert draft[start:end] == size["text"] == "8 cm nodule in the right upper lobe."
    assert size["severity"] == "error" and size["error_type"] == "other"
    assert ran.json["counts"]["error"] == sum(p["severity"] == "error" for p in ran.json["problems"])


def test_what_parse_wrote_is_evidence(sagittal: Any, report: Path, tmp_path: Path) -> None:
    ran = sagittal("parse", report, "--json")
    evidence = tmp_path / "findings.json"
    evidence.write_text(ran.out, "utf-8")
    report.write_text(CLEAN.replace("Small left pleural effusion. ", ""), "utf-8")
    ran = sagittal("check", report, "--against", evidence, "--json")
    (missing,) = [p for p in ran.json["problems"] if p["severity"] == "error"]
    assert (missing["kind"], missing["finding"]["observation"]["key"]) == ("omission", "pleural_effusion")


def test_without_evidence_the_text_alone(sagittal: Any, report: Path) -> None:
    ran = sagittal("check", report, "--json")
    assert ran.code == 0 and ran.json["against"] is None and ran.json["counts"]["error"] == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.json", None, "cannot be read"),
        ("text.json", "no JSON", "is not JSON"),
        ("list.json", "[1, 2]", "holds no findings"),
        ("odd.json", json.dumps({"findings": [{"observation": 1}]}), "findings"),
        ("deep.json", "[" * 100_000, "is not JSON"),
    ],
)
def test_evidence_that_is_none(
    sagittal: Any, report: Path, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content, "utf-8")
    ran = sagittal("check", report, "--against", path, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1 and said in ran.err


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"])
def test_a_report_that_is_none(sagittal: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(content)
    ran = sagittal("check", path)
    assert (ran.code, ran.out) == (2, "") and len(ran.err.splitlines()) == 1


def test_an_unknown_language(sagittal: Any, report: Path) -> None:
    ran = sagittal("check", report, "--language", "xx")
    assert ran.code == 2 and "xx" in ran.err

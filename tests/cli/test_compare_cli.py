"""`sagittal compare`: a table for people, one document for programs, and what it will not compare."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from sagittal.report.codec import dumps
from sagittal.report.compare import BTS, FLEISCHNER, LUNG_RADS, UNNAMED, UNTOLD
from sagittal.report.draft import draft
from sagittal.report.finding import Evidence, Finding, Laterality, Measurement, Presence, Severity
from sagittal.report.phrasebook import say
from sagittal.report.reading import Provenance, Reading, Status, StudySummary
from sagittal.report.vocabulary import concept, site

THEN, NOW = date(2025, 1, 2), date(2026, 1, 2)


def nodule(*mm: float, uid: str, x: float | None = None, ml: float | None = None) -> Finding:
    sizes = [Measurement("diameter", mm, "mm")]
    sizes += [Measurement("volume", (ml,), "mL")] if ml is not None else []
    box = None if x is None else Evidence("1", box_mm=(x - 4, -4, -4, x + 4, 4, 4))
    lobe = site("upper_lobe").concept
    return Finding(
        concept("nodule"),
        site=lobe,
        laterality=Laterality.RIGHT,
        measurements=tuple(sizes),
        tracking_uid=uid,
        evidence=box,
    )


def effusion(grade: Severity) -> Finding:
    return Finding(concept("pleural_effusion"), laterality=Laterality.LEFT, severity=grade, tracking_uid="e")


def reading(day: date | None, *findings: Finding, patient: str = "P1", **changes: Any) -> Reading:
    study = StudySummary(f"1.2.{day}", patient, day)
    when = datetime(2026, 1, 2, tzinfo=UTC)
    made = Reading(
        f"2.25.{day}", Status.DRAFT, study, (), (), findings, (), draft(study, findings), Provenance(when, 0)
    )
    return replace(made, **changes)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Write two readings; returns their paths."""

    def write(before: Reading, now: Reading) -> tuple[Path, Path]:
        paths = tmp_path / "prior.json", tmp_path / "current.json"
        for path, one in zip(paths, (before, now), strict=True):
            path.write_text(dumps(one), "utf-8")
        return paths

    return write


GONE = Finding(concept("pneumothorax"), presence=Presence.ABSENT, tracking_uid="none")
PRIOR = (
    nodule(6.0, 4.0, uid="a"),
    effusion(Severity.MILD),
    Finding(concept("pneumothorax"), laterality=Laterality.RIGHT, tracking_uid="p"),
    Finding(concept("lymphadenopathy"), tracking_uid="l"),
)
CURRENT = (
    nodule(9.0, 6.0, uid="b"),
    effusion(Severity.SEVERE),
    GONE,
    Finding(concept("mass"), measurements=(Measurement("diameter", (4.1,), "cm"),), tracking_uid="m"),
)


def test_the_table_has_size_and_date_of_both_change_and_criterion(sagittal: Any, written: Any) -> None:
    ran = sagittal("compare", *written(reading(THEN, *PRIOR), reading(NOW, *CURRENT)))
    assert ran.code == 0 and ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0] == "2025-01-02 (draft) -> 2026-01-02 (draft)" and say("drafted", "en") in ran.out
    (head,) = [line for line in lines if line.startswith("lesion")]
    start = [head.index(word) for word in ("lesion", "prior", "current", "change", "criterion")]
    ends = [*start[1:], None]
    rows = {
        tuple(line[a:b].strip() for a, b in zip(start, ends, strict=True))
        for line in lines[lines.index(head) + 2 : lines.index("", lines.index(head))]
    }
    assert {row[1:] for row in rows} == {
        ("6 x 4 mm (2025-01-02)", "9 x 6 mm (2026-01-02)", "larger", FLEISCHNER),
        ("mild (2025-01-02)", "severe (2026-01-02)", "larger", "category of mild, moderate or severe"),
        ("-", "4.1 cm (2026-01-02)", "not comparable", UNTOLD),
        ("size not stated (2025-01-02)", "-", "resolved", "present at one date only"),
        ("size not stated (2025-01-02)", "-", "not comparable", UNNAMED),
    }
    assert any("upper lobe" in row[0] for row in rows)
    assert "RECIST 1.1 needs a designated baseline" in ran.out


def test_one_json_document(sagittal: Any, written: Any) -> None:
    document = sagittal("compare", *written(reading(THEN, *PRIOR), reading(NOW, *CURRENT)), "--json").json
    assert document["prior"]["date"] == "2025-01-02" and document["current"]["status"] == "draft"
    by_key = {row["observation"]: row for row in document["lesions"]}
    assert by_key["nodule"] | {"lesion": ""} == {
        "lesion": "",
        "observation": "nodule",
        "tracking_uid": "a",
        "prior": by_key["nodule"]["prior"],
        "current": by_key["nodule"]["current"],
        "change": "larger",
        "criterion": FLEISCHNER,
    }
    assert by_key["nodule"]["prior"]["measurements"][0]["values"] == [6.0, 4.0]
    assert by_key["lymphadenopathy"]["change"] == "not comparable"
    (found,) = [f for f in document["findings"] if f["observation"]["key"] == "nodule"]
    assert found["change"]["prior"]["values"] == [6.0, 4.0]


@pytest.mark.parametrize(
    ("rule", "kind", "criterion"),
    [("fleischner", "stable", FLEISCHNER), ("lung-rads", "larger", LUNG_RADS), ("bts", "smaller", BTS)],
)
def test_the_rule_for_nodules_is_chosen_by_name(
    sagittal: Any, written: Any, rule: str, kind: str, criterion: str
) -> None:
    paths = written(reading(THEN, nodule(6.0, uid="a", ml=0.4)), reading(NOW, nodule(7.6, uid="a", ml=0.3)))
    (row,) = sagittal("compare", *paths, "--nodules", rule, "--json").json["lesions"]
    assert (row["change"], row["criterion"]) == (kind, criterion)


def test_a_registration_pairs_what_looks_alike(sagittal: Any, written: Any, tmp_path: Path) -> None:
    paths = written(
        reading(THEN, nodule(6.0, uid="a", x=0.0), nodule(8.0, uid="b", x=50.0)),
        reading(NOW, nodule(12.0, uid="x", x=150.0), nodule(6.0, uid="y", x=100.0)),
    )
    matrix = tmp_path / "matrix.json"
    matrix.write_text(json.dumps([[1, 0, 0, 100], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    rows = sagittal("compare", *paths, "--registration", matrix, "--json").json["lesions"]
    assert [(row["tracking_uid"], row["change"]) for row in rows] == [("b", "larger"), ("a", "stable")]
    assert {r["change"] for r in sagittal("compare", *paths, "--json").json["lesions"]} == {"not comparable"}


def test_a_folder_does_for_the_file_it_holds(sagittal: Any, written: Any, tmp_path: Path) -> None:
    _, current = written(reading(THEN), reading(NOW, nodule(9.0, uid="b")))
    folder = tmp_path / "read"
    folder.mkdir()
    (folder / "reading.json").write_text(dumps(reading(THEN, nodule(6.0, uid="a"))), "utf-8")
    assert "larger" in sagittal("compare", folder, current).out


def test_nothing_to_compare_is_said(sagittal: Any, written: Any) -> None:
    ran = sagittal("compare", *written(reading(THEN), reading(NOW, GONE)))
    assert ran.code == 0 and "Nothing to compare" in ran.out


def test_a_later_prior_and_dates_that_are_missing(sagittal: Any, written: Any) -> None:
    one, two = reading(NOW, nodule(6.0, uid="a")), reading(THEN, nodule(9.0, uid="a"))
    rows = sagittal("compare", *written(one, two), "--json").json["lesions"]
    assert {row["change"] for row in rows} == {"not comparable"}
    small, large = nodule(6.0, uid="a"), nodule(9.0, uid="a")
    for dates, said in (((None, NOW), "earlier"), ((THEN, None), "later")):
        ran = sagittal("compare", *written(reading(dates[0], small), reading(dates[1], large)))
        assert (ran.code, ran.out) == (2, "") and f"the {said} reading's study has no date" in ran.err
        assert ran.err.count("\n") == 1


BAD: list[tuple[dict[str, Any], list[str], int, str]] = [
    ({"patient": "P2"}, [], 2, "different patients"),
    ({"study": StudySummary("1.2.2026-01-02", "P1", THEN)}, [], 2, "same study"),
    ({"status": Status.REFUSED}, [], 3, "refused"),
    ({}, ["--nodules", "guess"], 2, "fleischner, lung-rads, bts"),
    ({}, ["--registration", "none.json"], 2, "cannot be read"),
    ({}, ["--registration", "words.json"], 2, "not JSON"),
    ({}, ["--registration", "small.json"], 2, "4 rows of 4 numbers"),
]


@pytest.mark.parametrize(("changes", "options", "code", "said"), BAD)
def test_what_is_not_compared(
    sagittal: Any,
    written: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    options: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.json").write_text("not a matrix")
    (tmp_path / "small.json").write_text("[[1, 0], [0, 1]]")
    paths = written(reading(THEN, nodule(6.0, uid="a"), **changes), reading(NOW, nodule(6.0, uid="a")))
    ran = sagittal("compare", *paths, *options)
    assert (ran.code, ran.out) == (code, "") and said in ran.err and len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["empty", "none.json", "words.json", "list.json", "strange.json", "site.json", "endless.json"]
)
def test_what_is_no_reading(sagittal: Any, written: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.json").write_text("hello")
    (tmp_path / "list.json").write_text("[]")
    prior, current = written(reading(THEN), reading(NOW, nodule(6.0, uid="a")))
    strange = current.read_text("utf-8").replace('"key": "nodule"', '"key": "chupacabra"')
    (tmp_path / "strange.json").write_text(strange, "utf-8")
    site_less = current.read_text("utf-8").replace('"key": "upper_lobe"', '"key": "atlantis"')
    (tmp_path / "site.json").write_text(site_less, "utf-8")
    (tmp_path / "endless.json").write_text(current.read_text("utf-8").replace(" 6.0", " Infinity"), "utf-8")
    for pair in ((tmp_path / name, current), (prior, tmp_path / name)):
        ran = sagittal("compare", *pair)
        assert (ran.code, ran.out) == (2, "") and len(ran.err.splitlines()) == 1

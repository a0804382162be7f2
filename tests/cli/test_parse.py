"""`sagittal parse`: a report or a table of them, one JSON line a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def test_a_report_is_one_document(sagittal: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("FINDINGS: 8 mm nodule in the right upper lobe. No effusion. Bones intact.", "utf-8")
    ran = sagittal("parse", report, "--json", "--labels", "chexpert14")
    assert (ran.code, ran.err) == (0, "")
    remarks = {"language", "limitations", "recommendations", "priors"}
    assert set(ran.json) == {"row", "findings", "labels", "unparsed"} | remarks
    first = ran.json["findings"][0]
    assert first["observation"]["key"] == "nodule" and first["laterality"] == "right"
    assert first["measurements"][0]["values"] == [8.0]
    assert ran.json["labels"]["Lung Lesion"] == 1 and ran.json["labels"]["Pleural Effusion"] == 0
    text = report.read_text("utf-8")
    assert [text[slice(*span)] for span in ran.json["unparsed"]] == ["Bones intact."]


def test_remarks_and_priors_are_of_the_line(sagittal: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    text = "COMPARISON: 12 March 2024\nFINDINGS: Motion artifact. No follow-up is needed. CT in 6-12 months."
    report.write_text(text + "\nRECOMMENDATION: MRI in 2 weeks.", "utf-8")
    said = sagittal("parse", report, "--json").json
    assert said["priors"] == [{"span": [12, 25], "day": "2024-03-12"}]
    assert [r["key"] for r in said["limitations"]] == ["motion"]
    first, ahead, second = said["recommendations"]
    assert (first["key"], first["denied"], first["interval"]) == ("follow_up", True, None)
    assert (ahead["key"], ahead["interval"]) == ("ct", {"low": 6, "high": 12, "unit": "mo"})
    assert (second["key"], second["denied"]) == ("mr", False)
    assert second["interval"] == {"low": 2, "high": 2, "unit": "wk"}


def test_a_table_is_one_line_a_row_in_order(sagittal: Any, tmp_path: Path) -> None:
    table = tmp_path / "reports.csv"
    table.write_text('id,text\n1,"Nodule, 8 mm."\n2,\n3,"No\nnodule."\n', "utf-8")
    out = tmp_path / "out.jsonl"
    ran = sagittal("parse", table, "--column", "text", "--out", out, "--json")
    assert ran.code == 0 and ran.json["reports"] == 3
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["row"] for line in lines] == [0, 1, 2]
    assert [len(line["findings"]) for line in lines] == [1, 0, 1]
    assert lines[2]["findings"][0]["presence"] == "absent" and lines[0]["labels"] == {}
    assert list(tmp_path.glob(".partial*")) == []


def test_an_empty_row_has_no_labels(sagittal: Any, tmp_path: Path) -> None:
    table = tmp_path / "reports.csv"
    table.write_text('id,text\n1,\n2," - "\n3,No consolidation.\n4,Kein Pneumothorax.\n', "utf-8")
    lines = sagittal("parse", table, "--column", "text", "--labels", "chexpert14", "--json").json
    labels = [line["labels"] and line["labels"]["No Finding"] for line in lines]
    assert labels == [None, None, 1, 1]
    assert [line["language"] for line in lines] == ["en", "en", "en", "de"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.txt"], "cannot be read"),
        (["table.csv"], "needs --column"),
        (["table.csv", "--column", "report"], "has no column 'report'"),
        (["binary.txt"], "is not text"),
        (["report.txt", "--labels", "mine"], "is not a label set"),
        (["report.txt", "--out", "no/such/folder/x.jsonl"], "cannot be written"),
        (["."], "cannot be read"),
    ],
)
def test_bad_input_is_one_line(sagittal: Any, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "table.csv").write_text("id,text\n1,Nodule.\n", "utf-8")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00nodule")
    (tmp_path / "report.txt").write_text("Nodule.", "utf-8")
    before = sorted(tmp_path.iterdir())
    given = [str(tmp_path / a) if i == 0 or a.endswith(".jsonl") else a for i, a in enumerate(arguments)]
    ran = sagittal("parse", *given, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err and ran.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_an_html_report_says_what_its_spans_refer_to(sagittal: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>FINDINGS: <b>Nodule</b> &lt; 5&nbsp;mm.</p><p>Hello there.</p>", "utf-8")
    ran = sagittal("parse", report, "--json")
    assert ran.code == 0 and "HTML" in ran.err and ran.err.count("\n") == 1
    text = ran.json["text"]
    assert text == "FINDINGS: Nodule < 5 mm.\nHello there."
    assert [text[slice(*span)] for span in ran.json["unparsed"]] == ["Hello there."]
    assert "Nodule" in text[slice(*ran.json["findings"][0]["evidence"]["span"])]
    assert sagittal("parse", report, "--json", "--quiet").err == ""


def test_a_guessed_encoding_is_said_once_a_file(sagittal: Any, tmp_path: Path) -> None:
    table = tmp_path / "reports.csv"
    table.write_bytes("text\nDépôt. No effusion.\nNo effusion.\n".encode("cp1252"))
    ran = sagittal("parse", table, "--column", "text", "--json", "--language", "en")
    assert ran.code == 0 and len(ran.json) == 2
    assert "Windows-1252" in ran.err and ran.err.count("\n") == 1


def test_a_cell_with_unseen_characters_comes_with_its_text(sagittal: Any, tmp_path: Path) -> None:
    table = tmp_path / "reports.csv"
    table.write_text('text\n"pneumo\u200bthorax"\n"No\x07 effusion.\r\nx"\n', "utf-8", newline="")
    ran = sagittal("parse", table, "--column", "text", "--json", "--language", "en")
    assert ran.json[0]["text"] == "pneumothorax"
    assert ran.json[0]["findings"][0]["observation"]["key"] == "pneumothorax"
    assert "text" not in ran.json[1] and ran.json[1]["findings"][0]["presence"] == "absent"


@pytest.mark.parametrize("data", [b"", b"  \n", b"\x89PNG\r\n\x1a\n" + bytes(40), b"%PDF-1.7 x"])
def test_no_report_is_bad_input(sagittal: Any, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "r.txt").write_bytes(data)
    ran = sagittal("parse", tmp_path / "r.txt", "--json")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)


def test_an_unknown_language_is_bad_input(sagittal: Any, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("No effusion.", "utf-8")
    ran = sagittal("parse", tmp_path / "r.txt", "--json", "--language", "xx")
    assert (ran.code, ran.out) == (2, "") and "xx" in ran.err


@pytest.mark.parametrize("workers", [2, 3])
def test_processes_change_nothing(sagittal: Any, tmp_path: Path, workers: int) -> None:
    rows = "".join(f'"{i} mm nodule. No effusion."\n' for i in range(1, 300))
    (tmp_path / "reports.csv").write_text("text\n" + rows, "utf-8")
    for n in (1, workers):
        given = ("--column", "text", "--out", tmp_path / f"{n}.jsonl", "--workers", n, "--json")
        assert sagittal("parse", tmp_path / "reports.csv", *given).json["reports"] == 299
    one, many = ((tmp_path / f"{n}.jsonl").read_bytes() for n in (1, workers))
    assert one == many and [json.loads(x)["row"] for x in one.splitlines()] == list(range(299))


def test_a_table_broken_far_down_leaves_nothing_behind(sagittal: Any, tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text("text\n" + "Nodule.\n" * 500 + '"open\n', "utf-8")
    out = tmp_path / "out.jsonl"
    ran = sagittal("parse", tmp_path / "reports.csv", "--column", "text", "--out", out, "--workers", 2)
    assert (ran.code, ran.out) == (2, "") and "not a CSV" in ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["reports.csv"]

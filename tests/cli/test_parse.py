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
    assert set(ran.json) == {"row", "findings", "labels", "unparsed"}
    first = ran.json["findings"][0]
    assert first["observation"]["key"] == "nodule" and first["laterality"] == "right"
    assert first["measurements"][0]["values"] == [8.0]
    assert ran.json["labels"]["Lung Lesion"] == 1 and ran.json["labels"]["Pleural Effusion"] == 0
    text = report.read_text("utf-8")
    assert [text[slice(*span)] for span in ran.json["unparsed"]] == ["Bones intact."]


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.txt"], "cannot be read"),
        (["table.csv"], "needs --column"),
        (["table.csv", "--column", "report"], "has no column 'report'"),
        (["binary.txt"], "is not UTF-8"),
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

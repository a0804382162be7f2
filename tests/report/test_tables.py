"""Reports from files: every form, and one clear error for each way a file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sagittal.errors import BadInput
from sagittal.report.codec import dumps, to_json
from sagittal.report.parse import parse_document
from sagittal.report.tables import read

TEXT = "Right pleural effusion."


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_folder_of_texts(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", TEXT)
    write(tmp_path / "a.txt", "Normal.")
    write(tmp_path / "notes.md", "not a report")
    table = read(tmp_path)
    assert {key: said.text for key, said in table.reports.items()} == {"a": "Normal.", "b": TEXT}


def test_a_csv_with_ids_and_patients_and_one_without(tmp_path: Path) -> None:
    named = write(tmp_path / "n.csv", 'study,who,say\ns1,p1,"Right pleural\neffusion."\ns2,,Normal.\n')
    table = read(named, column="say", id_column="study", patient_column="who")
    assert list(table.reports) == ["s1", "s2"]
    assert table.patients == {"s1": "p1"}
    assert table.reports["s1"].text == "Right pleural\neffusion."
    bare = read(write(tmp_path / "b.csv", f"text\n{TEXT}\nNormal.\n"))
    assert list(bare.reports) == ["0", "1"]
    usual = read(write(tmp_path / "u.csv", f"\ufeffid,patient,report\n7,p,{TEXT}\n"))
    assert (list(usual.reports), usual.patients) == (["7"], {"7": "p"})


def test_json_lines_with_texts_findings_or_what_parse_wrote(tmp_path: Path) -> None:
    findings = to_json(parse_document(TEXT, "en").findings)
    lines = [
        {"id": 1, "text": TEXT, "patient": 4},
        {"row": 2, "findings": findings, "labels": {}, "unparsed": []},
        {"id": "both", "text": "A line\u2028separator.", "findings": []},
    ]
    table = read(
        write(
            tmp_path / "x.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n\n"
        ),
        language="en",
    )
    assert list(table.reports) == ["1", "2", "both"]
    assert table.patients == {"1": "4"}
    first, second, third = table.reports.values()
    assert first.findings == second.findings
    assert (second.text, third.findings) == (None, ())


def test_a_reading_and_a_plain_text_are_one_report(tmp_path: Path, reading: Any) -> None:
    table = read(write(tmp_path / "r.json", dumps(reading)))
    assert table.reports["0"].findings == reading.findings
    assert read(write(tmp_path / "r.txt", TEXT)).reports["0"].text == TEXT


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("none.csv", None, {}, "cannot be read"),
        ("a.csv", "words\nx\n", {}, "needs --column; expected one of words"),
        ("a.csv", "", {}, "needs --column; expected one of its columns, but it has none"),
        ("a.csv", "text\nx\n", {"column": "say"}, "no column 'say'; expected one of text"),
        ("a.csv", "text\nx\n", {"id_column": "study"}, "no column 'study'"),
        ("a.csv", "id,text\n1,x\n1,y\n", {}, "the id '1' twice"),
        ("a.csv", "text\n", {}, "holds no report"),
        ("a.csv", 'text\n"x\n', {}, "is not a CSV"),
        ("a.jsonl", "{", {}, "line 1 is not JSON"),
        ("a.jsonl", '\n{"id": 1}', {}, "line 2 has neither text nor findings"),
        ("a.jsonl", "[1]", {}, "line 1 has neither"),
        ("a.jsonl", '{"text": 3}', {}, "text is a int; expected a string"),
        ("a.jsonl", '{"findings": 3}', {}, "findings is a int"),
        ("a.jsonl", '{"findings": [{"glow": 1}]}', {}, r"findings\[0\] has the unknown key 'glow'"),
        ("a.jsonl", '{"text": "x"}', {"column": "text"}, "no CSV and has no column"),
        ("a.json", "{}", {}, "lacks the key"),
        ("a.txt", b"%PDF-1.4", {}, "is a PDF, not text"),
        ("a.csv", b"\x00\x01\x02\x03" * 9, {}, "binary data"),
        ("a.csv", b"\xff\xfea", {}, "broken utf-16"),
    ],
)
def test_what_is_wrong_with_a_file(
    tmp_path: Path, name: str, content: str | bytes | None, options: dict[str, str], said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput, match=said) as error:
        read(path, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_texts_of_other_encodings_and_markup_and_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Kardiomegalie, Ergu\xdf".encode("cp1252"))
    write(tmp_path / "b.txt", "<html><body><p>Right <b>pleural</b> effusion.</p></body></html>")
    write(tmp_path / "c.txt", "")
    texts = {key: said.text for key, said in read(tmp_path).reports.items()}
    assert texts["a"] == "Kardiomegalie, Erguß"
    assert " ".join((texts["b"] or "").split()) == TEXT
    assert texts["c"] == ""
    cells = read(write(tmp_path / "t.csv", f"text\n<p>{TEXT}</p>\n")).reports
    assert (cells["0"].text or "").strip() == TEXT


def test_one_empty_text_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is empty"):
        read(write(tmp_path / "empty.txt", " \n"))


def test_semicolons_of_a_spreadsheet(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", f"id;text\na;{TEXT}\nb;Clear, both sides.\n")
    assert {key: said.text for key, said in read(path).reports.items()} == {
        "a": TEXT,
        "b": "Clear, both sides.",
    }


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no report; expected NAME\.txt"):
        read(tmp_path)

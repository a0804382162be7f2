"""Reports from the files that people keep them in: folders of texts, CSV, JSON lines, readings."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sagittal.errors import BadInput
from sagittal.report import text
from sagittal.report.cases import Reported, reported
from sagittal.report.codec import from_json, read_json
from sagittal.report.finding import Finding
from sagittal.report.known import check_known
from sagittal.report.reading import Reading

MAX_BYTES = 512 * 2**20
"""Largest file that is read."""


@dataclass(frozen=True)
class Table:
    """The reports of a file or folder by id, and the patients that it names."""

    reports: dict[str, Reported]
    patients: dict[str, str]


def read(
    path: Path,
    *,
    column: str | None = None,
    id_column: str | None = None,
    patient_column: str | None = None,
    language: str | None = None,
) -> Table:
    """Reports from a file or folder.

    - a folder: each ``NAME.txt`` is the report NAME;
    - ``.csv`` (with semicolons where its first line has them and no comma): a report a row, its text in
      ``column`` ("text" or "report" where none is named); ids in
      ``id_column``, else in "id", else the rows' numbers from 0; patients likewise from "patient";
    - ``.jsonl``: an object a line with "id" (or the "row" that `sagittal parse` writes), "text" or
      "findings" or both, and perhaps "patient";
    - ``.json``: a reading; anything else: one text. Its id is "0".

    Raises:
        BadInput: it cannot be read, has no such column, names an id twice, or holds no report.
    """
    named = {"column": column, "id_column": id_column, "patient_column": patient_column}
    if path.is_dir():
        files = sorted(path.glob("*.txt"))
        table = Table({file.stem: Reported(_report(file), None, language) for file in files}, {})
    elif path.suffix.lower() == ".csv":
        table = _table(path, _csv(path, column, id_column, patient_column, language))
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        table = _table(path, _json_lines(path, language))
    elif path.suffix.lower() == ".json":
        reading = read_json(Reading, path)
        check_known(reading, str(path))
        table = Table({"0": reported(reading)}, {})
    else:
        if not _bytes(path).strip():
            raise BadInput(f"{path} is empty", "a report")
        table = Table({"0": Reported(_report(path), None, language)}, {})
    if path.suffix.lower() != ".csv" and (unused := [k for k, v in named.items() if v is not None]):
        raise BadInput(f"{path} is no CSV and has no {unused[0].replace('_', ' ')}")
    if not table.reports:
        raise BadInput(f"{path} holds no report", "NAME.txt files" if path.is_dir() else "")
    return table


Row: TypeAlias = tuple[str, str | None, Reported]
"""Id, patient, report."""


def _table(path: Path, rows: Iterator[Row]) -> Table:
    reports: dict[str, Reported] = {}
    patients: dict[str, str] = {}
    for key, patient, report in rows:
        if key in reports:
            raise BadInput(f"{path} has the id {key!r} twice", "an id for one report")
        reports[key] = report
        if patient:
            patients[key] = patient
    return Table(reports, patients)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path} is larger than {MAX_BYTES // 2**20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})", "reports") from None


def _report(path: Path) -> str:
    """One report; an empty file is one that says nothing, as a model may."""
    data = _bytes(path)
    return text.read_text(data, str(path)) if data.strip() else ""


def _text(path: Path) -> str:
    data = _bytes(path)
    encoding, _ = text.encoding_of([data], str(path))
    try:
        return data.decode(encoding, "replace" if encoding.startswith("cp") else "strict")
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not text: broken {encoding}") from None


def _csv(
    path: Path, column: str | None, id_column: str | None, patient_column: str | None, language: str | None
) -> Iterator[Row]:
    csv.field_size_limit(MAX_BYTES)
    try:
        content = _text(path)
        head = content.partition("\n")[0]
        # Spreadsheets of countries with a decimal comma write semicolons.
        mark = ";" if ";" in head and "," not in head else ","
        table = csv.DictReader(io.StringIO(content, newline=""), strict=True, delimiter=mark)
        names = list(table.fieldnames or ())
        cell = _column(path, names, column, ("text", "report"), "--column")
        key = _column(path, names, id_column, ("id", ""), "--id")
        patient = _column(path, names, patient_column, ("patient", ""), "--patient")
        for number, row in enumerate(table):
            who = row[patient] if patient else None
            yield (row[key] or "") if key else str(number), who, Reported(_cell(row[cell]), None, language)
    except csv.Error as error:
        raise BadInput(f"{path} is not a CSV ({error})") from None


def _cell(source: str | None) -> str:
    return text.from_text(source or "").text


def _column(path: Path, names: Sequence[str], wanted: str | None, usual: Sequence[str], flag: str) -> str:
    """The column of that name, or the first usual one; "" among the usual ones: it may be absent."""
    if wanted is not None and wanted not in names:
        raise BadInput(f"{path} has no column {wanted!r}", f"one of {', '.join(names[:12])}")
    found = wanted or next((name for name in usual if name in names or not name), None)
    if found is None:
        raise BadInput(
            f"{path} needs {flag}", f"one of {', '.join(names[:12]) or 'its columns, but it has none'}"
        )
    return found


def _json_lines(path: Path, language: str | None) -> Iterator[Row]:
    for number, line in enumerate(_text(path).split("\n")):
        if not line.strip():
            continue
        where = f"{path} line {number + 1}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{where} is not JSON ({error})") from None
        if not isinstance(row, dict) or not ({"text", "findings"} & set(row)):
            raise BadInput(f"{where} has neither text nor findings", '{"id": ..., "text": ...}')
        said_text, findings = row.get("text"), row.get("findings")
        if said_text is not None and not isinstance(said_text, str):
            raise BadInput(f"{where}: text is a {type(said_text).__name__}", "a string")
        given = None
        if findings is not None:
            if not isinstance(findings, list):
                raise BadInput(f"{where}: findings is a {type(findings).__name__}", "a list")
            given = tuple(from_json(Finding, f, f"{where}: findings[{i}]") for i, f in enumerate(findings))
            check_known(given, where)
        key = str(row.get("id", row.get("row", number)))
        patient = row.get("patient")
        yield (
            key,
            None if patient is None else str(patient),
            Reported(None if said_text is None else _cell(said_text), given, language),
        )

"""`sagittal parse`."""

from __future__ import annotations

import csv
import json as _json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, check_out, complain, emit, progress
from sagittal.errors import BadInput
from sagittal.report.batch import each, workers_for
from sagittal.report.codec import to_json
from sagittal.report.labels import LABEL_SETS, LabelSet, text_labels
from sagittal.report.language import language as language_of
from sagittal.report.parse import Parsed, parse_document
from sagittal.report.remarks import Remarked
from sagittal.report.text import MAX_REPORT, Plain, encoding_of, from_text, read

MAX_TABLE = 512 * 2**20
"""Largest table that is read, in bytes."""
_PIECE = 2**20


def parse(
    path: Annotated[Path, typer.Argument(help="A report (text, HTML, RTF), or a CSV with a report a row.")],
    column: Annotated[str | None, typer.Option(help="Column of the CSV that holds the text.")] = None,
    labels: Annotated[str | None, typer.Option(help="chexpert14 or ctrate18.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write JSON lines here, one a report.")] = None,
    language: Annotated[str | None, typer.Option(help="ISO 639-1 code; left out: told by the words.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; left out: the processors, at most 4.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Report text into findings.

    One JSON object a report, in order: row, language, findings, labels (null where a report is empty),
    unparsed spans, limitations, recommendations and priors. Spans are places in the
    text as it came in; where markup or unseen characters were taken off, "text" is what they refer to.
    """
    if labels is not None and labels not in LABEL_SETS:
        raise BadInput(f"--labels {labels} is not a label set", f"one of {', '.join(LABEL_SETS)}")
    if language is not None:
        language_of(language)
    if out is not None:
        check_out(out)
    reports, total = _reports(path, column, quiet=quiet)
    work = partial(json_line, label_set=labels, language=language)
    work((0, "No nodule."))  # builds the tables that forked processes then share
    lines = each(work, enumerate(reports), workers=workers or workers_for(total))
    # The first result is there before the progress bar is: its thread must not be forked.
    lines = chain(list(islice(lines, 1)), lines)
    with progress("reports", total, quiet=quiet) as advance:
        if out is not None:
            written = _write(out, _counted(lines, advance))
            emit({"out": str(out), "reports": written}, f"{written} reports: {out}", json=json)
            return
        found = list(_counted(lines, advance))
    if json and (len(found) != 1 or column is not None):
        emit(None, f"[{', '.join(found)}]", json=False)
    else:
        emit(None, "\n".join(found), json=False)


def line(
    row: int, report: Plain, label_set: LabelSet | None = None, language: str | None = None
) -> dict[str, Any]:
    """What one report says, as the object of its JSON line."""
    parsed = parse_document(report.text, language)
    said = {
        "row": row,
        "language": parsed.language,
        "findings": to_json(parsed.findings),
        "labels": _labels(report.text, label_set, parsed),
        "unparsed": to_json(parsed.unparsed),
        "limitations": [_remark(each) for each in parsed.remarks if each.remark.kind == "limitation"],
        "recommendations": [_remark(each) for each in parsed.remarks if each.remark.kind == "recommendation"],
        "priors": [{"span": [p.start, p.end], "day": p.day and p.day.isoformat()} for p in parsed.priors],
    }
    return said | {"text": report.text} if report.stripped else said


def _labels(text: str, label_set: LabelSet | None, parsed: Parsed) -> dict[str, int] | None:
    """The columns asked for; None of a report without a word, which is neither normal nor not."""
    if label_set is None:
        return {}
    return text_labels(text, label_set, parsed) if any(map(str.isalnum, text)) else None


def _remark(said: Remarked) -> dict[str, Any]:
    row = {
        "key": said.remark.key,
        "meaning": said.remark.meaning,
        "span": [said.start, said.end],
        "denied": said.denied,
    }
    return row | ({"interval": to_json(said.interval)} if said.remark.kind == "recommendation" else {})


def json_line(
    numbered: tuple[int, Plain | str], label_set: LabelSet | None = None, language: str | None = None
) -> str:
    """`line` of a row and its report, as JSON text."""
    row, report = numbered
    plain = from_text(report) if isinstance(report, str) else report
    return _json.dumps(line(row, plain, label_set, language), ensure_ascii=False, allow_nan=False)


def _counted(lines: Iterable[str], advance: Callable[[int], None]) -> Iterator[str]:
    for one in lines:
        advance(1)
        yield one


def _reports(path: Path, column: str | None, *, quiet: bool) -> tuple[Iterable[Plain | str], int]:
    """The reports of a file, and how many: a table's rows, or the file itself."""
    table = path.suffix.lower() == ".csv" or column is not None
    most, kind = (MAX_TABLE, "a CSV") if table else (MAX_REPORT, "one report")
    try:
        if path.stat().st_size > most:
            raise BadInput(f"{path} is larger than {most // 2**20} MiB", kind)
        if table:
            return _rows(path, column, quiet=quiet)
        plain = read(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})", "a text file or a CSV") from None
    for note in () if quiet else plain.notes:
        complain(note if str(path) in note else f"{path}: {note}")
    return [plain], 1


def _rows(path: Path, column: str | None, *, quiet: bool) -> tuple[Iterator[str], int]:
    """The column's cells, drawn from the file as they are needed, and their number."""
    with path.open("rb") as stream:
        encoding, note = encoding_of(iter(lambda: stream.read(_PIECE), b""), str(path))
    if note and not quiet:
        complain(note)
    csv.field_size_limit(MAX_REPORT)
    total = sum(1 for _ in _cells(path, encoding, column))
    return _cells(path, encoding, column), total


def _cells(path: Path, encoding: str, column: str | None) -> Iterator[str]:
    errors = "replace" if encoding.startswith("cp") else "strict"
    try:
        with path.open(encoding=encoding, errors=errors, newline="") as stream:
            table = csv.DictReader(stream, strict=True)
            names = list(table.fieldnames or ())
            if column is None or column not in names:
                what = f"{path} needs --column" if column is None else f"{path} has no column {column!r}"
                raise BadInput(what, f"one of {', '.join(names[:12]) or 'its columns, but it has none'}")
            for row in table:
                yield row[column] or ""
    except csv.Error as error:
        raise BadInput(f"{path} is not a CSV ({error})") from None
    except UnicodeError:
        raise BadInput(f"{path} is not text: broken {encoding}", "a CSV in UTF-8") from None


def _write(out: Path, lines: Iterable[str]) -> int:
    """Write the lines; returns how many."""
    try:
        # Beside the target and moved into place, so that nothing half-written is ever seen.
        handle, partial_file = tempfile.mkstemp(dir=out.parent, prefix=".partial-")
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror})") from None
    written = 0
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            for one in lines:
                stream.write(one + "\n")
                written += 1
        os.chmod(partial_file, 0o644)
        os.replace(partial_file, out)
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror})") from None
    finally:
        Path(partial_file).unlink(missing_ok=True)
    return written

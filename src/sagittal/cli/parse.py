"""`sagittal parse`."""

from __future__ import annotations

import csv
import io
import json as _json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, check_out, emit, progress
from sagittal.errors import BadInput
from sagittal.report.codec import to_json
from sagittal.report.labels import LABEL_SETS, LabelSet, text_labels
from sagittal.report.parse import parse_document

MAX_BYTES = 512 * 2**20
"""Largest text or table that is read."""


def parse(
    path: Annotated[Path, typer.Argument(help="A report as text, or a CSV with a report a row.")],
    column: Annotated[str | None, typer.Option(help="Column of the CSV that holds the text.")] = None,
    labels: Annotated[str | None, typer.Option(help="chexpert14 or ctrate18.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write JSON lines here, one a report.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Report text into findings.

    One JSON object a report, in order: row, findings, labels, unparsed spans.
    """
    if labels is not None and labels not in LABEL_SETS:
        raise BadInput(f"--labels {labels} is not a label set", f"one of {', '.join(LABEL_SETS)}")
    if out is not None:
        check_out(out)
    text = _read(path)
    texts = _rows(path, text, column) if path.suffix.lower() == ".csv" or column else [text]
    with progress("reports", len(texts), quiet=quiet) as advance:
        lines = []
        for row, one in enumerate(texts):
            lines.append(line(row, one, labels))
            advance(1)
    if out is not None:
        _write(out, lines)
        emit({"out": str(out), "reports": len(lines)}, f"{len(lines)} reports: {out}", json=json)
    elif json:
        emit(lines[0] if len(lines) == 1 and column is None else lines, "", json=True)
    else:
        emit(None, "\n".join(_json.dumps(one, ensure_ascii=False) for one in lines), json=False)


def line(row: int, text: str, label_set: LabelSet | None = None) -> dict[str, Any]:
    """What one report says, as the object of its JSON line."""
    parsed = parse_document(text)
    return {
        "row": row,
        "findings": to_json(parsed.findings),
        "labels": text_labels(text, label_set) if label_set else {},
        "unparsed": to_json(parsed.unparsed),
    }


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path} is larger than {MAX_BYTES // 2**20} MiB")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})", "a text file or a CSV") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text", "a text file or a CSV in UTF-8") from None


def _rows(path: Path, text: str, column: str | None) -> list[str]:
    csv.field_size_limit(MAX_BYTES)
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        names = list(table.fieldnames or ())
        if column is None or column not in names:
            what = f"{path} needs --column" if column is None else f"{path} has no column {column!r}"
            raise BadInput(what, f"one of {', '.join(names[:12]) or 'its columns, but it has none'}")
        return list(_values(table, column))
    except csv.Error as error:
        raise BadInput(f"{path} is not a CSV ({error})") from None


def _values(table: csv.DictReader[str], column: str) -> Iterator[str]:
    for row in table:
        yield row[column] or ""


def _write(out: Path, lines: list[dict[str, Any]]) -> None:
    try:
        # Beside the target and moved into place, so that nothing half-written is ever seen.
        handle, partial = tempfile.mkstemp(dir=out.parent, prefix=".partial-")
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror})") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(_json.dumps(one, ensure_ascii=False) + "\n" for one in lines)
        os.chmod(partial, 0o644)
        os.replace(partial, out)
    except OSError as error:
        Path(partial).unlink(missing_ok=True)
        raise BadInput(f"{out} cannot be written ({error.strerror})") from None

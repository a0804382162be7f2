"""`sagittal compare`."""

from __future__ import annotations

import json as _json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, emit
from sagittal.errors import BadInput, Refused
from sagittal.report.codec import read_json, to_json
from sagittal.report.compare import RULES, Compared, compared
from sagittal.report.disclosure import disclosure
from sagittal.report.draft import mention
from sagittal.report.finding import ChangeKind, Finding, Measurement, Presence
from sagittal.report.known import check_known
from sagittal.report.pairing import Transform, affine
from sagittal.report.reading import Reading, Status
from sagittal.report.stated import UNITS, number

PATIENT_LEVEL = (
    "Not a patient-level response: RECIST 1.1 needs a designated baseline and the smallest sum of all "
    "dates, RANO 2.0 treatment, steroids and clinical state besides. Two readings cannot give it."
)


def compare(
    prior: Annotated[Path, typer.Argument(help="The earlier reading.json, or the folder that holds it.")],
    current: Annotated[Path, typer.Argument(help="The later one.")],
    nodules: Annotated[str, typer.Option(help="Whose limit: fleischner, lung-rads or bts.")] = "fleischner",
    registration: Annotated[
        Path | None,
        typer.Option(help="JSON: 4 x 4 matrix, prior LPS mm to current LPS mm; pairs lesions by distance."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """What changed between two readings of a patient, lesion by lesion, with the rule it rests on."""
    if nodules not in RULES:
        raise BadInput(f"unknown rule {nodules!r} for nodules", ", ".join(RULES))
    before, now = _reading(prior), _reading(current)
    _check_pair(before, now)
    rows = compared(
        before.findings,
        now.findings,
        prior_date=before.study.date,
        current_date=now.study.date,
        rule=RULES[nodules],
        transform=_transform(registration),
    )
    document = {
        "prior": _head(before),
        "current": _head(now),
        "rule": to_json(RULES[nodules]),
        "lesions": [_row(row) for row in rows if _shown(row)],
        "findings": [to_json(row.current) for row in rows if row.current is not None],
        "note": PATIENT_LEVEL,
    }
    emit(document, _text(before, now, rows), json=json)


def _reading(path: Path) -> Reading:
    if path.is_dir() and not (path / "reading.json").is_file():
        raise BadInput(f"{path} holds no reading.json", "a reading", "make one with: sagittal read --out DIR")
    reading = read_json(Reading, path / "reading.json" if path.is_dir() else path)
    if reading.status is Status.REFUSED:
        raise Refused(f"{path} holds a reading that was refused", "one with findings", "none")
    check_known(reading, str(path))
    for finding in reading.findings:
        _check_numbers(finding, path)
    return reading


def _check_numbers(finding: Finding, path: Path) -> None:
    """Refuse numbers that are none."""
    if not all(math.isfinite(value) for m in finding.measurements for value in m.values):
        raise BadInput(f"{path} has a measurement that is no number")


def _check_pair(before: Reading, now: Reading) -> None:
    one, other = (reading.study.patient_id.strip().upper() for reading in (before, now))
    if one and other and one != other:
        raise BadInput("the two readings are of different patients", "an earlier reading of the same patient")
    if before.study.uid == now.study.uid:
        raise BadInput("the two readings are of the same study", "an earlier study of the same patient")
    for reading, which in ((before, "earlier"), (now, "later")):
        if reading.study.date is None:
            raise BadInput(
                f"the {which} reading's study has no date, so that larger and smaller have no meaning",
                "two dated studies",
                "add study.date to its reading.json",
            )


def _transform(path: Path | None) -> Transform | None:
    if path is None:
        return None
    try:
        matrix: Any = _json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise BadInput(f"{path} is not JSON ({error})") from None
    return affine(matrix)


def _shown(row: Compared) -> bool:
    """Whether the row compares something: what is absent at both dates does not."""
    return row.prior is not None or (row.current is not None and row.current.change is not None)


def _head(reading: Reading) -> dict[str, Any]:
    study = reading.study
    return {"study": study.uid, "date": to_json(study.date), "reading": reading.uid, "status": reading.status}


def _row(row: Compared) -> dict[str, Any]:
    named = row.current or row.prior
    assert named is not None
    change = row.current.change if row.current is not None else None
    return {
        "lesion": _name(row),
        "observation": named.observation.key,
        "tracking_uid": named.tracking_uid,
        "prior": _extent(row.prior),
        "current": _extent(row.current),
        "change": change.kind if change is not None else ChangeKind.NOT_COMPARABLE,
        "criterion": change.criterion if change is not None else row.reason,
    }


def _name(row: Compared) -> str:
    """What and where, without size and change, which have columns of their own."""
    named = row.prior if row.current is None or row.current.presence is Presence.ABSENT else row.current
    assert named is not None
    return mention(replace(named, measurements=(), change=None, severity=None, attributes=()))


def _extent(finding: Finding | None) -> dict[str, Any] | None:
    if finding is None or finding.presence is not Presence.PRESENT:
        return None
    return {
        "measurements": [to_json(m) for m in finding.measurements],
        "severity": finding.severity,
        "text": _size(finding),
    }


def _size(finding: Finding) -> str:
    words = [_measured(m) for m in finding.measurements if m.quantity in ("diameter", "volume")]
    words += [finding.severity.value] if finding.severity is not None else []
    return ", ".join(words) or "size not stated"


def _measured(measurement: Measurement) -> str:
    values = " x ".join(number(value, measurement.unit) for value in measurement.values)
    return f"{values} {UNITS.get(measurement.unit, measurement.unit)}".rstrip()


HEAD = ("lesion", "prior", "current", "change", "criterion")


def _text(before: Reading, now: Reading, rows: Sequence[Compared]) -> str:
    """The table, under what both readings say of themselves."""
    lines = [f"{_dated(before)} -> {_dated(now)}"]
    lines += dict.fromkeys((*disclosure(before), *disclosure(now)))
    cells = [HEAD] + [
        (
            row["lesion"],
            f"{row['prior']['text']} ({_day(before)})" if row["prior"] else "-",
            f"{row['current']['text']} ({_day(now)})" if row["current"] else "-",
            str(row["change"]),
            row["criterion"] or "",
        )
        for row in map(_row, filter(_shown, rows))
    ]
    if len(cells) == 1:
        return "\n".join([*lines, "", "Nothing to compare: neither reading states a finding.", PATIENT_LEVEL])
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    table = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([*lines, "", table[0], "-" * len(table[0]), *table[1:], "", PATIENT_LEVEL])


def _day(reading: Reading) -> str:
    return reading.study.date.isoformat() if reading.study.date else "no date"


def _dated(reading: Reading) -> str:
    return f"{_day(reading)} ({reading.status.value})"

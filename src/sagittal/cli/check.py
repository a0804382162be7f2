"""`sagittal check`."""

from __future__ import annotations

import json as _json
from pathlib import Path
from typing import Annotated

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, complain, emit
from sagittal.errors import BadInput
from sagittal.report.check import Grade, Grounds, Problem, grounds
from sagittal.report.check import check as check_report
from sagittal.report.codec import MAX_BYTES, from_json, to_json
from sagittal.report.finding import Finding
from sagittal.report.known import check_known
from sagittal.report.language import language as language_of
from sagittal.report.reading import Reading
from sagittal.report.spelling import available
from sagittal.report.text import MAX_REPORT, Plain, read

SHOWN = 60
"""Letters of the draft that a line quotes."""


def check(
    path: Annotated[Path, typer.Argument(help="A report as text, HTML or RTF.")],
    against: Annotated[
        Path | None, typer.Option("--against", help="A reading.json, or what parse --json wrote.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="ISO 639-1 code; left out: told by the words.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Problems of a report: omissions, contradictions, sides, sizes, spelling and what it owes.

    Without --against only what the text itself gives away. Exit code 0 whatever is found.
    """
    if language is not None:
        language_of(language)
    known = _grounds(against) if against is not None else None
    plain = _report(path, quiet=quiet)
    if not available() and not quiet:
        complain("spelling is not checked: pip install 'sagittal[check]'")
    problems = check_report(plain.text, known, language=language)
    document = {
        "report": str(path),
        "against": str(against) if against else None,
        "counts": {str(grade): sum(p.severity is grade for p in problems) for grade in Grade},
        "spelling_checked": available(),
        "problems": [{**to_json(p), "error_type": p.error_type} for p in problems],
    }
    if plain.stripped:
        document["text"] = plain.text
    emit(document, "\n".join([*(line(plain.text, p) for p in problems), summary(problems)]), json=json)


def line(text: str, problem: Problem) -> str:
    """ "error    side           line 3  “small right effusion”: the findings say …" """
    number = text.count("\n", 0, problem.span[0]) + 1
    quoted = " ".join(problem.text.split())
    quoted = quoted if len(quoted) <= SHOWN else quoted[: SHOWN - 1].rstrip() + "…"
    return f"{problem.severity:<8}{problem.kind:<28}line {number:<4}“{quoted}”: {problem.reason}"


def summary(problems: list[Problem]) -> str:
    """ "2 errors, 1 warning, 0 style" """
    errors, warnings, style = (sum(p.severity is grade for p in problems) for grade in Grade)
    return f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}, {style} of style"


def _report(path: Path, *, quiet: bool) -> Plain:
    try:
        if path.stat().st_size > MAX_REPORT:
            raise BadInput(f"{path} is larger than {MAX_REPORT // 2**20} MiB", "one report")
        plain = read(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})", "a text file") from None
    for note in () if quiet else plain.notes:
        complain(note if str(path) in note else f"{path}: {note}")
    return plain


def _grounds(path: Path) -> Grounds:
    """What a reading or a parsed report holds.

    Raises:
        BadInput: it is neither.
    """
    wanted = "a reading.json, or what sagittal parse --json wrote"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path} is larger than {MAX_BYTES // 2**20} MiB", wanted)
        value = _json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})", wanted) from None
    except (ValueError, RecursionError):
        raise BadInput(f"{path} is not JSON", wanted) from None
    if isinstance(value, dict) and "study" in value:
        reading = from_json(Reading, value, path.name)
        check_known(reading, path.name)
        return grounds(reading)
    if isinstance(value, dict) and isinstance(value.get("findings"), list):
        place = f"{path.name} findings"
        findings = [from_json(Finding, finding, place) for finding in value["findings"]]
        check_known(findings, path.name)
        return grounds(findings)
    raise BadInput(f"{path} holds no findings", wanted)

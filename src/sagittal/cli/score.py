"""`sagittal score`."""

from __future__ import annotations

import json as _json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, check_out, emit, progress
from sagittal.errors import BadInput
from sagittal.measure.metrics import Metric
from sagittal.measure.statistics import Interval
from sagittal.report.cases import beside
from sagittal.report.facets import FACETS
from sagittal.report.judged import Judged, NoOrder, agreement, read_judged
from sagittal.report.score import PARTS, RATES, Scores, pick, score_cases
from sagittal.report.tables import Table, read

JUDGED = ("errors", "observation.f1.sample", "presence.f1.sample")
"""What is held against radiologists where no metric is named."""


def score(
    candidates: Annotated[Path, typer.Argument(help="A folder of .txt, CSV, .jsonl, reading.json or text.")],
    references: Annotated[Path, typer.Argument(help="The same for the references.")],
    column: Annotated[str | None, typer.Option(help="Column of the text in a CSV.")] = None,
    reference_column: Annotated[str | None, typer.Option(help="The references', where it differs.")] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="Column of the ids in a CSV.")] = None,
    patient: Annotated[str | None, typer.Option(help="Column of the patients in a CSV.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Names, e.g. observation,bleu_4,rouge_l.")] = None,
    language: Annotated[str | None, typer.Option(help="Of the texts; found out where not given.")] = None,
    samples: Annotated[Path | None, typer.Option(help="Write a JSON line a case here.")] = None,
    repeats: Annotated[int, typer.Option(min=2, help="Draws of the bootstrap.")] = 1000,
    judged: Annotated[bool, typer.Option("--judged", help="REFERENCES counts errors (ReXVal).")] = False,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Candidate reports against reference reports, by facts.

    Precision, recall and F1 of what is there, how surely, side, site, size, grade and change; missed
    critical findings; hallucinations; intervals by patient. --judged: CANDIDATES holds ReXVal's texts,
    REFERENCES its error counts, and each metric's Kendall tau with the radiologists is printed.
    """
    names = [name.strip() for name in metrics.split(",") if name.strip()] if metrics is not None else None
    if judged:
        others = {"--column": column, "--id": id_column, "--patient": patient, "--samples": samples}
        if unused := [flag for flag, value in others.items() if value is not None]:
            raise BadInput(f"{unused[0]} has no meaning with --judged")
        document, text = _judged(
            candidates, references, pick(JUDGED if names is None else names), repeats, seed
        )
        emit(document, text, json=json)
        return
    picked = pick(names)
    if samples is not None:
        check_out(samples)
    ours = _read(candidates, references, column, id_column, patient, language)
    theirs = _read(references, candidates, reference_column or column, id_column, patient, language)
    cases = beside(ours.reports, theirs.reports, patients=_patients(ours, theirs))
    with progress("reports", len(cases), quiet=quiet) as advance:
        for case in cases:
            _ = case.match
            advance(1)
    found = score_cases(cases, picked, repeats=repeats, seed=seed)
    if samples is not None:
        _write(samples, found.samples)
    emit(found.document(), _table(found), json=json)


def _read(
    path: Path, other: Path, column: str | None, key: str | None, patient: str | None, language: str | None
) -> Table:
    """A side; options of CSV columns are for the side that is one."""
    if path.suffix.lower() != ".csv" and other.suffix.lower() == ".csv":
        column = key = patient = None
    return read(path, column=column, id_column=key, patient_column=patient, language=language)


def _patients(ours: Table, theirs: Table) -> dict[str, str]:
    """Who each case is of, by either side; a case that neither names is a patient of its own."""
    patients: dict[str, str] = {}
    for key in ours.reports:
        named = [table.patients[key] for table in (ours, theirs) if key in table.patients]
        if len(set(named)) > 1:
            raise BadInput(f"report {key} is of patient {named[0]} and of {named[1]}", "one patient a report")
        patients[key] = f"patient {named[0]}" if named else f"report {key}"
    return patients


def _shown(found: Interval) -> str:
    bounds = f" ({found.low:.3f} to {found.high:.3f})" if found.low == found.low else " (n/a)"
    return f"{found.value:.3f}{bounds}"


def _table(found: Scores) -> str:
    counts, values = found.counts, found.values
    lines = [
        f"{found.cases} reports of {found.patients} patients; statements: "
        f"{counts['reference']} in the references, {counts['candidate']} in the candidates"
    ]
    shown: set[str] = set()
    facets = [f for f in FACETS if all(f"{f.name}.{part}.micro" in values for part in PARTS)]
    if facets:
        head = "".join(f"{part:<25}" for part in PARTS)
        lines += ["", f"{'pooled (micro)':<15}{head}F1 macro  F1 by report"]
    for facet in facets:
        names = [f"{facet.name}.{part}.micro" for part in PARTS]
        more = [f"{facet.name}.f1.macro", f"{facet.name}.f1.sample"]
        row = "".join(f"{_shown(values[name]):<25}" for name in names)
        row += "".join(f"{values[name].value:<10.3f}" for name in more if name in values)
        lines.append(f"{facet.name:<15}{row}".rstrip())
        shown |= {name for name in values if name.startswith(f"{facet.name}.")}
    rest = [metric for metric in found.metrics if metric.name not in shown]
    for better in ("higher", "lower"):
        group = [metric for metric in rest if metric.better == better]
        lines += ["", f"{better} is better"] if group else []
        for metric in group:
            name = metric.name.removesuffix(".micro")
            of = f"of {counts[name]}: " if name in RATES else ""
            lines.append(f"{metric.name:<26}{_shown(values[metric.name]):<25}{of}{metric.about}")
    if counts["unread"]:
        lines += ["", f"{counts['unread']} cases in which a side names nothing of the vocabulary"]
    return "\n".join(lines)


def _judged(
    texts: Path, errors: Path, picked: Sequence[Metric], repeats: int, seed: int
) -> tuple[dict[str, Any], str]:
    reports = read_judged(texts, errors)
    studies = len({report.study for report in reports})
    rows: list[dict[str, Any]] = []
    lines = [
        f"{len(reports)} judged reports of {studies} studies; Kendall tau-b with the mean error count",
        "",
        f"{'':<26}{'all errors':<25}significant ones",
    ]
    for metric in picked:
        each = {
            name: _tau(reports, metric, significant_only=only, repeats=repeats, seed=seed)
            for name, only in (("all", False), ("significant", True))
        }
        rows.append({"name": metric.name, "version": metric.version, **each})
        cells = "".join(f"{_shown(tau) if tau else 'no order':<25}" for tau in each.values())
        lines.append(f"{metric.name:<26}{cells}".rstrip())
    return {"reports": len(reports), "studies": studies, "kendall_tau_b": rows}, "\n".join(lines)


def _tau(
    reports: Sequence[Judged], metric: Metric, *, significant_only: bool, repeats: int, seed: int
) -> Interval | None:
    """None where there is no order to agree with."""
    try:
        return agreement(reports, metric, significant_only=significant_only, repeats=repeats, seed=seed)
    except NoOrder:
        return None


def _write(out: Path, lines: Sequence[dict[str, Any]]) -> None:
    # Beside the target and moved into place, so that nothing half-written is ever seen.
    handle, partial = tempfile.mkstemp(dir=out.absolute().parent, prefix=".partial-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(_json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
        os.chmod(partial, 0o644)
        os.replace(partial, out)
    except OSError as error:
        Path(partial).unlink(missing_ok=True)
        raise BadInput(f"{out} cannot be written ({error.strerror})") from None

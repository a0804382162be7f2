"""`sagittal read`: a study in, a drafted reading out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sagittal.cli.common import Assume, ContextFile, Device, Json, Prior, Quiet, Seed, complain, emit
from sagittal.errors import Refused
from sagittal.report.disclosure import disclosure
from sagittal.report.reading import Status
from sagittal.study.open import open_study
from sagittal.tasks.read import read as run


def read(
    path: Annotated[Path, typer.Argument(help="DICOM folder, file or zip; NIfTI; PNG or JPEG.")],
    model: Annotated[str, typer.Option("--model", help="Name or folder of a model.")] = "sagittal-small",
    prior: Prior = None,
    context: ContextFile = None,
    assume: Assume = None,
    language: Annotated[str, typer.Option("--language", help="Language of the report.")] = "en",
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the reading's files.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Read a study into a drafted report with its evidence."""
    from sagittal.report.render import render

    study = open_study(path, context=context, prior=prior, assume=assume)
    done = run(study, model=model, seed=seed, device=device)
    report = render(done.reading, language=language)
    if out is not None:
        files = done.write(out)
    reading = done.reading
    lines = [*disclosure(reading), "", report.text]
    names = {series.uid: series.description for series in study.series}
    for refusal in reading.refusals:
        of = f" of {names[refusal.series_uid]}" if names.get(refusal.series_uid) else ""
        lines.append(f"refused: {refusal.model}{of}: {refusal.reason}")
    p = reading.provenance
    lines.append(f"{p.seconds:.1f} s, {p.energy_wh:.3f} Wh ({p.energy_source})")
    if out is not None:
        lines.append(f"written to {out}: {', '.join(f.name for f in files)}")
    if reading.status is not Status.REFUSED:
        emit(reading, "\n".join(lines), json=json)
        return
    reasons = "; ".join(dict.fromkeys(r.reason for r in reading.refusals))
    refused = Refused(f"nothing in this study could be read: {reasons}")
    if not json:
        raise refused
    emit(reading, "", json=True)
    complain(str(refused))
    raise typer.Exit(refused.exit_code)

"""`sagittal inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sagittal.cli.common import Assume, ContextFile, Device, Json, Prior, Quiet, Seed, emit
from sagittal.report.codec import to_json
from sagittal.study.open import open_study
from sagittal.study.study import Series, Study
from sagittal.study.summary import summarise, summarise_series


def inspect(
    path: Annotated[Path, typer.Argument(help="DICOM folder, file or zip; NIfTI; PNG or JPEG.")],
    prior: Prior = None,
    context: ContextFile = None,
    assume: Assume = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """What is in this study: series, geometry, problems."""
    study = open_study(path, prior=prior, context=context, assume=assume)
    emit(_document(study), _text(study), json=json)


def _document(study: Study) -> dict[str, Any]:
    head = to_json(summarise(study))
    del head["series"]
    problems = head.pop("problems")
    head["others"] = [to_json(other) for other in study.others]
    return {"study": head, "series": [_series(one) for one in study.series], "problems": problems}


def _series(series: Series) -> dict[str, Any]:
    return to_json(summarise_series(series)) | {
        "readable": series.readable,
        "body_part": series.body_part,
        "view": series.view,
        "position": series.position,
        "sequence": series.acquisition.sequence,
        "spacing_source": getattr(series.geometry, "spacing_source", None),
    }


def _text(study: Study) -> str:
    patient = study.patient
    age = "age not stated" if patient.age_years is None else f"{patient.age_years:.3g} years"
    lines = [
        f"study {study.uid}",
        f"  {study.date or 'no date'} · patient {patient.id or 'not named'} · "
        f"{patient.sex or 'sex not stated'} · {age}{' · synthetic' if study.synthetic else ''}",
    ]
    if study.stated:
        lines.append("  stated by user: " + ", ".join(f"{k}={v}" for k, v in study.stated.items()))
    for series in study.series:
        shape = " x ".join(map(str, series.shape))
        spacing = series.geometry.spacing_mm
        pitch = " x ".join(f"{s:.3g}" for s in spacing) + " mm" if spacing else "no millimetres"
        words = [series.modality, series.description or "(no description)"]
        words += [w for w in (series.acquisition.sequence, series.view, series.position) if w]
        lines.append(f"{' · '.join(words)}")
        lines.append(f"  {shape} · {pitch} · {series.geometry.orientation} · {series.unit}")
        lines.extend(f"  ! {problem}" for problem in series.problems)
    if study.others:
        lines.append(f"{len(study.others)} other objects (segmentations, structures, reports)")
    lines.extend(f"! {problem}" for problem in study.problems)
    return "\n".join(lines)

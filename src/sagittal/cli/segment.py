"""`sagittal segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sagittal.cli.common import Assume, Device, Json, Quiet, Seed, check_out, emit
from sagittal.errors import BadInput
from sagittal.tasks.segment import TASKS, write_mask
from sagittal.tasks.segment import segment as run


def segment(
    path: Annotated[Path, typer.Argument(help="A study: DICOM, NIfTI, PNG or JPEG.")],
    task: Annotated[str, typer.Option(help=f"One of {', '.join(TASKS)}; states modality and body part.")],
    out: Annotated[Path, typer.Option(help="MASK.nii.gz (label map) or MASK.dcm (DICOM SEG).")],
    model: Annotated[str | None, typer.Option(help="Name or folder; default: the task's own.")] = None,
    series: Annotated[str | None, typer.Option(help="Only the series with this UID.")] = None,
    assume: Assume = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Draw a structure on an image."""
    if not out.name.endswith((".nii", ".nii.gz", ".dcm")):
        raise BadInput(f"--out {out}", "a name ending in .nii.gz, .nii or .dcm")
    check_out(out)
    found = run(path, task=task, model=model, assume=assume, series_uid=series, device=device)
    write_mask(found, out)
    volumes = found.volumes_ml()
    document = {
        "out": str(out),
        "task": task,
        "series": found.series.uid,
        "labels": {str(value): name for value, name in found.labels.items()},
        "volumes_ml": volumes,
        "model": found.model,
        "stated": found.stated,
        "distance": found.distance,
        "threshold": found.threshold,
    }
    lines = [
        f"{value} {name}" + (f": {volumes[name]:.2f} mL" if volumes[name] is not None else "")
        for value, name in found.labels.items()
    ]
    emit(document, "\n".join([f"drawn by {found.model.name}: {out}", *lines, *found.stated]), json=json)

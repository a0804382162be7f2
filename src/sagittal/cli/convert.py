"""`sagittal convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, check_out, emit
from sagittal.errors import BadInput
from sagittal.study.dicom.mask import NamedMask, read_masks
from sagittal.study.nifti import write_nifti
from sagittal.study.open import open_study
from sagittal.study.study import Series, Study
from sagittal.study.volume import Volume


def convert(
    path: Annotated[Path, typer.Argument(help="DICOM folder, file or zip; NIfTI; PNG or JPEG.")],
    out: Annotated[Path, typer.Argument(help="OUT.nii.gz or OUT.nii.")],
    series: Annotated[str | None, typer.Option(help="UID, or the description where it is unique.")] = None,
    mask: Annotated[bool, typer.Option("--mask", help="The RTSTRUCT or SEG, on its image's grid.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """An image, or the mask drawn on it, as NIfTI."""
    if not out.name.lower().endswith((".nii", ".nii.gz")):
        raise BadInput(f"{out} is not a NIfTI name", "OUT.nii.gz or OUT.nii")
    check_out(out)
    study = open_study(path)
    if mask:
        document = _mask(read_masks(study, _named(study, series) if series else None), out)
    else:
        chosen = _named(study, series)
        write_nifti(out, chosen.volume)
        document = _about(chosen, out)
    emit(document, _text(document), json=json)


def _named(study: Study, name: str | None) -> Series:
    """The series of that UID or description; the only readable one where none is named."""
    readable = [one for one in study.series if one.readable]
    if name is None:
        if len(readable) == 1:
            return readable[0]
        if len(study.series) == 1:
            # Decoding it says why it cannot be read.
            return study.series[0]
        what = f"{study.path} holds {len(readable)} series that can be converted"
    else:
        found = [one for one in study.series if name in (one.uid, one.description)]
        if len(found) == 1:
            return found[0]
        what = f"{len(found)} series are called {name!r}"
    choices = ", ".join(f"{one.uid} ({one.modality} {one.description})" for one in study.series[:12])
    raise BadInput(what, "one", f"name it with --series: {choices or 'none'}")


def _about(series: Series, out: Path) -> dict[str, Any]:
    return {
        "out": str(out),
        "series": series.uid,
        "shape": list(series.shape),
        "spacing_mm": series.geometry.spacing_mm,
        "orientation": series.geometry.orientation,
        "unit": series.unit,
    }


def _mask(masks: list[NamedMask], out: Path) -> dict[str, Any]:
    """One label map: masks in the order of their object; where they overlap, the later one wins."""
    images = {one.series.uid: one.series for one in masks}
    if len(images) > 1:
        choices = ", ".join(f"{one.uid} ({one.modality})" for one in images.values())
        raise BadInput("masks were drawn on several series", "one", f"name it with --series: {choices}")
    (series,) = images.values()
    labels = np.zeros(series.shape, np.uint8 if len(masks) < 256 else np.uint16)
    overlap = 0
    for number, one in enumerate(masks, start=1):
        overlap += int(((labels > 0) & one.volume.voxels).sum())
        labels[one.volume.voxels] = number
    write_nifti(out, Volume(labels, series.geometry))
    named = {str(number): one.name for number, one in enumerate(masks, start=1)}
    voxels = {str(number): int((labels == number).sum()) for number in range(1, len(masks) + 1)}
    return _about(series, out) | {"labels": named, "voxels": voxels, "overlap_voxels": overlap}


def _text(document: dict[str, Any]) -> str:
    shape = " x ".join(map(str, document["shape"]))
    lines = [f"{document['out']}: {shape} · {document['orientation']} · {document['unit']}"]
    lines += [
        f"  {number} {name}: {document['voxels'][number]} voxels"
        for number, name in document.get("labels", {}).items()
    ]
    if document.get("overlap_voxels"):
        lines.append(f"  ! {document['overlap_voxels']} voxels lie in several masks: the later one is kept")
    return "\n".join(lines)

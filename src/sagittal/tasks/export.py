"""The files of a reading: reading.json, report.txt, report.html, seg.dcm, sr.dcm; all or none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagittal.errors import BadInput
from sagittal.report.codec import dumps
from sagittal.report.disclosure import disclosure
from sagittal.report.html import html
from sagittal.report.reading import Reading, Status
from sagittal.study.dicom.seg import write_seg
from sagittal.study.dicom.sr import write_sr
from sagittal.study.study import Study
from sagittal.tasks.pictures import key_images


def write_reading(
    study: Study, reading: Reading, masks: Mapping[str, NDArray[np.bool_]], out: Path
) -> list[Path]:
    """Write a reading into the folder ``out``, which is made if it is missing.

    One SEG a series that was drawn on: ``seg.dcm``, then ``seg-2.dcm`` ...; none where nothing was
    drawn or the series did not come from DICOM. ``sr.dcm`` likewise needs a DICOM study. Files appear
    only when all of them are written.

    Raises:
        BadInput: ``out`` is a file, or cannot be written.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file", "a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".partial-") as partial:
            made = _write(study, reading, masks, Path(partial))
            return [Path(shutil.move(path, out / path.name)) for path in made]
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror})") from None


def _write(
    study: Study, reading: Reading, masks: Mapping[str, NDArray[np.bool_]], folder: Path
) -> list[Path]:
    head = "\n".join(disclosure(reading))
    files = {
        "reading.json": dumps(reading),
        "report.txt": f"{head}\n\n{reading.report.text}",
        "report.html": html(reading, key_images(study, reading, masks)),
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    made = [folder / name for name in files]
    segmentations = _segmentations(study, reading, masks, folder)
    made += segmentations
    if reading.status is not Status.REFUSED and any(series.instances for series in study.series):
        made.append(write_sr(folder / "sr.dcm", study, reading, segmentations=segmentations))
    return made


def _segmentations(
    study: Study, reading: Reading, masks: Mapping[str, NDArray[np.bool_]], folder: Path
) -> list[Path]:
    made: list[Path] = []
    count = 0
    tracking = {
        str(f.evidence.mask): f.tracking_uid
        for f in reading.findings
        if f.evidence and f.evidence.mask and f.tracking_uid and f.evidence.mask.split("-")[0] != "heart"
    }
    edited = reading.status in (Status.SIGNED, Status.AMENDED) and bool(reading.edits)
    for series in study.series:
        mine = [
            m for m in reading.masks if m.series_uid == series.uid and m.name in masks and masks[m.name].any()
        ]
        if not mine or not series.instances:
            continue
        drew = {m.model for m in mine}
        count += 1
        path = folder / ("seg.dcm" if count == 1 else f"seg-{count}.dcm")
        made += write_seg(
            path,
            study,
            series,
            {m.name: masks[m.name] for m in mine},
            {m.name: m.observation for m in mine if m.observation is not None},
            [model for model in reading.models if model.name in drew] or reading.models,
            tracking_uids={m.name: tracking[m.name] for m in mine if m.name in tracking},
            edited=edited,
            created=reading.provenance.created,
        )
    return made

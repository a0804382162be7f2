"""Rows of single DICOM slices as whole studies, by what their headers say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from sagittal.datasets.assemble import stated
from sagittal.datasets.dataset import Dataset, Row
from sagittal.errors import BadInput
from sagittal.study.open import open_files
from sagittal.study.study import Study

_TAGS = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID"]


def by_header(
    data: Dataset, place: str, said: dict[str, str], *, advance: Callable[[int], None] | None = None
) -> Dataset:
    """Group slices into studies: reads every header (three elements, no pixels), so it takes a while.

    A label of a study is 1 where it is 1 on any slice. Rows keep no boxes.

    Args:
        place: pattern of a slice's file in ``data.folder``, e.g. "stage_2_train/{}.dcm".
        said: what the set says of every slice, as in `assemble.Image`.

    Raises:
        BadInput: a slice is missing or no DICOM; names it.
    """
    folder = data.folder or Path()
    groups: dict[str, tuple[str, list[int]]] = {}
    for number, row in enumerate(data.rows):
        path = folder / place.format(row.study)
        try:
            head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
            patient, study = str(head.PatientID), str(head.StudyInstanceUID)
        except (OSError, InvalidDicomError, AttributeError) as error:
            raise BadInput(f"{path} has no DICOM header with patient and study ({error})") from None
        groups.setdefault(study, (patient, []))[1].append(number)
        if advance is not None:
            advance(1)
    rows, targets = [], []
    for study, (patient, numbers) in groups.items():
        paths = tuple(folder / place.format(data.rows[n].study) for n in numbers)
        load = partial(_study, paths, said, data.name)
        rows.append(Row(study, patient, data.rows[numbers[0]].split, load))
        targets.append(np.max(data.targets[numbers], axis=0))
    return replace(data, rows=tuple(rows), targets=np.array(targets, np.float32))


def _study(paths: tuple[Path, ...], said: dict[str, str], source: str) -> Study:
    return stated(open_files(paths), said, source)

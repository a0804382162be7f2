"""TotalSegmentator: CTs (1,228, 117 structures) and MRs (50 and more structures) with one mask a structure.

Layout of version 2 (Wasserthal et al., Radiology: AI 2023; Akinci D'Antonoli et al., Radiology 2025)::

    meta.csv                            image_id;age;gender;institute;study_type;split;... with semicolons
    s0000/ct.nii.gz (or mri.nii.gz)     1.5 mm
    s0000/segmentations/<structure>.nii.gz
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from sagittal.datasets.assemble import Image, assemble, person
from sagittal.datasets.dataset import SPLITS, Dataset, Row
from sagittal.datasets.tables import inside, published, read_table
from sagittal.errors import BadInput
from sagittal.study.study import Study

NAME = "TotalSegmentator"
LICENCE = "CC BY 4.0"
LAYOUT = "meta.csv (semicolons) and sNNNN/ct.nii.gz or mri.nii.gz with sNNNN/segmentations/*.nii.gz"


def open_totalsegmentator(folder: str | Path) -> Dataset:
    """One row a subject; ``mask`` is its folder of structures, numbered by name in ``mask_labels``.

    Raises:
        BadInput: ``meta.csv``, a column, or the first subject's segmentations are missing.
    """
    folder = Path(folder)
    table = published(folder, "meta.csv", layout=LAYOUT)
    rows = []
    for number, line in read_table(table, "image_id", "split", separator=";", layout=LAYOUT):
        subject = inside(line["image_id"], table, number)
        split = line["split"]
        if split and split not in SPLITS:
            raise BadInput(f"{table} line {number}: split is {split!r}", f"one of {', '.join(SPLITS)}")
        sex, age = line.get("gender", ""), line.get("age", "").removesuffix(".0")
        groups = {
            "sex": sex,
            "institute": line.get("institute", ""),
            "scanner": line.get("scanner_model", ""),
        }
        load = partial(_study, folder, subject, sex, age, line.get("study_type", ""))
        kept = {key: value for key, value in groups.items() if value}
        rows.append(Row(subject, subject, split, load, mask=f"{subject}/segmentations", groups=kept))
    if not rows:
        raise BadInput(f"{table} has no rows", LAYOUT)
    first = published(folder, "s*/segmentations", layout=LAYOUT)
    names = sorted(path.name.removesuffix(".nii.gz") for path in first.glob("*.nii.gz"))
    return Dataset(
        NAME,
        tuple(rows),
        (),
        np.zeros((len(rows), 0), np.float32),
        licence=LICENCE,
        folder=folder,
        mask_labels=dict(enumerate(names, start=1)),
        caveats=("the masks were drawn by a network and corrected by hand",),
    )


def _study(folder: Path, subject: str, sex: str, age: str, kind: str) -> Study:
    mr = (folder / subject / "mri.nii.gz").is_file()
    image = Image(f"{subject}/{'mri' if mr else 'ct'}.nii.gz", {"modality": "MR" if mr else "CT"})
    study = assemble(folder, (image,), NAME, patient=person(subject, sex, age))
    return study.with_(description=kind)

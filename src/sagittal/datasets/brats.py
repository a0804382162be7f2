"""BraTS, the brain tumour segmentation challenges since 2017: four MR sequences and one mask a case.

Layouts (Menze et al., IEEE TMI 2015; Baid et al., arXiv 2107.02314), anywhere below the folder::

    2017-2021   <case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz (2020: .nii)       in HGG/ and LGG/ until 2019
    2023-       <case>/<case>-{t1n,t1c,t2w,t2f,seg}.nii.gz                     BraTS-GLI-00000-000: case, date
    survival_info.csv, survival_data.csv and name_mapping.csv: age, survival and grade, in some years
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from sagittal.datasets.assemble import Image, assemble, person
from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.tables import header, read_table
from sagittal.errors import BadInput

NAME = "BraTS"
LICENCE = "as each year's challenge states; CC BY 4.0 for 2021 at The Cancer Imaging Archive"
LAYOUT = "<case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz, or <case>/<case>-{t1n,t1c,t2w,t2f,seg}.nii.gz"
_OLD = {"t1": "T1", "t1ce": "T1c", "t2": "T2", "flair": "FLAIR"}
_NEW = {"t1n": "T1", "t1c": "T1c", "t2w": "T2", "t2f": "FLAIR"}
_OLD_LABELS = {
    1: "necrotic and non-enhancing tumour core",
    2: "peritumoural oedema",
    4: "enhancing tumour",
}
_NEW_LABELS = {
    1: "non-enhancing tumour core",
    2: "surrounding FLAIR hyperintensity",
    3: "enhancing tumour",
    4: "resection cavity",
}
"""The cavity since 2024, in cases after treatment."""
_FILE = re.compile(r"(?P<case>.+)(?P<join>[_-])(?P<end>flair|t2f)\.nii(\.gz)?")
_DATED = re.compile(r"(?P<patient>.+-\d{4,5})-(?P<date>\d{3})")
_IDS = ("Brats20ID", "BraTS_2020_subject_ID", "BraTS19ID", "BraTS_2019_subject_ID", "BraTS18ID", "Brats17ID")


def open_brats(folder: str | Path) -> Dataset:
    """One row a case and date; ``mask`` where a segmentation lies beside the sequences.

    Raises:
        BadInput: no case there, or a sequence is missing; names it.
    """
    folder = Path(folder)
    ages, grades = _table(folder)
    rows = []
    new = False
    for depth in ("*/", "*/*/", "*/*/*/", ""):
        files = sorted([*folder.glob(f"{depth}*flair.nii*"), *folder.glob(f"{depth}*t2f.nii*")])
        if files:
            break
    for file in files:
        match = _FILE.fullmatch(file.name)
        if match is None:
            continue
        names = _NEW if match["end"] == "t2f" else _OLD
        new |= names is _NEW
        case, ending = match["case"], file.name.removeprefix(f"{match['case']}{match['join']}{match['end']}")
        place = file.parent.relative_to(folder).as_posix()
        said = {"modality": "MR", "body_part": "BRAIN"}
        images = []
        for name, sequence in names.items():
            path = file.with_name(f"{case}{match['join']}{name}{ending}")
            if not path.is_file():
                raise BadInput(f"{path} is missing", LAYOUT)
            images.append(Image(f"{place}/{path.name}", {**said, "sequence": sequence}))
        dated = _DATED.fullmatch(case)
        patient, order = (dated["patient"], dated["date"]) if dated else (case, "")
        mask = file.with_name(f"{case}{match['join']}seg{ending}")
        grade = grades.get(case) or next((g for g in ("HGG", "LGG") if g in place.split("/")), "")
        rows.append(
            Row(
                f"{place}",
                patient,
                "",
                partial(
                    assemble, folder, tuple(images), NAME, patient=person(patient, "", ages.get(case, ""))
                ),
                mask=f"{place}/{mask.name}" if mask.is_file() else "",
                groups={"grade": grade} if grade else {},
                order=order,
            )
        )
    if not rows:
        raise BadInput(f"{folder} holds no case", LAYOUT)
    return Dataset(
        NAME,
        tuple(rows),
        (),
        np.zeros((len(rows), 0), np.float32),
        licence=LICENCE,
        folder=folder,
        mask_labels=_NEW_LABELS if new else _OLD_LABELS,
        caveats=("no split with masks is published: see split_patients",),
    )


def _table(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Case -> age, case -> grade; from whichever of the tables there are."""
    ages: dict[str, str] = {}
    grades: dict[str, str] = {}
    for name in ("survival_info.csv", "survival_data.csv", "name_mapping.csv"):
        for path in sorted([*folder.glob(name), *folder.glob(f"*/{name}")]):
            columns = header(path)
            identity = next((column for column in _IDS if column in columns), None)
            if identity is None:
                raise BadInput(f"{path} has the columns {', '.join(columns)}", f"one of {', '.join(_IDS)}")
            for _, line in read_table(path, identity):
                ages[line[identity]] = line.get("Age") or ages.get(line[identity], "")
                grades[line[identity]] = line.get("Grade") or grades.get(line[identity], "")
    return ages, grades

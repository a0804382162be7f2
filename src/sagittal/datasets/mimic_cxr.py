"""MIMIC-CXR-JPG: 377,110 chest radiographs of 227,827 studies with fourteen labels mined from the reports.

Layout of versions 2.0.0 and 2.1.0 (Johnson et al., PhysioNet 2019 and 2024)::

    mimic-cxr-2.0.0-metadata.csv.gz   dicom_id, subject_id, study_id, ViewPosition, StudyDate ...
    mimic-cxr-2.0.0-split.csv.gz      dicom_id, study_id, subject_id, split (train, validate, test)
    mimic-cxr-2.0.0-chexpert.csv.gz   subject_id, study_id, 14 labels       (-negbio: the other labeller)
    files/p10/p10000032/s50414267/<dicom_id>.jpg

The reports belong to MIMIC-CXR (``mimic-cxr-reports.zip``): ``files/p10/p10000032/s50414267.txt``, in the
same folder or in another one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from sagittal.datasets.assemble import Image, assemble, day_of, person
from sagittal.datasets.chexpert14 import LABELS, As, check_policy, target
from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.tables import inside, published, read_table
from sagittal.errors import BadInput
from sagittal.study.study import Study

NAME = "MIMIC-CXR-JPG"
LICENCE = "PhysioNet Credentialed Health Data License 1.5.0"
LAYOUT = "mimic-cxr-2.0.0-{metadata,split,chexpert}.csv.gz and files/pNN/pSUBJECT/sSTUDY/DICOM_ID.jpg"
_SPLITS = {"train": "train", "validate": "val", "test": "test"}
_POSITION = {"Erect": "ERECT", "Recumbent": "RECUMBENT"}


def open_mimic_cxr(
    folder: str | Path,
    *,
    reports: str | Path | None = None,
    labeller: Literal["chexpert", "negbio"] = "chexpert",
    uncertain: As = "unknown",
    unmentioned: As = "unknown",
) -> Dataset:
    """One row a study, with all its films and its report where the reports are there.

    Args:
        reports: the folder whose ``files/`` holds the texts; by default ``folder``.
        uncertain: what a label of -1 counts as; unmentioned: what an empty one does.

    Raises:
        BadInput: a table, column or label is missing or wrong.
    """
    check_policy(uncertain=uncertain, unmentioned=unmentioned)
    folder = Path(folder)
    texts = folder if reports is None else Path(reports)
    split_of = _splits(folder)
    found = _labels(folder, labeller, uncertain, unmentioned)
    table = published(folder, "mimic-cxr-*-metadata.csv.gz", "mimic-cxr-*-metadata.csv", layout=LAYOUT)
    films: dict[tuple[str, str], list[tuple[str, str, str, str]]] = {}
    columns = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate")
    for number, line in read_table(table, *columns, layout=LAYOUT):
        dicom = inside(line["dicom_id"], table, number)
        if dicom not in split_of:
            raise BadInput(f"{table} line {number}: {dicom} is in no split", "each image in the split table")
        key = (inside(line["subject_id"], table, number), inside(line["study_id"], table, number))
        erect = _POSITION.get(line.get("PatientOrientationCodeSequence_CodeMeaning", ""), "")
        films.setdefault(key, []).append((dicom, line["ViewPosition"].upper(), line["StudyDate"], erect))
    rows, targets = [], []
    unlabelled = np.full(len(LABELS), np.nan, np.float32)
    for (subject, study), images in films.items():
        place = f"files/p{subject[:2]}/p{subject}/s{study}"
        read = partial(_report, texts / f"{place}.txt")
        load = partial(_study, folder, place, subject, tuple(images), read)
        split, day = split_of[images[0][0]], images[0][2]
        rows.append(Row(f"p{subject}/s{study}", subject, split, load, read_report=read, order=day))
        targets.append(found.get(study, unlabelled))
    if not rows:
        raise BadInput(f"{table} has no rows", LAYOUT)
    caveats = (
        "labels were mined from the reports, not read from the images",
        *(() if _there(texts) else ("no reports here: they come with MIMIC-CXR",)),
    )
    return Dataset(
        NAME, tuple(rows), LABELS, np.stack(targets), False, LICENCE, folder=folder, caveats=caveats
    )


def _splits(folder: Path) -> dict[str, str]:
    path = published(folder, "mimic-cxr-*-split.csv.gz", "mimic-cxr-*-split.csv", layout=LAYOUT)
    split_of = {}
    for number, line in read_table(path, "dicom_id", "split", layout=LAYOUT):
        if line["split"] not in _SPLITS:
            raise BadInput(
                f"{path} line {number}: split is {line['split']!r}", f"one of {', '.join(_SPLITS)}"
            )
        split_of[line["dicom_id"]] = _SPLITS[line["split"]]
    return split_of


def _labels(folder: Path, labeller: str, uncertain: As, unmentioned: As) -> dict[str, np.ndarray]:
    name = f"mimic-cxr-*-{labeller}.csv"
    path = published(folder, f"{name}.gz", name, layout=LAYOUT)
    return {
        line["study_id"]: np.array(
            [target(line[label], uncertain, unmentioned, path, number) for label in LABELS], np.float32
        )
        for number, line in read_table(path, "study_id", *LABELS, layout=LAYOUT)
    }


def _there(texts: Path) -> bool:
    return next((texts / "files").glob("p*/p*/s*.txt"), None) is not None


def _report(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip() if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error})") from None


def _study(
    folder: Path,
    place: str,
    subject: str,
    images: tuple[tuple[str, str, str, str], ...],
    report: partial[str],
) -> Study:
    files = tuple(
        Image(
            f"{place}/{dicom}.jpg",
            {"modality": "DX", "body_part": "CHEST", "view": view, "position": position},
        )
        for dicom, view, _, position in images
    )
    return assemble(folder, files, NAME, patient=person(subject), report=report(), day=day_of(images[0][2]))

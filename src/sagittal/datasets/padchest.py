"""PadChest: 160,868 chest radiographs of 67,000 patients with Spanish reports and 174 findings.

Layout (Bustos et al., Medical Image Analysis 2020)::

    PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv (or .csv.gz)
        ImageID, ImageDir, StudyDate_DICOM, StudyID, PatientID, PatientBirth, PatientSex_DICOM, Projection,
        MethodLabel, Labels (a Python list), Report ...
    0/ ... 54/      PNG of 16 bit, named ImageID, in the folder ImageDir (or all in one folder)
"""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path

import numpy as np

from sagittal.datasets.assemble import Image, assemble, day_of, person
from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.tables import inside, published, read_table
from sagittal.errors import BadInput
from sagittal.study.study import Study

NAME = "PadChest"
LICENCE = "CC BY-SA 4.0"
LAYOUT = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv and PNG files in folders 0 to 54"
_VIEWS = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP", "L": "LATERAL"}
_NO_LABEL = {"normal", "exclude", "suboptimal study", "unchanged", ""}
"""Words in ``Labels`` that are no finding."""
_COLUMNS = (
    "ImageID",
    "ImageDir",
    "StudyDate_DICOM",
    "StudyID",
    "PatientID",
    "PatientBirth",
    "PatientSex_DICOM",
    "Projection",
    "Labels",
    "Report",
)


def open_padchest(folder: str | Path, *, physicians_only: bool = False) -> Dataset:
    """One row a study, with all its films. Labels are all findings that occur, by name.

    Args:
        physicians_only: only the 27 % whose labels a physician gave (``MethodLabel``).

    Raises:
        BadInput: the table, a column or a list of labels is missing or wrong.
    """
    folder = Path(folder)
    table = published(folder, "PADCHEST*.csv", "PADCHEST*.csv.gz", layout=LAYOUT)
    films: dict[str, list[tuple[str, ...]]] = {}
    found: dict[str, frozenset[str] | None] = {}
    read: dict[str, frozenset[str] | None] = {}
    for number, line in read_table(table, *_COLUMNS, layout=LAYOUT):
        if physicians_only and line.get("MethodLabel") != "Physician":
            continue
        image = inside(line["ImageID"], table, number)
        place = inside(line["ImageDir"], table, number) if line["ImageDir"] else "."
        study, cell = line["StudyID"], line["Labels"]
        if cell not in read:
            read[cell] = _labels(cell, table, number)
        before, here = found.get(study), read[cell]
        found[study] = here if before is None else before | (here or frozenset())
        films.setdefault(study, []).append(
            (
                image,
                place,
                line["Projection"],
                line["PatientID"],
                line["PatientSex_DICOM"],
                line["PatientBirth"].split(".")[0],
                line["StudyDate_DICOM"],
                line["Report"],
                line.get("PhotometricInterpretation_DICOM", ""),
            )
        )
    if not films:
        raise BadInput(f"{table} has no rows", LAYOUT)
    labels = tuple(sorted(frozenset().union(*(here for here in found.values() if here))))
    index = {label: column for column, label in enumerate(labels)}
    targets = np.zeros((len(films), len(labels)), np.float32)
    rows = []
    for place_in, (study, images) in enumerate(films.items()):
        here = found[study]
        if here is None:
            targets[place_in] = np.nan
        for label in here or ():
            targets[place_in, index[label]] = 1
        load = partial(_study, folder, tuple(images))
        report = partial(str, images[0][7])
        groups = {"sex": images[0][4]}
        rows.append(Row(study, images[0][3], "", load, groups=groups, read_report=report, order=images[0][6]))
    caveats = (
        "no official split: see split_patients",
        "reports are in Spanish, without accents and stop words",
        "studies labelled 'exclude' or not at all have unknown labels",
    )
    return Dataset(NAME, tuple(rows), labels, targets, False, LICENCE, folder=folder, caveats=caveats)


def _labels(cell: str, table: Path, number: int) -> frozenset[str] | None:
    """Findings of a cell; None where the set gives none ("exclude", empty)."""
    try:
        words = [str(word).strip().lower() for word in ast.literal_eval(cell)] if cell else []
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise BadInput(f"{table} line {number}: Labels is {cell[:80]!r}", "a list like ['nodule']") from None
    if "exclude" in words or not any(words):
        return None
    return frozenset(words) - _NO_LABEL


def _study(folder: Path, films: tuple[tuple[str, ...], ...]) -> Study:
    images = []
    for image, place, projection, *_ in films:
        path = f"{place}/{image}" if (folder / place / image).is_file() else image
        view = _VIEWS.get(projection, "")
        position = "RECUMBENT" if projection == "AP_horizontal" else ""
        said = {"modality": "DX", "body_part": "CHEST", "view": view, "position": position}
        images.append(Image(path, said))
    _, _, _, patient, sex, birth, day, report, _ = films[0]
    taken = day_of(day)
    age = str(taken.year - int(birth)) if taken and birth.isdigit() else ""
    study = assemble(folder, tuple(images), NAME, patient=person(patient, sex, age), report=report, day=taken)
    inverted = [film[0] for film in films if film[8] == "MONOCHROME1"]
    if inverted:
        line = f"{len(inverted)} films were MONOCHROME1 in their DICOM: dark and bright may be exchanged"
        study = study.with_(problems=(*study.problems, line))
    return study

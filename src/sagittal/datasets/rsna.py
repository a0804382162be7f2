"""The RSNA challenges: DICOM with a table of labels, each in its own layout.

Pneumonia 2018 and intracranial haemorrhage 2019 have a function of their own; the others differ only in
names of columns and folders, and are one `Challenge` each. Source: the challenges' data pages, and Shih et
al., Radiology: AI 2019; Flanders et al., Radiology: AI 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sagittal.datasets.assemble import Image, assemble, person
from sagittal.datasets.dataset import Box, Dataset, Row
from sagittal.datasets.tables import header, inside, number_in, published, read_table
from sagittal.errors import BadInput
from sagittal.study.study import Study

LICENCE = "the challenge's rules: academic research and education, not commercial"
PNEUMONIA = (
    "stage_2_train_labels.csv (patientId, x, y, width, height, Target), stage_2_detailed_class_info.csv, "
    "stage_2_train_images/<patientId>.dcm"
)
HAEMORRHAGE = (
    "stage_2_train.csv (ID, Label; six lines a slice: ID_<slice>_<kind>) and stage_2_train/ID_<slice>.dcm"
)
KINDS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")


def open_rsna_pneumonia(folder: str | Path) -> Dataset:
    """Pneumonia 2018: one row a chest radiograph, with boxes of the opacities.

    Raises:
        BadInput: a table or column is missing or wrong.
    """
    folder = Path(folder)
    table = published(folder, "stage_2_train_labels.csv", layout=PNEUMONIA)
    kinds_table = published(folder, "stage_2_detailed_class_info.csv", layout=PNEUMONIA)
    kinds = {
        line["patientId"]: line["class"]
        for _, line in read_table(kinds_table, "patientId", "class", layout=PNEUMONIA)
    }
    boxes: dict[str, tuple[Box, ...]] = {}
    corners = ("x", "y", "width", "height")
    for number, line in read_table(table, "patientId", *corners, "Target", layout=PNEUMONIA):
        image = inside(line["patientId"], table, number)
        if line["Target"] not in ("0", "1") or image not in kinds:
            raise BadInput(
                f"{table} line {number}: Target is {line['Target']!r}",
                "0 or 1, with a class in the other table",
            )
        boxes.setdefault(image, ())
        if line["Target"] == "1":
            x, y, w, h = (number_in(line[c], table, number, c) for c in corners)
            boxes[image] = (*boxes[image], Box("Lung Opacity", (y, x, y + h, x + w)))
    rows, targets = [], []
    for image, drawn in boxes.items():
        file = Image(f"stage_2_train_images/{image}.dcm", {"modality": "DX", "body_part": "CHEST"})
        load = partial(assemble, folder, (file,), "RSNA pneumonia 2018", patient=person(image))
        rows.append(Row(image, image, "", load, boxes=drawn))
        targets.append([bool(drawn), kinds[image] == "Normal"])
    if not rows:
        raise BadInput(f"{table} has no rows", PNEUMONIA)
    return Dataset(
        "RSNA pneumonia 2018",
        tuple(rows),
        ("Lung Opacity", "Normal"),
        np.array(targets, np.float32),
        False,
        LICENCE,
        folder=folder,
        caveats=(
            "images are of ChestX-ray14: patientId is one image's, and several may be of one person",
            "no split with labels is published: see split_patients",
            "neither label: 'No Lung Opacity / Not Normal'",
        ),
    )


def open_rsna_haemorrhage(folder: str | Path) -> Dataset:
    """Intracranial haemorrhage 2019: one row a CT slice.

    Patient and study of a slice stand in its DICOM header alone, so that ``patient`` is the slice until
    `by_header` has read the headers.

    Raises:
        BadInput: the table or a column is missing or wrong; a slice without all six lines.
    """
    folder = Path(folder)
    table = published(folder, "stage_2_train.csv", layout=HAEMORRHAGE)
    index = {kind: column for column, kind in enumerate(KINDS)}
    found: dict[str, list[float]] = {}
    for number, line in read_table(table, "ID", "Label", layout=HAEMORRHAGE):
        image, _, kind = line["ID"].rpartition("_")
        if kind not in index or line["Label"] not in ("0", "1"):
            raise BadInput(f"{table} line {number}: {line['ID']!r} is {line['Label']!r}", HAEMORRHAGE)
        values = found.get(image)
        if values is None:
            values = found[inside(image, table, number)] = [float("nan")] * len(KINDS)
        values[index[kind]] = float(line["Label"])
    if not found:
        raise BadInput(f"{table} has no rows", HAEMORRHAGE)
    said = {"modality": "CT", "body_part": "HEAD"}
    rows = [
        Row(
            image,
            image,
            "",
            partial(assemble, folder, (Image(f"stage_2_train/{image}.dcm", said),), "RSNA haemorrhage 2019"),
        )
        for image in found
    ]
    targets = np.array(list(found.values()), np.float32)
    missing = np.flatnonzero(np.isnan(targets).any(1))
    if missing.size:
        raise BadInput(f"{table}: {rows[missing[0]].study} lacks one of the six kinds", HAEMORRHAGE)
    return Dataset(
        "RSNA haemorrhage 2019",
        tuple(rows),
        KINDS,
        targets,
        False,
        LICENCE,
        folder=folder,
        caveats=(
            "patients stand in the DICOM headers alone: by_header before any split",
            "no split with labels is published: see split_patients",
        ),
    )


@dataclass(frozen=True)
class Challenge:
    """A challenge whose table has one line a study or image.

    Args:
        table: file name; columns: which have to be in it, for telling the challenges apart.
        study: where a row's images lie, filled from the line's columns; lines of one study are one row.
        patient: column of the patient. labels: columns of 0 and 1, or of class words, which become one label
            ``column=word`` each.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    study: str
    patient: str
    labels: tuple[str, ...]
    said: tuple[tuple[str, str], ...]
    words: tuple[str, ...] = ()
    mask: str = ""

    @property
    def layout(self) -> str:
        """The published layout in one line."""
        return f"{self.table} ({', '.join(self.columns[:4])} ...) and {self.study}"


_LEVELS = ("l1_l2", "l2_l3", "l3_l4", "l4_l5", "l5_s1")
_STENOSES = (
    "spinal_canal_stenosis",
    "left_neural_foraminal_narrowing",
    "right_neural_foraminal_narrowing",
    "left_subarticular_stenosis",
    "right_subarticular_stenosis",
)
_ORGANS = ("kidney", "liver", "spleen")

CHALLENGES = (
    Challenge(
        "RSNA pulmonary embolism 2020",
        "train.csv",
        ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "negative_exam_for_pe"),
        "train/{StudyInstanceUID}/{SeriesInstanceUID}",
        "StudyInstanceUID",
        (
            "negative_exam_for_pe",
            "indeterminate",
            "rightsided_pe",
            "leftsided_pe",
            "central_pe",
            "chronic_pe",
            "acute_and_chronic_pe",
            "rv_lv_ratio_gte_1",
            "rv_lv_ratio_lt_1",
        ),
        (("modality", "CT"), ("body_part", "CHEST")),
    ),
    Challenge(
        "RSNA-MICCAI brain tumour 2021",
        "train_labels.csv",
        ("BraTS21ID", "MGMT_value"),
        "train/{BraTS21ID}",
        "BraTS21ID",
        ("MGMT_value",),
        (("modality", "MR"), ("body_part", "BRAIN")),
    ),
    Challenge(
        "RSNA cervical spine 2022",
        "train.csv",
        ("StudyInstanceUID", "patient_overall", "C1", "C7"),
        "train_images/{StudyInstanceUID}",
        "StudyInstanceUID",
        ("patient_overall", "C1", "C2", "C3", "C4", "C5", "C6", "C7"),
        (("modality", "CT"), ("body_part", "CSPINE")),
        mask="segmentations/{StudyInstanceUID}.nii",
    ),
    Challenge(
        "RSNA screening mammography 2022",
        "train.csv",
        ("site_id", "patient_id", "image_id", "laterality", "cancer"),
        "train_images/{patient_id}/{image_id}.dcm",
        "patient_id",
        ("cancer", "biopsy", "invasive", "difficult_negative_case"),
        (("modality", "MG"), ("body_part", "BREAST")),
    ),
    Challenge(
        "RSNA abdominal trauma 2023",
        "train*.csv",
        ("patient_id", "bowel_healthy", "extravasation_healthy", "any_injury"),
        "train_images/{patient_id}",
        "patient_id",
        (
            "bowel_injury",
            "extravasation_injury",
            *(f"{organ}_{grade}" for organ in _ORGANS for grade in ("low", "high")),
            "any_injury",
        ),
        (("modality", "CT"), ("body_part", "ABDOMEN")),
    ),
    Challenge(
        "RSNA lumbar spine 2024",
        "train.csv",
        ("study_id", "spinal_canal_stenosis_l1_l2"),
        "train_images/{study_id}",
        "study_id",
        tuple(f"{condition}_{level}" for condition in _STENOSES for level in _LEVELS),
        (("modality", "MR"), ("body_part", "LSPINE")),
        words=("Normal/Mild", "Moderate", "Severe"),
    ),
)


def challenge_of(folder: Path) -> Challenge | None:
    """The challenge whose table lies in ``folder``, by its columns."""
    for one in CHALLENGES:
        for path in sorted(folder.glob(one.table)):
            if set(one.columns) <= set(header(path)):
                return one
    return None


def open_rsna(folder: str | Path) -> Dataset:
    """Any challenge of `CHALLENGES`: one row a study (an image in mammography).

    Raises:
        BadInput: none of them, or a column or label is wrong.
    """
    folder = Path(folder)
    one = challenge_of(folder)
    if one is None:
        raise BadInput(
            f"{folder} has the table of no RSNA challenge", "; ".join(c.layout for c in CHALLENGES)
        )
    table = next(p for p in sorted(folder.glob(one.table)) if set(one.columns) <= set(header(p)))
    names = tuple(f"{label}={word}" for label in one.labels for word in one.words) or one.labels
    rows: dict[str, Row] = {}
    targets: dict[str, list[float]] = {}
    for number, line in read_table(table, one.patient, *one.columns, *one.labels, layout=one.layout):
        # The brain tumour table writes 00002 as a number in some copies.
        cells = {key: cell.zfill(5) if key == "BraTS21ID" else cell for key, cell in line.items()}
        place = inside(one.study.format_map(cells), table, number)
        if place in rows:
            continue
        mask = one.mask.format_map(cells) if one.mask else ""
        mask = mask if mask and (folder / mask).is_file() else ""
        who = (cells[one.patient], cells.get("view", ""), cells.get("age", ""))
        load = partial(_study, folder, place, one, *who)
        groups = {key: cells[key] for key in ("site_id", "machine_id", "laterality") if cells.get(key)}
        rows[place] = Row(place, cells[one.patient], "", load, mask=mask, groups=groups)
        targets[place] = [
            v for label in one.labels for v in _values(cells[label], one.words, table, number, label)
        ]
    if not rows:
        raise BadInput(f"{table} has no rows", one.layout)
    return Dataset(
        one.name,
        tuple(rows.values()),
        names,
        np.array(list(targets.values()), np.float32),
        False,
        LICENCE,
        folder=folder,
        mask_labels={k: f"C{k}" if k < 8 else f"T{k - 7}" for k in range(1, 15)} if one.mask else {},
        caveats=("no split with labels is published: see split_patients",),
    )


def _values(cell: str, words: tuple[str, ...], table: Path, number: int, label: str) -> list[float]:
    if not cell:
        return [float("nan")] * max(1, len(words))
    if words:
        if cell not in words:
            raise BadInput(f"{table} line {number}: {label} is {cell!r}", f"one of {', '.join(words)}")
        return [float(cell == word) for word in words]
    value = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "False": 0.0, "True": 1.0}.get(cell)
    if value is None:
        raise BadInput(f"{table} line {number}: {label} is {cell!r}", "0 or 1")
    return [value]


def _study(folder: Path, place: str, one: Challenge, patient: str, view: str, age: str) -> Study:
    image = Image(place, {**dict(one.said), "view": view})
    return assemble(folder, (image,), one.name, patient=person(patient, "", age.removesuffix(".0")))

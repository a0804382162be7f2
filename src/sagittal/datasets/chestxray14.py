"""NIH ChestX-ray14: 112,120 frontal chest radiographs of 30,805 patients, fourteen labels mined from reports.

Layout (Wang et al., CVPR 2017)::

    Data_Entry_2017.csv (or Data_Entry_2017_v2020.csv)
        Image Index, Finding Labels (joined by |), Follow-up #, Patient ID, Patient Age, Patient Gender (Sex),
        View Position, OriginalImage[Width, Height], OriginalImagePixelSpacing[x, y]
    train_val_list.txt, test_list.txt       the official split, by patient
    BBox_List_2017.csv                      984 boxes: Image Index, Finding Label, Bbox [x, y, w, h]
    images/ or images_001/images/ ...       1024 x 1024 PNG, 8 bit

The pixel spacing is the original film's: the published PNG is resized, and its spacing is larger by the
same factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from sagittal.datasets.assemble import Image, assemble, person
from sagittal.datasets.dataset import Box, Dataset, Row
from sagittal.datasets.tables import inside, nearest, number_in, published, read_table
from sagittal.errors import BadInput
from sagittal.study.study import Study

NAME = "ChestX-ray14"
LICENCE = "no restriction on use; NIH Clinical Center asks to be acknowledged"
LAYOUT = "Data_Entry_2017*.csv, train_val_list.txt, test_list.txt and images/ or images_001/images/ ..."
LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
_SIZE = 1024
_SIZES = ("OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]")


def open_chestxray14(folder: str | Path) -> Dataset:
    """One row an image. "No Finding" is a row without any of the labels.

    Raises:
        BadInput: a table, column or label is missing or wrong.
    """
    folder = Path(folder)
    table = published(folder, "Data_Entry_2017*.csv", layout=LAYOUT)
    split_of = _splits(folder)
    boxes = _boxes(folder)
    index = {label: column for column, label in enumerate(LABELS)}
    rows, targets = [], []
    columns = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "View Position")
    for number, line in read_table(table, *columns, layout=LAYOUT):
        image = inside(line["Image Index"], table, number)
        values = np.zeros(len(LABELS), np.float32)
        for label in line["Finding Labels"].split("|"):
            if label == "No Finding":
                continue
            if label not in index:
                raise BadInput(f"{table} line {number}: {label!r} is no label", nearest(label, LABELS))
            values[index[label]] = 1
        sex = line.get("Patient Gender") or line.get("Patient Sex", "")
        sizes = (line.get(name, "") for name in _SIZES)
        cells = (image, line["View Position"], line["Patient ID"], sex, line["Patient Age"], *sizes)
        rows.append(
            Row(
                image,
                line["Patient ID"],
                split_of.get(image, ""),
                partial(_study, folder, cells),
                groups={"sex": sex, "view": line["View Position"]},
                boxes=boxes.get(image, ()),
                order=line["Follow-up #"].zfill(4),
            )
        )
        targets.append(values)
    if not rows:
        raise BadInput(f"{table} has no rows", LAYOUT)
    caveats = ("labels were mined from the reports", "the official split has no val: part train by patient")
    return Dataset(
        NAME, tuple(rows), LABELS, np.stack(targets), False, LICENCE, folder=folder, caveats=caveats
    )


def _splits(folder: Path) -> dict[str, str]:
    split_of: dict[str, str] = {}
    for name, split in (("train_val_list.txt", "train"), ("test_list.txt", "test")):
        path = folder / name
        if path.is_file():
            split_of |= dict.fromkeys(path.read_text("utf-8").split(), split)
    return split_of


def _boxes(folder: Path) -> dict[str, tuple[Box, ...]]:
    path = folder / "BBox_List_2017.csv"
    if not path.is_file():
        return {}
    boxes: dict[str, tuple[Box, ...]] = {}
    for number, line in read_table(path, "Image Index", "Finding Label", "Bbox [x", "y", "w", "h]"):
        x, y, w, h = (number_in(line[c], path, number, c) for c in ("Bbox [x", "y", "w", "h]"))
        # The box table alone writes Infiltrate.
        label = "Infiltration" if line["Finding Label"] == "Infiltrate" else line["Finding Label"]
        image = line["Image Index"]
        boxes[image] = (*boxes.get(image, ()), Box(label, (y, x, y + h, x + w)))
    return boxes


def _spacing(sizes: Sequence[str]) -> str:
    """Row and column pitch in mm of the published 1024 x 1024 picture; "" where the table lacks it.

    Args:
        sizes: width and height of the original in pixels, its column and row pitch in mm.
    """
    try:
        width, height, x, y = map(float, sizes)
    except ValueError:
        return ""
    return f"{y * height / _SIZE:.5g}x{x * width / _SIZE:.5g}"


def _study(folder: Path, cells: tuple[str, ...]) -> Study:
    image, view, patient, sex, age, *sizes = cells
    path = f"images/{image}"
    if not (folder / path).is_file():
        path = next(
            (str(p.relative_to(folder)) for p in sorted(folder.glob(f"images_*/images/{image}"))), path
        )
    said = {"modality": "DX", "body_part": "CHEST", "view": view, "spacing_mm": _spacing(sizes)}
    years = age.lstrip("0") or "0"
    # Some ages are typing errors of over 130 years; those are left unknown.
    return assemble(folder, (Image(path, said),), NAME, patient=person(patient, sex, years))

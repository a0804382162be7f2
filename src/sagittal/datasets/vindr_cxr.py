"""VinDr-CXR: 18,000 chest radiographs with boxes of 22 local labels and 6 global ones, by radiologists.

Layout of PhysioNet's version 1.0.0 (Nguyen et al., Scientific Data 2022)::

    train/<image_id>.dicom, test/<image_id>.dicom
    annotations/image_labels_train.csv    image_id, rad_id, one column a label: three readers an image
    annotations/image_labels_test.csv     image_id, one column a label: a consensus of five
    annotations/annotations_train.csv     image_id, rad_id, class_name, x_min, y_min, x_max, y_max
    annotations/annotations_test.csv      the same without rad_id
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from sagittal.datasets.assemble import Image, assemble
from sagittal.datasets.dataset import Box, Dataset, Row
from sagittal.datasets.tables import header, inside, number_in, published, read_table, same_labels
from sagittal.errors import BadInput

NAME = "VinDr-CXR"
LICENCE = "PhysioNet Credentialed Health Data License 1.5.0"
LAYOUT = "annotations/image_labels_{train,test}.csv, annotations/annotations_{train,test}.csv, train/, test/"
_NOT_LABELS = ("image_id", "rad_id")
_RENAMED = {"Other disease": "Other diseases"}
"""The test table writes one label differently."""


def open_vindr_cxr(folder: str | Path, *, readers: int = 2) -> Dataset:
    """One row an image; every reader's boxes are kept apart by ``Box.reader``.

    Args:
        readers: how many of an image's readers have to give a label for it to count.

    Raises:
        BadInput: a table, column or label is missing or wrong.
    """
    folder = Path(folder)
    published(folder, "annotations/image_labels_*.csv", layout=LAYOUT)
    votes: dict[tuple[str, str], list[list[float]]] = {}
    labels: tuple[str, ...] = ()
    for split in ("train", "test"):
        path = folder / "annotations" / f"image_labels_{split}.csv"
        if not path.is_file():
            continue
        columns = [name for name in header(path) if name and name not in _NOT_LABELS]
        here = tuple(_RENAMED.get(name, name) for name in columns)
        labels = labels or here
        same_labels(path, here, labels)
        for number, line in read_table(path, "image_id", layout=LAYOUT):
            line = {_RENAMED.get(name, name): cell for name, cell in line.items()}
            image = inside(line["image_id"], path, number)
            # An empty cell is a label that this reader did not give.
            cells = [number_in(line[label] or "0", path, number, label) for label in labels]
            if set(cells) - {0.0, 1.0}:
                raise BadInput(f"{path} line {number} has a label that is not 0 or 1")
            votes.setdefault((split, image), []).append(cells)
    if not votes:
        raise BadInput(f"{folder}: the tables have no rows", LAYOUT)
    boxes = _boxes(folder)
    rows, targets = [], []
    for (split, image), cast in votes.items():
        said = {"modality": "DX", "body_part": "CHEST"}
        load = partial(assemble, folder, (Image(f"{split}/{image}.dicom", said),), NAME)
        rows.append(Row(f"{split}/{image}", image, split, load, boxes=tuple(boxes.get((split, image), ()))))
        # A consensus is one row; of three readers as many as asked for have to agree.
        targets.append(np.sum(cast, 0) >= min(readers, len(cast)))
    return Dataset(
        NAME,
        tuple(rows),
        labels,
        np.array(targets, np.float32),
        False,
        LICENCE,
        folder=folder,
        caveats=("no patient ids: every image stands for a patient of its own",),
    )


def _boxes(folder: Path) -> dict[tuple[str, str], list[Box]]:
    boxes: dict[tuple[str, str], list[Box]] = {}
    corners = ("y_min", "x_min", "y_max", "x_max")
    for split in ("train", "test"):
        path = folder / "annotations" / f"annotations_{split}.csv"
        if not path.is_file():
            continue
        for number, line in read_table(path, "image_id", "class_name", *corners, layout=LAYOUT):
            if not line["x_min"]:
                continue  # "No finding" has no corners.
            y0, x0, y1, x1 = (number_in(line[c], path, number, c) for c in corners)
            box = Box(line["class_name"], (y0, x0, y1, x1), reader=line.get("rad_id", ""))
            boxes.setdefault((split, line["image_id"]), []).append(box)
    return boxes

"""CheXpert: 224,316 chest radiographs of 65,240 patients, labels mined from reports; validation by readers.

Layout of version 1.0, full size or small (Irvin et al., AAAI 2019)::

    train.csv, valid.csv    Path, Sex, Age, Frontal/Lateral, AP/PA, then the 14 labels
    train/patient00001/study1/view1_frontal.jpg ...

``Path`` begins with the folder's published name (CheXpert-v1.0-small/), whatever the folder is called here.
The test set, where it is there, is ``test.csv`` or ``test_labels.csv``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from sagittal.datasets.assemble import Image, assemble, person
from sagittal.datasets.chexpert14 import LABELS, As, check_policy, target
from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.tables import inside, published, read_table
from sagittal.errors import BadInput
from sagittal.study.study import Study

NAME = "CheXpert"
LICENCE = "Stanford University Dataset Research Use Agreement"
LAYOUT = (
    "train.csv and valid.csv with Path, Sex, Age, Frontal/Lateral, AP/PA and 14 labels, beside train/, valid/"
)
COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")
_TABLES = (("train.csv", "train"), ("valid.csv", "val"), ("test.csv", "test"), ("test_labels.csv", "test"))


def open_chexpert(folder: str | Path, *, uncertain: As = "unknown", unmentioned: As = "unknown") -> Dataset:
    """One row a study, with all its views.

    Args:
        uncertain: what a label of -1 counts as; unmentioned: what an empty one does.

    Raises:
        BadInput: a table, column or label is missing or wrong.
    """
    check_policy(uncertain=uncertain, unmentioned=unmentioned)
    folder = Path(folder)
    published(folder, "train.csv", "valid.csv", layout=LAYOUT)
    rows: dict[str, tuple[list[tuple[str, str, str, str]], str]] = {}
    targets: dict[str, list[float]] = {}
    for name, split in _TABLES:
        path = folder / name
        if not path.is_file():
            continue
        # The test labels come without the columns that describe the film.
        needed = ("Path",) if name == "test_labels.csv" else COLUMNS
        for number, line in read_table(path, *needed, *LABELS, layout=LAYOUT):
            parts = inside(line["Path"], path, number).split("/")
            if len(parts) < 4 or not parts[-3].startswith("patient"):
                raise BadInput(
                    f"{path} line {number}: Path is {line['Path']!r}",
                    "CheXpert-v1.0/train/patientNNNNN/studyN/viewN_frontal.jpg",
                )
            key = "/".join(parts[-4:-1])
            side = line.get("Frontal/Lateral") or ("Lateral" if "lateral" in parts[-1] else "")
            view = "LATERAL" if side == "Lateral" else line.get("AP/PA", "")
            film = ("/".join(parts[-4:]), view, line.get("Sex", ""), line.get("Age", ""))
            rows.setdefault(key, ([], split))[0].append(film)
            targets[key] = [target(line[label], uncertain, unmentioned, path, number) for label in LABELS]
    if not rows:
        raise BadInput(f"{folder}: the tables have no rows", LAYOUT)
    made = []
    for key, (films, split) in rows.items():
        _, patient, study = key.split("/")
        load = partial(_study, folder, patient, tuple(films))
        sex = films[0][2]
        groups = {"sex": sex} if sex in ("Male", "Female") else {}
        made.append(Row(key, patient, split, load, groups=groups, order=study.removeprefix("study").zfill(4)))
    caveats = ("the training labels were mined from the reports; those of valid and test are radiologists'",)
    values = np.array(list(targets.values()), np.float32)
    return Dataset(NAME, tuple(made), LABELS, values, False, LICENCE, folder=folder, caveats=caveats)


def _study(folder: Path, patient: str, films: tuple[tuple[str, str, str, str], ...]) -> Study:
    images = tuple(
        Image(
            path,
            {
                "modality": "DX",
                "body_part": "CHEST",
                "view": view if view in ("AP", "PA", "LATERAL", "LL", "RL") else "",
            },
        )
        for path, view, _, _ in films
    )
    # An age of 0 stands for unknown in the set.
    age = films[0][3].removesuffix(".0")
    return assemble(folder, images, NAME, patient=person(patient, films[0][2], "" if age == "0" else age))

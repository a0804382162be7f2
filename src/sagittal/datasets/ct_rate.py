"""CT-RATE: 25,692 chest CTs (50,188 reconstructions) of 21,304 patients with reports and eighteen labels.

Layout (Hamamci et al., arXiv 2403.17834)::

    dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz      patient / scan / reconstruction; valid_fixed
    dataset/radiology_text_reports/train_reports.csv, validation_reports.csv
        VolumeName, ClinicalInformation_EN, Technique_EN, Findings_EN, Impressions_EN
    dataset/multi_abnormality_labels/train_predicted_labels.csv, valid_predicted_labels.csv
    dataset/metadata/train_metadata.csv, validation_metadata.csv

The first release (``dataset/train``, ``dataset/valid``) lacks spacing, orientation and HU in its headers, and
is refused: only the ``_fixed`` volumes say where their voxels lie.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from sagittal.datasets.assemble import Image, assemble, day_of, person
from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.tables import header, inside, published, read_table, same_labels
from sagittal.errors import BadInput
from sagittal.study.context import Context
from sagittal.study.study import Study

NAME = "CT-RATE"
LICENCE = "CC BY-NC-SA 4.0"
LAYOUT = "[dataset/]radiology_text_reports/, multi_abnormality_labels/, metadata/, train_fixed/, valid_fixed/"
_PARTS = (
    ("train", "train_reports.csv", "train_predicted_labels.csv", "train_metadata.csv"),
    ("valid", "validation_reports.csv", "valid_predicted_labels.csv", "validation_metadata.csv"),
)


def open_ct_rate(folder: str | Path) -> Dataset:
    """One row a scan with all its reconstructions; the published validation part is ``val``.

    Raises:
        BadInput: a table, column or label is missing or wrong.
    """
    folder = Path(folder)
    if (folder / "dataset" / "multi_abnormality_labels").is_dir():
        folder = folder / "dataset"
    published(folder, "multi_abnormality_labels/*_predicted_labels.csv", layout=LAYOUT)
    labels: tuple[str, ...] = ()
    rows, targets = list[Row](), list[list[float]]()
    for part, reports, predicted, metadata in _PARTS:
        path = folder / "multi_abnormality_labels" / predicted
        if not path.is_file():
            continue
        here = tuple(name for name in header(path) if name and name != "VolumeName")
        labels = labels or here
        same_labels(path, here, labels)
        texts = _texts(folder / "radiology_text_reports" / reports)
        facts = _facts(folder / "metadata" / metadata)
        scans: dict[str, tuple[list[str], list[float]]] = {}
        for number, line in read_table(path, "VolumeName", *labels, layout=LAYOUT):
            volume = inside(line["VolumeName"], path, number)
            cells = [line[label] for label in labels]
            if set(cells) - {"0", "1", "0.0", "1.0"}:
                raise BadInput(f"{path} line {number} has a label that is not 0 or 1")
            scan = _scan(volume, path, number)
            scans.setdefault(scan, ([], [float(cell) for cell in cells]))[0].append(volume)
        for scan, (volumes, values) in scans.items():
            patient = scan.rpartition("_")[0]
            said = facts.get(volumes[0], ("", "", ""))
            text = texts.get(volumes[0], ("", ""))
            load = partial(_study, folder, part, patient, scan, tuple(volumes), said, text)
            split, report = ("train" if part == "train" else "val"), partial(str, text[1])
            groups = {"sex": said[0]} if said[0] else {}
            row = Row(scan, patient, split, load, groups=groups, read_report=report, order=said[2])
            rows.append(row)
            targets.append(values)
    if not rows:
        raise BadInput(f"{folder}: the tables have no rows", LAYOUT)
    caveats = ("the labels are a text classifier's, not radiologists'",)
    return Dataset(
        NAME,
        tuple(rows),
        labels,
        np.array(targets, np.float32),
        False,
        LICENCE,
        folder=folder,
        caveats=caveats,
    )


def _scan(volume: str, path: Path, number: int) -> str:
    """train_1_a of train_1_a_1.nii.gz."""
    scan, _, last = volume.removesuffix(".nii.gz").rpartition("_")
    if scan.count("_") != 2 or not last.isdigit():
        raise BadInput(f"{path} line {number}: VolumeName is {volume!r}", "a name like train_1_a_1.nii.gz")
    return scan


def _texts(path: Path) -> dict[str, tuple[str, str]]:
    """Volume -> (indication, report)."""
    if not path.is_file():
        return {}
    texts = {}
    columns = ("VolumeName", "ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN")
    for _, line in read_table(path, *columns, layout=LAYOUT):
        named = zip(("TECHNIQUE", "FINDINGS", "IMPRESSION"), columns[2:], strict=True)
        text = "\n".join(f"{name}: {line[column]}" for name, column in named if line[column])
        texts[line["VolumeName"]] = (line["ClinicalInformation_EN"], text)
    return texts


def _facts(path: Path) -> dict[str, tuple[str, str, str]]:
    """Volume -> (sex, age, date)."""
    if not path.is_file():
        return {}
    return {
        line["VolumeName"]: (
            line.get("PatientSex", ""),
            line.get("PatientAge", ""),
            line.get("StudyDate", ""),
        )
        for _, line in read_table(path, "VolumeName", layout=LAYOUT)
    }


def _study(
    folder: Path,
    part: str,
    patient: str,
    scan: str,
    volumes: tuple[str, ...],
    said: tuple[str, str, str],
    text: tuple[str, str],
) -> Study:
    place = f"{part}_fixed/{patient}/{scan}"
    first_release = folder / part / patient / scan / volumes[0]
    if not (folder / place / volumes[0]).is_file() and first_release.is_file():
        raise BadInput(
            f"{first_release} is of the first release: its header has no spacing, orientation or HU",
            f"{part}_fixed/ of the second release",
        )
    ct = {"modality": "CT", "body_part": "CHEST", "contrast_phase": "none"}
    images = tuple(Image(f"{place}/{volume}", ct) for volume in volumes)
    return assemble(
        folder,
        images,
        NAME,
        patient=person(patient, said[0], said[1]),
        report=text[1],
        context=Context(indication=text[0]),
        day=day_of(said[2]),
    )

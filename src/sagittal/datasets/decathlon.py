"""Medical Segmentation Decathlon: ten tasks, each a folder with one ``dataset.json``.

Layout (Antonelli et al., Nature Communications 2022)::

    dataset.json   name, licence, modality {"0": "MRI"}, labels {"0": "background", "1": "Anterior"},
                   training [{"image": "./imagesTr/x.nii.gz", "label": "./labelsTr/x.nii.gz"}],
                   test ["./imagesTs/y.nii.gz"]
    imagesTr/, labelsTr/, imagesTs/   NIfTI; a fourth axis holds the modalities (BRATS, prostate)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sagittal.datasets.assemble import combine, person, stated
from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.tables import inside, nearest, published, read_json_file
from sagittal.errors import BadInput
from sagittal.study.files import Source
from sagittal.study.nifti import channels_of, read_nifti
from sagittal.study.study import Patient, Study

LAYOUT = "dataset.json with modality, labels and training, beside imagesTr/ and labelsTr/"
_SEQUENCES = {"flair": "FLAIR", "t1w": "T1", "t1gd": "T1c", "t2w": "T2", "t2": "T2", "adc": "ADC"}
_PARTS = {
    "brats": "BRAIN",
    "la": "HEART",
    "liver": "ABDOMEN",
    "hippocampus": "BRAIN",
    "prostate": "PROSTATE",
    "lung": "CHEST",
    "pancreas": "ABDOMEN",
    "hepaticvessel": "ABDOMEN",
    "spleen": "ABDOMEN",
    "colon": "ABDOMEN",
}
"""File prefix -> body part."""


def open_decathlon(folder: str | Path) -> Dataset:
    """One row a case: training cases are ``train`` with a mask, test cases ``test`` without one.

    Raises:
        BadInput: ``dataset.json`` is missing or says nothing of what is needed.
    """
    folder = Path(folder)
    path = published(folder, "dataset.json", layout=LAYOUT)
    about = read_json_file(path)
    if not isinstance(about, dict):
        raise BadInput(f"{path} is no JSON object", LAYOUT)
    for key in ("modality", "labels", "training"):
        if key not in about:
            raise BadInput(f"{path} has no {key!r}", f"{nearest(key, about)}; {LAYOUT}")
    channels = tuple(str(name) for _, name in _numbered(about["modality"], path, "modality"))
    rows = [_row(folder, path, case, "train", channels) for case in about["training"]]
    rows += [_row(folder, path, case, "test", channels) for case in about.get("test", [])]
    if not rows:
        raise BadInput(f"{path} names no cases", LAYOUT)
    return Dataset(
        str(about.get("name") or folder.resolve().name),
        tuple(rows),
        (),
        np.zeros((len(rows), 0), np.float32),
        licence=str(about.get("licence") or about.get("license") or ""),
        folder=folder,
        mask_labels={n: str(name) for n, name in _numbered(about["labels"], path, "labels") if n},
        caveats=("no patient ids: every case stands for a patient of its own", "test cases have no mask"),
    )


def _numbered(given: Any, path: Path, key: str) -> list[tuple[int, Any]]:
    if not isinstance(given, Mapping) or not all(str(n).isdigit() for n in given):
        raise BadInput(f"{path}: {key} is no mapping of numbers to names", LAYOUT)
    return sorted((int(n), name) for n, name in given.items())


def _row(folder: Path, path: Path, case: Any, split: str, channels: tuple[str, ...]) -> Row:
    image, label = (case.get("image"), case.get("label", "")) if isinstance(case, dict) else (case, "")
    if not isinstance(image, str) or not isinstance(label, str):
        raise BadInput(f"{path}: a case is {case!r}", '{"image": "./imagesTr/x.nii.gz", "label": ...}')
    image = inside(image, path, 0)
    mask = inside(label, path, 0) if label else ""
    name = Path(image).name.removesuffix(".gz").removesuffix(".nii")
    return Row(name, name, split, partial(_study, folder, image, name, channels), mask=mask)


def _study(folder: Path, image: str, name: str, channels: tuple[str, ...]) -> Study:
    path = (folder / image).absolute()
    if not path.is_file():
        raise BadInput(f"{path} does not exist", LAYOUT)
    source = Source(path.name, path, path.stat().st_size)
    count = channels_of(source)
    if count != len(channels):
        raise BadInput(f"{path} has {count} channels", f"{len(channels)}: {', '.join(channels)}")
    opened = []
    for number, channel in enumerate(channels):
        series = read_nifti(source, channel=number if count > 1 else None)
        series = replace(series, description=f"{name} {channel}" if count > 1 else name)
        study = Study(series.uid, Patient(), (series,), path=str(path))
        said = {
            "modality": "CT" if channel.upper() == "CT" else "MR",
            "body_part": _PARTS.get(name.split("_")[0].lower(), ""),
            "sequence": _SEQUENCES.get(channel.lower(), ""),
        }
        opened.append(stated(study, said, "dataset.json"))
    return combine(opened, "dataset.json", patient=person(name))

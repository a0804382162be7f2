"""MedMNIST v2's ``.npz``: pictures with labels in a fixed train / val / test split.

Source: Yang et al., Scientific Data 2023. A file holds ``{train,val,test}_{images,labels}`` and
nothing about patients, views or ages; what a set's description adds is listed here by set, and is
recorded on every study as stated, not read. The file itself says which set it is only by its name
or by the official counts of its splits.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagittal.datasets.dataset import SPLITS, Dataset, Row
from sagittal.errors import BadInput
from sagittal.study.geometry import Plane
from sagittal.study.study import Patient, Series, Study
from sagittal.study.uid import derived_uid
from sagittal.study.volume import Volume

MAX_BYTES = 4 * 2**30
"""Largest uncompressed file that is read."""


@dataclass(frozen=True)
class Facts:
    """What a set's description says of every picture in it.

    Args:
        counts: official rows of train, val, test; ages: the stated range.
    """

    name: str
    counts: tuple[int, int, int]
    labels: tuple[str, ...]
    licence: str
    modality: str
    body_part: str
    view: str | None = None
    ages: tuple[float, float] | None = None


KNOWN = (
    Facts(
        "pneumoniamnist",
        (4708, 524, 624),
        ("pneumonia",),
        "CC BY 4.0",
        "DX",
        "CHEST",
        view="AP",
        ages=(1.0, 5.0),
    ),
    Facts("breastmnist", (546, 78, 156), ("normal_or_benign",), "CC BY 4.0", "US", "BREAST"),
)
"""Sets whose description is built in (Kermany et al., Cell 2018; Al-Dhabyani et al., 2020)."""


def _facts(path: Path, counts: tuple[int, ...]) -> Facts | None:
    by_name = [facts for facts in KNOWN if facts.name in path.stem.lower()]
    return next(iter(by_name), next((facts for facts in KNOWN if facts.counts == counts), None))


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The file's arrays; nothing is unpickled and nothing larger than `MAX_BYTES` is expanded."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise BadInput(f"{path} expands to {size / 2**30:.1f} GiB", f"at most {MAX_BYTES // 2**30} GiB")
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise BadInput(f"{path} cannot be read as .npz ({error})", "a MedMNIST .npz file") from None


def open_medmnist(path: str | Path) -> Dataset:
    """Open a MedMNIST file of grey or colour pictures; colour becomes luminance.

    Raises:
        BadInput: unreadable, no MedMNIST layout, or volumes instead of pictures.
    """
    path = Path(path)
    arrays = _arrays(path)
    there = [split for split in SPLITS if f"{split}_images" in arrays and f"{split}_labels" in arrays]
    if not there:
        raise BadInput(
            f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}", "train_images, train_labels …"
        )
    counts = tuple(len(arrays[f"{s}_images"]) if s in there else 0 for s in SPLITS)
    facts = _facts(path, counts)
    rows: list[Row] = []
    labels = []
    for split in there:
        images, truth = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        _check(path, split, images, truth)
        labels.append(np.asarray(truth, np.int64).reshape(len(truth), -1))
        for index, picture in enumerate(images):
            name = f"{split}/{index:06d}"
            rows.append(Row(name, name, split, partial(_study, path.stem, name, picture, facts)))
    names, targets, exclusive = _targets(np.concatenate(labels), facts)
    licence = facts.licence if facts else ""
    name, ages = (facts.name, facts.ages) if facts else (path.stem, None)
    return Dataset(name, tuple(rows), names, targets, exclusive, licence, ages)


def _check(path: Path, split: str, images: NDArray[np.generic], truth: NDArray[np.generic]) -> None:
    colour = images.ndim == 4 and images.shape[-1] == 3
    if images.ndim != 3 and not colour:
        raise BadInput(f"{path}: {split}_images has shape {images.shape}", "(n, y, x) or (n, y, x, 3)")
    if images.dtype != np.uint8 or not np.issubdtype(truth.dtype, np.integer):
        raise BadInput(f"{path}: {split} holds {images.dtype} and {truth.dtype}", "uint8 and integer labels")
    if len(images) != len(truth) or not len(images):
        raise BadInput(f"{path}: {split} has {len(images)} images and {len(truth)} labels", "as many of both")


def _targets(
    truth: NDArray[np.int64], facts: Facts | None
) -> tuple[tuple[str, ...], NDArray[np.float32], bool]:
    """Label names, (N, L) targets, and whether the labels are exclusive classes."""
    width, top = truth.shape[1], int(truth.max(initial=1))
    if truth.min(initial=0) < 0 or top > 1000:
        raise BadInput(f"labels run from {truth.min()} to {top}", "0 to 1000")
    if width == 1 and top > 1:
        classes = tuple(f"class_{k}" for k in range(top + 1))
        return classes, np.eye(top + 1, dtype=np.float32)[truth[:, 0]], True
    if top > 1:
        raise BadInput(f"several label columns with values up to {top}", "0 and 1")
    names = facts.labels if facts and len(facts.labels) == width else ()
    return names or tuple(f"label_{k}" for k in range(width)), truth.astype(np.float32), False


def _study(file: str, name: str, picture: NDArray[np.uint8], facts: Facts | None) -> Study:
    grey = picture if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114])
    volume = Volume(np.asarray(grey, np.float32), Plane())
    series = Series(
        uid=derived_uid(file, name, picture.tobytes()),
        modality=facts.modality if facts else "OT",
        shape=volume.shape,
        geometry=volume.geometry,
        unit="arbitrary",
        decode=lambda: volume,
        description=f"{file} {name}",
        body_part=facts.body_part if facts else None,
        view=facts.view if facts else None,
    )
    stated = {}
    if facts:
        source = f"by the description of {facts.name}"
        stated = {"modality": f"{facts.modality}, {source}", "body_part": f"{facts.body_part}, {source}"}
        if facts.view:
            stated["view"] = f"{facts.view}, {source}"
    age = None
    if facts and facts.ages:
        # Each child's own age is not known; the middle of the range stands for it.
        age = sum(facts.ages) / 2
        stated["age"] = f"{facts.ages[0]:g} to {facts.ages[1]:g} years, by the description of {facts.name}"
    patient = Patient(id=name, age_years=age)
    return Study(uid=derived_uid("study", series.uid), patient=patient, series=(series,), stated=stated)

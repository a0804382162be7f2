"""What every way of adapting shares: splits, the new input contract, calibration, results, the card."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sagittal.datasets.dataset import Dataset, Row
from sagittal.errors import BadInput, Refused
from sagittal.measure.calibration import fit_platt
from sagittal.measure.discrimination import auroc, auroc_interval
from sagittal.measure.statistics import wilson
from sagittal.study.contract import check
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.study.study import Study
from sagittal.zoo.card import LabelCard, Result

SEED = 0
VALIDATION = 0.15


@dataclass(frozen=True, eq=False)
class Arrays:
    """Studies as prepared arrays: images (N, C, *S) float32, targets (N, L) with NaN for unknown."""

    images: NDArray[np.float32]
    targets: NDArray[np.float32]


def splits(data: Dataset, seed: int = SEED) -> tuple[Dataset, Dataset, Dataset | None]:
    """(train, val, test or None). A set without val gives a share of its training patients.

    Raises:
        BadInput: nothing to train on, or patients shared between the splits.
    """
    if not any(row.split for row in data.rows):
        data = replace(data, rows=tuple(replace(row, split="train") for row in data.rows))
    train = data.only("train")
    if data.has("val"):
        val = data.only("val")
    else:
        patients = sorted({row.patient for row in train.rows})
        rng = np.random.default_rng(seed)
        held = set(rng.permutation(patients)[: max(1, round(VALIDATION * len(patients)))].tolist())
        if len(held) >= len(patients):
            raise BadInput(f"{data.name} has {len(patients)} training patient", "two at least")
        moved = [replace(r, split="val") if r.patient in held else r for r in train.rows]
        both = replace(train, rows=tuple(moved))
        train, val = both.only("train"), both.only("val")
    test = data.only("test") if data.has("test") else None
    for other in (val, test):
        shared = {r.patient for r in train.rows} & {r.patient for r in other.rows} if other else set()
        if shared:
            raise BadInput(
                f"{data.name}: {len(shared)} patients are in train and in another split",
                "each patient in one split",
            )
    return train, val, test


def spec_for(train: Dataset, val: Dataset, like: InputSpec) -> InputSpec:
    """The contract of a model fitted on these: whom it saw, all of them, in the array form of ``like``."""
    data = train
    seen = [row.load() for part in (train, val) for row in part.rows]
    series = [s.series[0] for s in seen if s.series]
    if not series:
        raise BadInput(f"{data.name} holds no images")

    def values(field: str) -> tuple[str, ...]:
        found = {getattr(one, field) for one in series}
        return () if None in found else tuple(sorted(found))

    parts = values("body_part")
    ages = [s.patient.age_years for s in seen]
    known = [a for a in ages if a is not None]
    span: tuple[float, float] | None = None
    if known and len(known) == len(ages):
        span = (float(math.floor(min(known))), float(math.ceil(max(known))))
    return replace(
        like,
        modality=tuple(sorted({s.modality for s in series})),
        body_part=parts[0] if len(parts) == 1 else None,
        view=values("view"),
        position=values("position"),
        age_years=data.age_years or span,
    )


def domain_of(data: Dataset) -> str:
    """What a calibration on ``data`` is of: "phantom NAME" if any study is synthetic, else "real NAME"."""
    synthetic = any(row.load().synthetic for row in data.rows)
    return f"{'phantom' if synthetic else 'real'} {data.name}"


def inside(test: Dataset | None, spec: InputSpec) -> tuple[Dataset | None, tuple[str, ...]]:
    """The studies of ``test`` that the contract takes, and a line on those that it refuses, for the card.

    A patient older than any that the model saw is no reason not to have it: results are of the others.
    """
    if test is None:
        return None, ()
    kept: list[int] = []
    refused: list[str] = []
    for number, row in enumerate(test.rows):
        study = first(row.load())
        try:
            check(study.series[0], spec, study)
            kept.append(number)
        except Refused as refusal:
            refused.append(f"{row.study} ({refusal})")
    if not refused:
        return test, ()
    what = f"{len(refused)} of {len(test)} test studies are outside what it was fitted on"
    left = replace(test, rows=tuple(test.rows[i] for i in kept), targets=test.targets[kept])
    return (left if kept else None), (f"{what}: {'; '.join(refused[:3])}",)


def first(study: Study) -> Study:
    """The study, if it has an image to learn from; BadInput otherwise."""
    if not study.series:
        raise BadInput(f"study {study.uid} holds no image series")
    return study


def load_arrays(data: Dataset, spec: InputSpec, advance: Callable[[int], None] | None = None) -> Arrays:
    """Every study of ``data`` by ``prepare``.

    Raises:
        BadInput: a study is outside ``spec``; names it, since a silent gap would change the set.
    """
    images = []
    for row in data.rows:
        images.append(array_of(row, spec))
        if advance is not None:
            advance(1)
    return Arrays(np.stack(images), data.targets)


def stack(rows: Sequence[Row], spec: InputSpec) -> NDArray[np.float32]:
    """Some rows' arrays (B, C, *S); BadInput as `load_arrays`."""
    return np.stack([array_of(row, spec) for row in rows])


def array_of(row: Row, spec: InputSpec) -> NDArray[np.float32]:
    """One row's array (C, *S)."""
    study = first(row.load())
    try:
        return prepare(study.series[0], spec, study).array
    except Refused as refusal:
        raise BadInput(f"{row.study} cannot be used to adapt: {refusal}") from None


def label_cards(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    raw: NDArray[np.float64],
    domain: str,
    exclusive: bool,
) -> tuple[LabelCard, ...]:
    """Platt's calibration of each label on validation data; classes that exclude each other keep theirs.

    A label whose scores do not rise with the truth there stays uncalibrated.
    """
    cards = []
    for column, label in enumerate(labels):
        known = ~np.isnan(targets[:, column])
        truth = targets[known, column]
        if exclusive or len(np.unique(truth)) < 2:
            cards.append(LabelCard(label, calibrated_on=None))
            continue
        platt = fit_platt(truth, raw[known, column], penalty=0.01)
        if platt.slope <= 0:  # would turn the ranking round, on what a few validation studies say by chance
            cards.append(LabelCard(label, calibrated_on=None))
            continue
        cards.append(LabelCard(label, platt.slope, platt.offset, domain))
    return tuple(cards)


def results(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    probability: NDArray[np.float64],
    data: str,
    domain: str,
    exclusive: bool,
) -> tuple[Result, ...]:
    """AUROC a label and accuracy, with intervals, on data never used to fit."""
    found = []
    for column, label in enumerate(labels):
        known = ~np.isnan(targets[:, column])
        truth, p = targets[known, column], probability[known, column]
        if len(np.unique(truth)) < 2 or min(np.bincount(truth.astype(int))) < 2:
            continue
        found.append(Result("auroc", label, auroc_interval(truth, p), data, domain))
        if not exclusive:
            right = int(((p >= 0.5) == (truth == 1)).sum())
            found.append(Result("accuracy", label, wilson(right, len(truth)), data, domain))
    if exclusive:
        whole = ~np.isnan(targets).any(axis=1)
        same = probability[whole].argmax(1) == targets[whole].argmax(1)
        found.append(Result("accuracy", "class", wilson(int(np.sum(same)), len(same)), data, domain))
    return tuple(found)


def selection_score(targets: NDArray[np.float32], probability: NDArray[np.float64]) -> float:
    """Mean AUROC over labels that have both answers; what validation data choose by."""
    scores = []
    for column in range(targets.shape[1]):
        known = ~np.isnan(targets[:, column])
        truth = targets[known, column]
        if len(np.unique(truth)) == 2:
            scores.append(auroc(truth, probability[known, column]))
    return float(np.mean(scores)) if scores else float("nan")

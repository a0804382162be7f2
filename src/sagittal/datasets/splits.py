"""Splits by patient, and whether anything leaks from one split into another."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sagittal.datasets.dataset import SPLITS, Dataset
from sagittal.datasets.reading import readable
from sagittal.datasets.tables import nearest
from sagittal.errors import BadInput


def split_patients(
    data: Dataset,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    *,
    seed: int = 0,
    stratify: Sequence[str] = (),
) -> Dataset:
    """Every patient in one of train, val and test, drawn by ``seed``; a split that was stated is replaced.

    Args:
        fractions: of patients, for train, val and test; together 1. 0 leaves a split out.
        stratify: labels whose combinations are spread evenly (a patient has one where any of its studies
            has), or names of groups.

    Raises:
        BadInput: fractions that make no sense, an unknown label, or too few patients for a split.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise BadInput(f"fractions {fractions}", "three numbers from 0 that add up to 1")
    patients = sorted({row.patient for row in data.rows})
    wanted = [name for name, share in zip(SPLITS, fractions, strict=True) if share]
    if len(patients) < len(wanted):
        raise BadInput(
            f"{data.name} has {len(patients)} patients", f"one at least for each of {', '.join(wanted)}"
        )
    rng = np.random.default_rng(seed)
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    kinds = _strata(data, stratify)
    for patient in patients:
        strata[kinds[patient]].append(patient)
    # Laid out stratum after stratum and dealt in proportion all along, so that small strata are shared
    # out as evenly as large ones.
    order = [
        str(name)
        for kind in sorted(strata, key=lambda kind: (len(strata[kind]), kind))
        for name in rng.permutation(strata[kind])
    ]
    part = dict(zip(order, _dealt(len(order), fractions, rng), strict=True))
    empty = [name for name in wanted if name not in part.values()]
    if empty:
        raise BadInput(
            f"{data.name}: {len(patients)} patients leave the split {empty[0]!r} empty", "a larger fraction"
        )
    return replace(data, rows=tuple(replace(row, split=part[row.patient]) for row in data.rows))


def _dealt(count: int, fractions: Sequence[float], rng: np.random.Generator) -> list[str]:
    """A split for each of ``count`` places: at each the one that lags most behind its share."""
    parts = [(name, share) for name, share in zip(SPLITS, fractions, strict=True) if share]
    # Ties are drawn, not always train first.
    lag = rng.uniform(0, 1e-6, len(parts)).tolist()
    dealt = []
    for _ in range(count):
        lag = [behind + share for behind, (_, share) in zip(lag, parts, strict=True)]
        choice = lag.index(max(lag))
        lag[choice] -= 1
        dealt.append(parts[choice][0])
    return dealt


def _strata(data: Dataset, stratify: Sequence[str]) -> dict[str, tuple[str, ...]]:
    groups = sorted({name for row in data.rows for name in row.groups})
    kinds: dict[str, list[str]] = {row.patient: [] for row in data.rows}
    for name in stratify:
        values: dict[str, str] = {}
        if name in data.labels:
            column = data.targets[:, data.labels.index(name)]
            # Positive on any study outweighs negative, negative outweighs unknown.
            for row, value in zip(data.rows, column, strict=True):
                word = "?" if np.isnan(value) else str(int(value))
                values[row.patient] = max(values.get(row.patient, "!"), word, key="!?01".index)
        elif name in groups:
            for row in data.rows:
                values[row.patient] = row.groups.get(name, "")
        else:
            raise BadInput(
                f"{data.name} has neither label nor group {name!r}", nearest(name, [*data.labels, *groups])
            )
        for patient, value in values.items():
            kinds[patient].append(value)
    return {patient: tuple(values) for patient, values in kinds.items()}


@dataclass(frozen=True)
class Leak:
    """The same patient, or the same picture, in two splits.

    Args:
        what: the patient's id, or the digest of the pixels.
        studies: all that share it, in the order of the set.
    """

    kind: Literal["patient", "image"]
    what: str
    splits: tuple[str, ...]
    studies: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.studies[:4]) + (" ..." if len(self.studies) > 4 else "")
        name = f"patient {self.what}" if self.kind == "patient" else "an identical image"
        return f"{name} is in {' and '.join(self.splits)}: {shown}"


def leaks(
    data: Dataset, *, images: bool = False, advance: Callable[[int], None] | None = None
) -> tuple[Leak, ...]:
    """What is in two splits; empty where nothing is.

    Args:
        images: compare the pixels as well: opens and decodes every study; those that cannot be read are
            passed over.
        advance: called with 1 after each study that was decoded.
    """
    by_patient: dict[str, list[int]] = defaultdict(list)
    place = {}
    for number, row in enumerate(data.rows):
        by_patient[row.patient].append(number)
        place[id(row)] = number
    found = [leak for key, rows in by_patient.items() if (leak := _leak(data, "patient", key, rows))]
    if images and data.rows:
        by_pixels: dict[str, list[int]] = defaultdict(list)
        for row, study in readable(data):
            for series in study.series:
                by_pixels[_digest(series.volume.voxels)].append(place[id(row)])
            if advance is not None:
                advance(1)
        found += [leak for key, rows in by_pixels.items() if (leak := _leak(data, "image", key, rows))]
    return tuple(found)


def check_leaks(data: Dataset, *, images: bool = False) -> None:
    """Raise BadInput where anything leaks; says how much and names the first."""
    found = leaks(data, images=images)
    if found:
        raise BadInput(
            f"{data.name}: {len(found)} leaks between splits; {found[0]}",
            "each patient and image in one split",
            "split_patients makes such a split",
        )


def _leak(data: Dataset, kind: Literal["patient", "image"], what: str, numbers: list[int]) -> Leak | None:
    splits = sorted({data.rows[n].split for n in numbers} - {""})
    if len(splits) < 2:
        return None
    names = tuple(dict.fromkeys(data.rows[n].study for n in numbers))
    return Leak(kind, what, tuple(splits), names)


def _digest(voxels: NDArray[np.generic]) -> str:
    """Of the grey values and shape alone: the same picture as uint8 and as float32 is the same."""
    digest = hashlib.sha256(repr(voxels.shape).encode())
    digest.update(np.ascontiguousarray(voxels, dtype=np.float32).tobytes())
    return digest.hexdigest()

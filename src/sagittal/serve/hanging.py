"""Hanging protocols and window presets, as data. Source: CLINICAL.md "Display"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagittal.study.study import Series

MR_ORDER = ("T1", "T1c", "T2", "FLAIR", "DWI", "ADC")


@dataclass(frozen=True)
class Preset:
    """A window with its name; the keys 1-5 choose it by its place."""

    name: str
    width: float
    level: float


LUNG = Preset("Lung", 1500, -600)
MEDIASTINUM = Preset("Mediastinum", 400, 40)
BONE = Preset("Bone", 2000, 500)
BRAIN = Preset("Brain", 80, 40)
SUBDURAL = Preset("Subdural", 200, 80)
STROKE = Preset("Stroke", 40, 40)

CT_CHEST = (LUNG, MEDIASTINUM, BONE)
CT_HEAD = (BRAIN, SUBDURAL, STROKE, BONE)
CT_OTHER = (MEDIASTINUM, LUNG, BONE, BRAIN, SUBDURAL)
_HEAD = ("BRAIN", "HEAD", "SKULL", "NECK")
_CHEST = ("CHEST", "LUNG", "THORAX")


def presets(series: Series, voxels: NDArray[Any]) -> tuple[Preset, ...]:
    """Windows for a series, the default first.

    CT has the fixed ones of its region; everything else has no common unit, so its windows
    follow the image's own grey levels.
    """
    if series.unit == "HU":
        part = (series.body_part or "").upper()
        if any(name in part for name in _HEAD):
            return CT_HEAD
        return CT_CHEST if any(name in part for name in _CHEST) else CT_OTHER
    sample = voxels.reshape(-1)[:: max(1, voxels.size // 200_000)].astype(np.float64)
    low, high = (float(v) for v in np.percentile(sample, (0.5, 99.5))) if sample.size else (0.0, 1.0)
    if series.modality == "MR":
        # Air is half of a head image: the lower end belongs to the background.
        body = sample[sample > low + 0.05 * (high - low)]
        if body.size:
            high = max(high, float(np.percentile(body, 99.5)))
    full = (float(sample.min()), float(sample.max())) if sample.size else (0.0, 1.0)
    middle, span = (low + high) / 2, max(high - low, 1.0)
    return (
        Preset("Standard", span + 1, middle + 0.5),
        Preset("Contrast", span / 2 + 1, middle + 0.5),
        Preset("Dark", span / 2 + 1, low + span / 4 + 0.5),
        Preset("Bright", span / 2 + 1, high - span / 4 + 0.5),
        Preset("Full", max(full[1] - full[0], 1.0) + 1, sum(full) / 2 + 0.5),
    )


@dataclass(frozen=True)
class Hung:
    """One pane: which series (its key), how it is cut, and which preset it starts with."""

    series: str
    plane: str
    preset: int = 0


def layout(current: dict[str, Series], prior: dict[str, Series]) -> tuple[int, tuple[Hung, ...]]:
    """(columns, panes) for a study and, where there is one, its prior."""
    shown = {key: series for key, series in current.items() if series.readable}
    before = {key: series for key, series in prior.items() if series.readable}
    volumes = {key: series for key, series in shown.items() if len(series.shape) == 3}
    if volumes and all(series.modality == "MR" for series in volumes.values()):
        return _magnetic(volumes, {k: s for k, s in before.items() if len(s.shape) == 3})
    if volumes:
        return _tomography(volumes, {k: s for k, s in before.items() if len(s.shape) == 3})
    films = [Hung(key, "film") for key in list(shown)[:2]]
    films += [Hung(key, "film") for key in list(before)[: max(1, 3 - len(films))]]
    return max(1, len(films)), tuple(films)


def _largest(volumes: dict[str, Series]) -> str:
    return max(volumes, key=lambda key: int(np.prod(volumes[key].shape)))


def native_plane(series: Series) -> str:
    """The plane a series was acquired in: the one across its coarsest axis."""
    if len(series.shape) != 3:
        return "film"
    letter = series.geometry.orientation[0]
    return {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal"}.get(letter, "sagittal")


def _tomography(volumes: dict[str, Series], before: dict[str, Series]) -> tuple[int, tuple[Hung, ...]]:
    key = _largest(volumes)
    if min(volumes[key].shape) < 3:
        return 1, (Hung(key, native_plane(volumes[key])),)
    if before:
        old = _largest(before)
        return 2, (
            Hung(key, "axial"),
            Hung(old, "axial"),
            Hung(key, "coronal"),
            Hung(old, "coronal"),
        )
    return 2, (Hung(key, "axial"), Hung(key, "axial", 1), Hung(key, "coronal"), Hung(key, "coronal", 1))


def _magnetic(volumes: dict[str, Series], before: dict[str, Series]) -> tuple[int, tuple[Hung, ...]]:
    def place(key: str) -> int:
        name = volumes[key].acquisition.sequence
        return MR_ORDER.index(name) if name in MR_ORDER else len(MR_ORDER)

    keys = sorted(volumes, key=place)[:6]
    panes = [Hung(key, native_plane(volumes[key])) for key in keys]
    if before:
        by_sequence = {series.acquisition.sequence: key for key, series in before.items()}
        wanted = [key for key in keys if volumes[key].acquisition.sequence in by_sequence]
        # Contrast-enhanced T1 and FLAIR are what progression is judged on.
        wanted.sort(key=lambda key: volumes[key].acquisition.sequence not in ("T1c", "FLAIR"))
        pairs = []
        for key in wanted[:2]:
            old = by_sequence[volumes[key].acquisition.sequence]
            pairs += [Hung(key, native_plane(volumes[key])), Hung(old, native_plane(before[old]))]
        if pairs:
            return 2, tuple(pairs)
    return min(3, max(1, len(panes))), tuple(panes)

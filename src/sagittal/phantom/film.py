"""Chest radiographs as cases: subject, follow-up, and the findings that are true of a film."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sagittal.phantom.anatomy import Chest
from sagittal.phantom.chest import ChestSubject, draw_chest, evolve_lesion, new_lesion
from sagittal.phantom.evidence import evidence_of, graded
from sagittal.phantom.lesions import Lesion
from sagittal.phantom.radiograph import Film, radiograph
from sagittal.phantom.truth import LABELS, Acquired, Scope, Split
from sagittal.report.finding import ChangeKind, Finding, Laterality, Measurement, Severity
from sagittal.report.vocabulary import concept, site
from sagittal.study.geometry import Plane
from sagittal.study.study import Acquisition, Series
from sagittal.study.volume import Volume

DETECTOR = "at the detector, uncorrected"
_SITES = {
    "pleural_effusion": "pleural_space",
    "pneumothorax": "pleural_space",
    "cardiomegaly": "heart",
}
_ZONES = {"upper": "upper_zone", "mid": "mid_zone", "lower": "lower_zone", "": "lung"}


def draw_subject(rng: np.random.Generator, split: Split) -> ChestSubject:
    """Draw a patient with the lesions that a radiograph shows."""
    return draw_chest(rng, split, "chest-xray")


def evolve(subject: ChestSubject, rng: np.random.Generator) -> tuple[ChestSubject, dict[str, ChangeKind]]:
    """The patient at the next study: every lesion stable, larger, smaller or gone, and some new."""
    chest = subject.chest
    later: list[Lesion] = []
    changes: dict[str, ChangeKind] = {}
    for lesion in subject.lesions:
        kind, factor = _fate(lesion, chest, rng)
        changes[lesion.name] = kind
        if kind is not ChangeKind.RESOLVED:
            later.append(evolve_lesion(lesion, factor, chest))
    for key in LABELS["chest-xray"]:
        if rng.random() < 0.15 and not any(lesion.key == key for lesion in subject.lesions):
            new = new_lesion(rng, chest, later, key)
            if new is not None:
                later.append(new)
                changes[new.name] = ChangeKind.NEW
    return replace(subject, lesions=tuple(later)), changes


def _fate(lesion: Lesion, chest: Chest, rng: np.random.Generator) -> tuple[ChangeKind, float]:
    """What becomes of a lesion, and the factor on its size; nodules change by 2.5 mm or more."""
    u, v = float(rng.random()), float(rng.random())
    if lesion.key == "cardiomegaly":
        return ChangeKind.STABLE, 1.0
    if lesion.key == "rib_fracture":
        return (ChangeKind.RESOLVED, 1.0) if u < 0.4 else (ChangeKind.STABLE, 1.0)
    kinds = (ChangeKind.STABLE, ChangeKind.LARGER, ChangeKind.SMALLER, ChangeKind.RESOLVED)
    kind = kinds[int(np.searchsorted([0.35, 0.6, 0.8], u, side="right"))]
    if kind in (ChangeKind.STABLE, ChangeKind.RESOLVED):
        return kind, 1.0
    grows = kind is ChangeKind.LARGER
    if lesion.key not in ("nodule", "mass"):
        return kind, 1.35 + 0.35 * v if grows else 0.5 + 0.2 * v
    # A nodule stays under 30 mm and a mass over it, so that neither changes its name.
    diameter = lesion.diameter_mm(chest)
    low, high = (6.0, 29.5) if lesion.key == "nodule" else (30.5, 95.0)
    room = min((high - diameter if grows else diameter - low), 12.0)
    if room < 2.5:
        return ChangeKind.STABLE, 1.0
    step = 2.5 + v * (room - 2.5)
    return kind, (diameter + (step if grows else -step)) / diameter


def acquire(
    subject: ChestSubject, rng: np.random.Generator, *, split: Split, size: int, scope: Scope
) -> Acquired:
    """Expose one film of ``size`` x ``size`` pixels."""
    film = radiograph(subject, rng, split=split, size=size)
    plane = Plane(film.spacing_mm, DETECTOR, ("L", "F"))
    volume = Volume(film.pixels, plane)
    series = Series(
        uid=scope.uid("series", "film"),
        modality="DX",
        shape=volume.shape,
        geometry=plane,
        unit="arbitrary",
        decode=lambda: volume,
        description=f"Chest {film.view}",
        body_part="CHEST",
        view=film.view,
        position=film.position,
        acquisition=Acquisition(
            manufacturer=film.manufacturer,
            model_name=film.model_name,
            kvp=film.kvp,
            exposure_mas=film.exposure_mas,
        ),
        number=1,
    )
    # What leaves no trace on the film (it lies behind the edge of the field) is not true of it.
    shown = [lesion for lesion in subject.lesions if film.masks[lesion.name].any()]
    kept = {"lung_right", "lung_left", "heart"} | {lesion.name for lesion in shown}
    masks = {name: Volume(mask, plane) for name, mask in film.masks.items() if name in kept}
    return Acquired(
        series=(series,),
        masks=masks,
        findings=tuple(_finding(lesion, subject.chest, film, masks, series.uid, scope) for lesion in shown),
        labels={key: int(any(lesion.key == key for lesion in shown)) for key in LABELS["chest-xray"]},
        contrast_to_noise={
            scope.tracking_uid(lesion.name): round(film.contrast_to_noise[lesion.name], 3)
            for lesion in shown
            if lesion.name in film.contrast_to_noise
        },
        measurements={"cardiothoracic_ratio": round(film.cardiothoracic_ratio, 4)},
        view=film.view,
        description="Chest radiograph",
    )


def _finding(
    lesion: Lesion, chest: Chest, film: Film, masks: dict[str, Volume], series_uid: str, scope: Scope
) -> Finding:
    mask = masks[lesion.name]
    measurements: tuple[Measurement, ...] = ()
    # "Rib fracture" says where it is, and a count of ribs has no one rib.
    place = (
        None if lesion.key == "rib_fracture" else site(_SITES.get(lesion.key, _ZONES[lesion.zone])).concept
    )
    severity: Severity | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    count: int | None = None
    if lesion.key in ("nodule", "mass", "consolidation"):
        size = round(lesion.diameter_mm(chest), 1)
        measurements = (
            Measurement(
                "diameter",
                (size,),
                "mm",
                method="phantom truth",
                plane="coronal",
                spacing_source="true size in the patient",
            ),
        )
    if lesion.key in ("nodule", "mass"):
        attributes = (("margin", lesion.margin),)
    elif lesion.key == "cardiomegaly":
        severity = graded(chest.ratio, 0.56, 0.6)
        ratio = Measurement("ratio", (round(chest.ratio, 3),), "1", method="cardiothoracic ratio")
        measurements = (ratio,)
    elif lesion.key in ("pleural_effusion", "pneumothorax"):
        lung = film.masks[f"lung_{lesion.side}"]
        area = float((np.asarray(mask.voxels) > 0).sum())
        severity = graded(area / max(area + float((lung & ~mask.voxels).sum()), 1.0), 0.15, 0.4)
    elif lesion.key == "rib_fracture":
        count = len(lesion.ribs)
    return Finding(
        observation=concept(lesion.key),
        site=place,
        laterality=Laterality(lesion.side) if lesion.side else None,
        severity=severity,
        attributes=attributes,
        count=count,
        measurements=measurements,
        tracking_uid=scope.tracking_uid(lesion.name),
        evidence=evidence_of(mask, lesion.name, series_uid),
        source="phantom",
    )

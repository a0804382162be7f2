"""Chest CT: one patient's chest and lesions, scanned."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from sagittal.phantom.anatomy import Chest, draw_anatomy
from sagittal.phantom.ct_body import Body, body, fit_grid, inside_lung
from sagittal.phantom.ct_lesions import CtLesion
from sagittal.phantom.ct_texture import lobe
from sagittal.phantom.evidence import evidence_of, graded
from sagittal.phantom.scanner import Protocol, draw_protocol, scan, seen
from sagittal.phantom.shapes import Array
from sagittal.phantom.truth import LABELS, Acquired, Scope, Split
from sagittal.report.finding import ChangeKind, Finding, Laterality, Measurement
from sagittal.report.vocabulary import concept, site
from sagittal.study.geometry import Geometry
from sagittal.study.study import Acquisition, Series
from sagittal.study.volume import Volume

PREVALENCE = 0.34
"""Chance of each label in a patient."""
SMALLEST_MM, LARGEST_MM = 6.0, 30.0
"""A nodule's diameter; below it is a speck, above it a mass."""
RING_MM = 9.0
"""Width of the ring around a lesion that its contrast-to-noise is measured against."""


@dataclass(frozen=True)
class CtSubject:
    """A patient: anatomy, lesions, and normal variants that mimic them."""

    chest: Chest
    lesions: tuple[CtLesion, ...]
    mimics: tuple[CtLesion, ...]

    @property
    def sex(self) -> str:
        return self.chest.sex

    @property
    def age_years(self) -> float:
        return self.chest.age_years


def draw_subject(rng: np.random.Generator, split: Split) -> CtSubject:
    """Draw a patient; every label is there with `PREVALENCE`."""
    ratio = float(rng.uniform(0.4, 0.54))
    chest = draw_anatomy(rng, split, "ct", ratio)
    inflation = rng.uniform(0.12, 0.17) if split == "train" else rng.uniform(0.1, 0.12)
    chest = replace(chest, lung=float(inflation))
    lesions: list[CtLesion] = []
    for key in LABELS["chest-ct"]:
        if rng.random() < PREVALENCE:
            lesions += _draw(key, chest, rng, lesions)
    return CtSubject(chest, tuple(lesions), _draw_mimics(chest, rng))


def _draw(
    key: str, chest: Chest, rng: np.random.Generator, others: list[CtLesion] | tuple[CtLesion, ...]
) -> list[CtLesion]:
    """One or more new lesions of ``key``, named after those that are there."""
    first = 1 + max((int(o.name.rsplit("-", 1)[1]) for o in others if o.key == key), default=0)
    count = 1
    if key == "nodule":
        count = int(rng.choice([1, 2, 3], p=[0.68, 0.22, 0.1]))
    sides = [("right", "left")[rng.integers(2)] for _ in range(count)]
    if key == "pleural_effusion" and rng.random() < 0.25:
        sides = ["right", "left"]
    if key == "emphysema":
        sides = ["both"]
    return [
        replace(_one(key, side, chest, rng), name=f"{key}-{first + k}", seed=int(rng.integers(2**31)))
        for k, side in enumerate(sides)
    ]


def _one(key: str, side: str, chest: Chest, rng: np.random.Generator) -> CtLesion:
    k = chest.scale
    if key == "nodule":
        solid = rng.random() < 0.45
        # Hazy nodules under 9 mm vanish in voxels of 2.5 mm; solid ones do not.
        smallest = SMALLEST_MM + 0.3 if solid else 9.0
        diameter = smallest + (LARGEST_MM - 0.5 - smallest) * rng.beta(1.1, 2.2)
        density = rng.uniform(0.85, 1.05) if solid else chest.lung + rng.uniform(0.15, 0.42)
        centre = _place(chest, side, diameter / 2 / k, rng)
        return CtLesion(key, "", side, centre, diameter / k, float(density), float(rng.random() ** 2))
    if key == "consolidation":
        diameter = float(rng.uniform(26, 70))
        centre = _place(chest, side, 8.0, rng)
        return CtLesion(key, "", side, centre, diameter / k, float(rng.uniform(0.4, 0.95)))
    if key == "pleural_effusion":
        volume = float(np.exp(rng.uniform(np.log(30), np.log(230))))
        return CtLesion(key, "", side, size=volume, density=float(rng.random()))
    extent, loss = float(rng.uniform(0.08, 0.4)), float(rng.uniform(0.42, 0.78))
    lower = 0.15 * rng.random() if rng.random() < 0.8 else 0.9
    return CtLesion(key, "", side, size=extent, density=loss, margin=float(lower))


def _place(chest: Chest, side: str, gap: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """A point of aerated lung, ``gap`` body mm from its front and back where there is such a point."""
    sign = 1 if side == "left" else -1
    low = np.array([18.0, -0.9 * chest.depth, min(chest.dome_left, chest.dome_right) - 30])
    high = np.array([0.98 * chest.width, chest.depth + 10, chest.apex - 8])
    points = (low + (high - low) * rng.random((160, 3))) * [sign, 1, 1]
    for wanted in (gap, 0.5 * gap, 0.0):
        good = np.flatnonzero(inside_lung(chest, points.astype(np.float32), float(wanted)))
        if len(good):
            x, y, z = points[good[0]]
            return float(x), float(y), float(z)
    return sign * 70.0, 10.0, 0.0


def _draw_mimics(chest: Chest, rng: np.random.Generator) -> tuple[CtLesion, ...]:
    k = chest.scale
    found: list[CtLesion] = []

    def add(key: str, side: str, **numbers: float) -> None:
        seed = int(rng.integers(2**31))
        found.append(CtLesion(key, f"{key}-{len(found) + 1}", side, seed=seed, **numbers))  # type: ignore[arg-type]

    for side in ("right", "left"):
        haze = float(rng.beta(1.0, 1.6))
        add("dependent", side, size=float(rng.uniform(1.5, 4 + 12 * haze)) / k, density=0.05 + 0.75 * haze)
        if rng.random() < 0.3:
            volume = float(np.exp(rng.uniform(np.log(20), np.log(200))))
            add("fat", side, size=volume, density=float(rng.random()))
        if rng.random() < np.clip((chest.age_years - 25) / 90, 0, 0.5):
            add("cap", side, size=float(rng.uniform(2, 6)) / k, density=float(rng.uniform(0.3, 0.9)))
    for key, most in (("scar", 3), ("speck", 4)):
        for _ in range(int(rng.integers(0, most))):
            side = ("right", "left")[rng.integers(2)]
            centre = _place(chest, side, 3.0, rng)
            size = rng.uniform(2.0, 4.0) if key == "speck" else rng.uniform(18, 45)
            add(key, side, centre=centre, size=float(size) / k, density=float(rng.uniform(0.6, 1.05)))  # type: ignore[arg-type]
    return tuple(found)


# --- the same patient later ---------------------------------------------------------------------


def evolve(subject: CtSubject, rng: np.random.Generator) -> tuple[CtSubject, dict[str, ChangeKind]]:
    """The patient at the next study: every lesion stable, larger, smaller or gone, and some new."""
    later: list[CtLesion] = []
    changes: dict[str, ChangeKind] = {}
    for lesion in subject.lesions:
        kind = _fate(lesion, subject.chest, rng)
        changes[lesion.name] = kind
        if kind is not ChangeKind.RESOLVED:
            later.append(_changed(lesion, kind, subject.chest, rng))
    for key in LABELS["chest-ct"]:
        here = [lesion for lesion in subject.lesions if lesion.key == key]
        if key != "emphysema" and rng.random() < 0.2 and (key == "nodule" or not here):
            new = _draw(key, subject.chest, rng, subject.lesions)[:1]
            later += new
            changes |= {lesion.name: ChangeKind.NEW for lesion in new}
    return replace(subject, lesions=tuple(later)), changes


def _fate(lesion: CtLesion, chest: Chest, rng: np.random.Generator) -> ChangeKind:
    if lesion.key == "emphysema":
        return ChangeKind.STABLE
    kinds = (ChangeKind.STABLE, ChangeKind.LARGER, ChangeKind.SMALLER, ChangeKind.RESOLVED)
    kind = kinds[rng.choice(4, p=[0.35, 0.25, 0.2, 0.2])]
    diameter = lesion.size * chest.scale
    if lesion.key == "nodule" and kind is ChangeKind.SMALLER and diameter < SMALLEST_MM + 3:
        return ChangeKind.RESOLVED
    if lesion.key == "nodule" and kind is ChangeKind.LARGER and diameter > LARGEST_MM - 3:
        return ChangeKind.STABLE
    return kind


def _changed(lesion: CtLesion, kind: ChangeKind, chest: Chest, rng: np.random.Generator) -> CtLesion:
    """Beyond any reader's repeatability when it changed (nodules by 2.5 mm or more), within it if not."""
    u = float(rng.random())
    if kind is ChangeKind.STABLE:
        return lesion.scaled(0.98 + 0.04 * u)
    grows = kind is ChangeKind.LARGER
    if lesion.key == "nodule":
        diameter = lesion.size * chest.scale
        room = LARGEST_MM - 0.2 - diameter if grows else diameter - SMALLEST_MM
        step = 2.5 + u * max(min(room, 10.0) - 2.5, 0)
        return replace(lesion, size=(diameter + (step if grows else -step)) / chest.scale)
    if lesion.key == "pleural_effusion":
        return lesion.scaled(2 + 2 * u if grows else 0.25 + 0.25 * u)
    return lesion.scaled(1.3 + 0.3 * u if grows else 0.55 + 0.2 * u)


# --- scanning -----------------------------------------------------------------------------------


def acquire(
    subject: CtSubject, rng: np.random.Generator, *, split: Split, size: int, scope: Scope
) -> Acquired:
    """Scan a patient: ``size`` voxels along each axis."""
    chest = subject.chest
    protocol = draw_protocol(rng, split)
    width = 2 * (1.06 * chest.width + 21 + chest.fat) * chest.scale
    field = round(max(240.0, width * protocol.field), 1)
    margins = float(rng.uniform(0, 30)), float(rng.uniform(0, 30))
    grid = fit_grid(chest, (size, size, size), field, margins, rng.uniform(-10, 10, 2))
    truth = body(chest, subject.lesions, subject.mimics, grid)
    spacing = tuple(pitch * chest.scale for pitch in grid.pitch)
    image = scan(truth.hu, spacing, protocol, rng)  # type: ignore[arg-type]
    origin = [float(axis[0]) * chest.scale for axis in (grid.x, grid.y, grid.z)]
    geometry = Geometry(Geometry.from_spacing(spacing, origin).affine, scope.uid("frame of reference"))
    series = _series(image, geometry, protocol, scope)
    masks = {name: Volume(mask, geometry) for name, mask in truth.masks.items()}
    masks |= {name: Volume(mask, geometry) for name, mask in truth.lesions.items()}
    ratios = _contrast_to_noise(truth, image, spacing, protocol)  # type: ignore[arg-type]
    lung = masks["lung_right"].inside_ml + masks["lung_left"].inside_ml
    return Acquired(
        series=(series,),
        masks=masks,
        findings=tuple(
            _finding(lesion, chest, masks[lesion.name], lung, series.uid, scope) for lesion in subject.lesions
        ),
        labels={key: int(any(o.key == key for o in subject.lesions)) for key in LABELS["chest-ct"]},
        contrast_to_noise={scope.tracking_uid(name): round(v, 3) for name, v in ratios.items()},
        measurements={
            "lung_volume_ml": round(lung, 1),
            "heart_volume_ml": round(masks["heart"].inside_ml, 1),
        },
        description="CT chest",
    )


def _series(image: Array, geometry: Geometry, protocol: Protocol, scope: Scope) -> Series:
    volume = Volume(np.rint(image).astype(np.int16), geometry, "HU")
    return Series(
        uid=scope.uid("series", "ct"),
        modality="CT",
        shape=volume.shape,
        geometry=geometry,
        unit="HU",
        decode=lambda: volume,
        description=f"Chest {protocol.kernel}",
        body_part="CHEST",
        position="HFS",
        acquisition=Acquisition(
            manufacturer=protocol.manufacturer,
            model_name=protocol.model_name,
            kvp=float(protocol.kvp),
            exposure_mas=protocol.mas,
            kernel=protocol.kernel,
            # Coarse grids are read as slices without gaps.
            slice_thickness_mm=max(protocol.slice_mm, round(geometry.spacing_mm[0], 2)),
        ),
        number=1,
    )


def _contrast_to_noise(
    truth: Body, image: Array, spacing: tuple[float, float, float], protocol: Protocol
) -> dict[str, float]:
    """|mean change by the lesion as scanned| / spread of the image in a lesion-free ring round it.

    The ring lies in aerated lung, with its vessels; round an effusion also in the chest wall, which
    is what it may be taken for. Emphysema is a proportion of the lung, not a place: it has no ratio.
    """
    if not truth.lesions:
        return {}
    change = seen(truth.hu - truth.healthy, spacing, protocol)
    taken: NDArray[np.bool_] = np.logical_or.reduce(list(truth.lesions.values()))
    lung = (truth.masks["lung_right"] | truth.masks["lung_left"]) & ~taken
    wide = ~taken & (truth.healthy > -990)
    found = {}
    for name, mask in truth.lesions.items():
        if name.startswith("emphysema"):
            continue
        if not mask.any():
            found[name] = 0.0
            continue
        reach = [1 + 2 * max(1, round(RING_MM / pitch)) for pitch in spacing]
        where = tuple(
            slice(max(int(hit[0]) - r, 0), int(hit[-1]) + r + 1)
            for hit, r in (
                (np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))), reach[axis])
                for axis in range(3)
            )
        )
        near = uniform_filter(mask[where].astype(np.float32), size=reach, mode="constant") > 1e-6
        usable = wide if name.startswith("pleural_effusion") else lung
        ring = image[where][near & usable[where]]
        noise = float(ring.std()) if ring.size > 20 else float("inf")
        found[name] = abs(float(change[mask].mean())) / max(noise, 1e-6)
    return found


def _finding(
    lesion: CtLesion, chest: Chest, mask: Volume, lung_ml: float, series_uid: str, scope: Scope
) -> Finding:
    amount = mask.inside_ml
    measurements = [Measurement("volume", (round(amount, 2),), "mL", method="phantom truth")]
    attributes: tuple[tuple[str, str], ...] = ()
    severity, place = None, "lung"
    if lesion.key in ("nodule", "consolidation"):
        place = lobe(chest, lesion.side, lesion.centre)
        diameter = Measurement(
            "diameter", (round(lesion.size * chest.scale, 1),), "mm", method="phantom truth", plane="axial"
        )
        measurements.insert(0, diameter)
    if lesion.key == "nodule":
        attributes = (("density", "solid" if lesion.density > 0.8 else "ground-glass"),)
    elif lesion.key == "pleural_effusion":
        place, severity = "pleural_space", graded(amount, 100, 300)
    elif lesion.key == "emphysema":
        share = amount / max(lung_ml, 1e-6)
        severity = graded(share, 0.15, 0.3)
        measurements = [Measurement("ratio", (round(share, 3),), "1", method="share of the lungs")]
    return Finding(
        observation=concept(lesion.key),
        site=site(place).concept,
        laterality=Laterality.BILATERAL if lesion.side == "both" else Laterality(lesion.side),
        severity=severity,
        attributes=attributes,
        measurements=tuple(measurements),
        tracking_uid=scope.tracking_uid(lesion.name),
        evidence=evidence_of(mask, lesion.name, series_uid),
        source="phantom",
    )

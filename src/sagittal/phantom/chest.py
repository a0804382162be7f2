"""One patient with an abnormal chest (or a normal one): anatomy, lesions, mimics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sagittal.phantom.anatomy import Chest, Pose, Split, draw_anatomy, side_sign
from sagittal.phantom.lesions import Lesion, air_gap, fluid_gap, site, zone_of

XRAY_LABELS = (
    "nodule",
    "mass",
    "pleural_effusion",
    "pneumothorax",
    "consolidation",
    "cardiomegaly",
    "rib_fracture",
)
CT_LABELS = ("nodule", "pleural_effusion", "consolidation", "emphysema")
PREVALENCE = 0.32
"""Chance of each finding, drawn independently."""


@dataclass(frozen=True)
class ChestSubject:
    """A patient: ``chest`` with its ``lesions``; mimics are shadows that are no lesions.

    Args:
        nipples: nipple shadows are seen. fold: side of a skin fold, or "".
    """

    chest: Chest
    lesions: tuple[Lesion, ...]
    nipples: bool = False
    fold: str = ""

    @property
    def sex(self) -> str:
        return self.chest.sex

    @property
    def age_years(self) -> float:
        return self.chest.age_years

    def has(self, key: str) -> bool:
        """Whether any lesion has this vocabulary key."""
        return any(lesion.key == key for lesion in self.lesions)


def draw_chest(
    rng: np.random.Generator,
    split: Split = "train",
    kind: Literal["chest-xray", "chest-ct"] = "chest-xray",
    *,
    prevalence: float = PREVALENCE,
) -> ChestSubject:
    """Draw a patient; each label of the kind is present with chance ``prevalence``."""
    labels = XRAY_LABELS if kind == "chest-xray" else CT_LABELS
    present = {key: bool(rng.random() < prevalence) for key in labels}
    pose: Pose = "ct" if kind == "chest-ct" else "erect" if rng.random() < 0.6 else "supine"
    large = present.get("cardiomegaly", False)
    # Most hearts lie near the limit of one half; the gap keeps the label beyond measurement error.
    u = float(rng.beta(1.0, 2.0))
    ratio = 0.511 + 0.038 * u if large else 0.491 - 0.046 * u
    chest = draw_anatomy(rng, split, pose, ratio)
    lesions: list[Lesion] = []
    if present.get("pneumothorax"):
        lesions.append(_pneumothorax(rng, chest))
    if present.get("pleural_effusion"):
        lesions += _effusions(rng, chest, lesions)
    if large:
        lesions.append(Lesion("cardiomegaly", "cardiomegaly-1", extent=ratio))
    if present.get("rib_fracture"):
        lesions.append(_fracture(rng, chest))
    if present.get("mass"):
        lesions.append(_mass(rng, chest, lesions, 1))
    if present.get("consolidation"):
        for n in range(1, 2 + int(rng.random() < 0.3)):
            lesions.append(_consolidation(rng, chest, lesions, n))
    if present.get("nodule"):
        for n in range(1, 2 + int(rng.choice(3, p=[0.6, 0.27, 0.13]))):
            lesions.append(_nodule(rng, chest, lesions, n))
    if present.get("emphysema"):
        share = float(rng.uniform(0.08, 0.35))
        lesions.append(Lesion("emphysema", "emphysema-1", zone="upper", extent=share, seed=_seed(rng)))
    nipples = bool(rng.random() < (0.3 if chest.sex == "M" else 0.22))
    fold = str(rng.choice(["right", "left"])) if pose == "supine" and rng.random() < 0.3 else ""
    return ChestSubject(chest, tuple(lesions), nipples and kind == "chest-xray", fold)


def evolve_lesion(lesion: Lesion, factor: float, chest: Chest) -> Lesion:
    """The same lesion ``factor`` times as large (length of a nodule, height of fluid, width of air)."""
    radii = tuple(r * factor for r in lesion.radii)
    changed = replace(lesion, radii=(radii[0], radii[1], radii[2]))
    if lesion.key == "pleural_effusion" and chest.pose == "erect":
        floor = _floor(chest, lesion.side)
        return replace(changed, extent=floor + (lesion.extent - floor) * factor)
    if lesion.key in ("pleural_effusion", "pneumothorax", "emphysema"):
        return replace(changed, extent=lesion.extent * factor)
    return changed


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _side(rng: np.random.Generator) -> str:
    return "left" if rng.random() < 0.5 else "right"


def _floor(chest: Chest, side: str) -> float:
    """z of the costophrenic angle."""
    return (chest.dome_left if side == "left" else chest.dome_right) - chest.sulcus


def _pneumothorax(rng: np.random.Generator, chest: Chest) -> Lesion:
    side = _side(rng)
    if chest.pose == "erect":
        gap = 16 + 38 * float(rng.beta(1.2, 1.6))
        reach = float(rng.uniform(-110, 30))
        return Lesion("pneumothorax", "pneumothorax-1", side, "upper", extent=gap, reach=reach)
    return Lesion("pneumothorax", "pneumothorax-1", side, "lower", extent=float(rng.uniform(35, 85)))


def _effusions(rng: np.random.Generator, chest: Chest, before: list[Lesion]) -> list[Lesion]:
    air = [lesion.side for lesion in before if lesion.key == "pneumothorax"]
    first = {"right": "left", "left": "right"}[air[0]] if air else _side(rng)
    sides = [first]
    if not air and rng.random() < 0.3:
        sides.append("left" if first == "right" else "right")
    out = []
    for n, side in enumerate(sides, 1):
        size = float(rng.beta(1.3, 1.8))
        extent = _floor(chest, side) + 52 + 75 * size if chest.pose == "erect" else 32 + 50 * size
        out.append(Lesion("pleural_effusion", f"pleural_effusion-{n}", side, "lower", extent=extent))
    return out


def _fracture(rng: np.random.Generator, chest: Chest) -> Lesion:
    side = _side(rng)
    count = int(rng.choice([1, 2, 3, 4], p=[0.15, 0.3, 0.3, 0.25]))
    first = int(rng.integers(3, 10 - count))
    where = float(rng.uniform(0.22, 0.62))
    offset = float(rng.uniform(11.0, 18.0)) * (0.7 + 0.3 * chest.scale)
    return Lesion(
        "rib_fracture",
        "rib_fracture-1",
        side,
        ribs=tuple(range(first, first + count)),
        where=where,
        offset=offset,
        seed=_seed(rng),
    )


def _placed(
    rng: np.random.Generator, chest: Chest, before: list[Lesion], margin: float
) -> tuple[str, tuple[float, float, float]]:
    """A site that air or fluid beside the lung does not swallow, away from the other blobs."""
    best = site(chest, rng, margin)
    for _ in range(30):
        side, point = site(chest, rng, margin)
        z = np.array([point[2]], np.float32)
        off = 0.0
        for lesion in before:
            if lesion.side != side or chest.pose != "erect":
                continue
            if lesion.key == "pneumothorax":
                off += float(air_gap(chest, lesion, z)[0])
            elif lesion.key == "pleural_effusion":
                off += float(fluid_gap(lesion, z)[0])
        blobs = [le for le in before if max(le.radii) > 0]
        apart = all(
            np.hypot(le.centre[0] - point[0], le.centre[2] - point[2])
            > 0.8 * (max(le.radii[0], le.radii[2]) + margin)
            for le in blobs
        )
        best = side, point
        if apart and off + abs(point[0]) + margin < 0.9 * chest.width and off < 25:
            break
    return best


def _nodule(rng: np.random.Generator, chest: Chest, before: list[Lesion], n: int) -> Lesion:
    diameter = float(rng.triangular(8.0, 23.0, 27.0)) / chest.scale
    r = diameter / 2
    side, centre = _placed(rng, chest, before, r + 1)
    margin = str(rng.choice(["smooth", "lobulated", "spiculated"], p=[0.5, 0.3, 0.2]))
    squash = float(rng.uniform(0.8, 1.0))
    radii = (r, r * float(rng.uniform(1.2, 2.3)), r * squash)
    if rng.random() < 0.5:
        radii = (radii[2], radii[1], radii[0])
    return Lesion(
        "nodule",
        f"nodule-{n}",
        side,
        zone_of(chest, centre[2], side),
        centre,
        radii,
        float(rng.uniform(0.9, 1.04)),
        margin,
        seed=_seed(rng),
    )


def _mass(rng: np.random.Generator, chest: Chest, before: list[Lesion], n: int) -> Lesion:
    diameter = float(34 + 33 * rng.beta(1.1, 2.0)) / chest.scale
    r = diameter / 2
    side, centre = _placed(rng, chest, before, r * 0.8)
    margin = str(rng.choice(["smooth", "lobulated", "spiculated"], p=[0.3, 0.45, 0.25]))
    radii = (r, r * float(rng.uniform(0.7, 1.2)), r * float(rng.uniform(0.75, 1.0)))
    return Lesion(
        "mass",
        f"mass-{n}",
        side,
        zone_of(chest, centre[2], side),
        centre,
        radii,
        float(rng.uniform(0.85, 1.04)),
        margin,
        seed=_seed(rng),
    )


def _consolidation(rng: np.random.Generator, chest: Chest, before: list[Lesion], n: int) -> Lesion:
    r = float(rng.uniform(20, 42))
    side, centre = _placed(rng, chest, before, 0.55 * r)
    lobar = rng.random() < 0.4
    centre = (side_sign(side) * abs(centre[0]), centre[1], centre[2])
    return Lesion(
        "consolidation",
        f"consolidation-{n}",
        side,
        zone_of(chest, centre[2], side),
        centre,
        (r * float(rng.uniform(0.8, 1.3)), float(rng.uniform(30, 60)), r * float(rng.uniform(0.7, 1.1))),
        float(rng.uniform(0.6, 0.95)),
        "lobar" if lobar else "patchy",
        seed=_seed(rng),
    )


def new_lesion(rng: np.random.Generator, chest: Chest, before: list[Lesion], key: str) -> Lesion | None:
    """One more lesion of ``key`` that ``chest`` did not have; None where the key cannot just appear."""
    number = 1 + max((int(le.name.rsplit("-", 1)[1]) for le in before if le.key == key), default=0)
    match key:
        case "nodule":
            return _nodule(rng, chest, before, number)
        case "mass":
            return _mass(rng, chest, before, number)
        case "consolidation":
            return _consolidation(rng, chest, before, number)
        case "rib_fracture":
            return replace(_fracture(rng, chest), name=f"rib_fracture-{number}")
        case "pneumothorax":
            return replace(_pneumothorax(rng, chest), name=f"pneumothorax-{number}")
        case "pleural_effusion":
            return replace(_effusions(rng, chest, before)[0], name=f"pleural_effusion-{number}")
    return None

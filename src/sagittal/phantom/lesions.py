"""Lesions of the chest: drawing them, and their shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sagittal.phantom.anatomy import MUSCLE, Chest, cage_profile, heart, side_sign
from sagittal.phantom.shapes import Array, Cloud, Interval, Term, clip
from sagittal.phantom.skeleton import SIDES, rib_clouds, rib_paths
from sagittal.phantom.texture import noise
from sagittal.phantom.vessels import scatter

Key = Literal[
    "nodule",
    "mass",
    "pleural_effusion",
    "pneumothorax",
    "consolidation",
    "cardiomegaly",
    "rib_fracture",
    "emphysema",
]
Zone = Literal["upper", "mid", "lower", ""]


@dataclass(frozen=True)
class Lesion:
    """One lesion of a `Chest`; lengths in body mm (real mm = body mm x ``chest.scale``).

    Args:
        key: vocabulary key. name: "<key>-<n>", the name of its mask.
        side: "right", "left", or "" (heart, both lungs). zone: lung zone.
        centre, radii: (x, y, z) of a nodule, mass or consolidation.
        density: g/cm3 the lung is raised to where the lesion is thickest.
        margin: "smooth", "lobulated", "spiculated", "patchy", "lobar".
        extent: effusion: z of the meniscus, or thickness of the layer when supine; pneumothorax: gap
            at the apex, or thickness in front when supine; emphysema: share of lung destroyed.
        reach: pneumothorax: z down to which the gap reaches.
        ribs: broken ribs. where: fraction of the way round the rib. offset: displacement, body mm.
        seed: drives its fine shape.
    """

    key: Key
    name: str
    side: str = ""
    zone: Zone = ""
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    radii: tuple[float, float, float] = (0.0, 0.0, 0.0)
    density: float = 0.0
    margin: str = "smooth"
    extent: float = 0.0
    reach: float = 0.0
    ribs: tuple[int, ...] = ()
    where: float = 0.0
    offset: float = 0.0
    seed: int = 0

    def diameter_mm(self, chest: Chest) -> float:
        """Longest diameter in the coronal plane, real mm (nodule, mass, consolidation)."""
        return 2 * max(self.radii[0], self.radii[2]) * chest.scale


def zone_of(chest: Chest, z: float, side: str) -> Zone:
    """Upper, mid or lower third between the apex and the dome."""
    bottom = chest.dome_left if side == "left" else chest.dome_right
    share = (chest.apex - z) / (chest.apex - bottom)
    return "upper" if share < 0.4 else "mid" if share < 0.68 else "lower"


def site(
    chest: Chest, rng: np.random.Generator, margin: float, side: str | None = None
) -> tuple[str, tuple[float, float, float]]:
    """A side and a point of aerated lung at least ``margin`` inside the cage and clear of the heart."""
    for _ in range(200):
        s = side or ("left" if rng.random() < 0.5 else "right")
        sign = side_sign(s)
        dome = chest.dome_left if s == "left" else chest.dome_right
        z = float(rng.uniform(dome + margin + 4, chest.apex - margin - 12))
        below = np.array([chest.apex - z - margin], np.float32)
        outer, deep, centre, medial = (float(a[0]) for a in cage_profile(chest, np.maximum(below, 1)))
        outer -= margin + 3
        inner = max(medial, 20.0) + margin + 2
        edge = heart(chest)
        (cx, _, cz), (a, _, b), _ = edge.ventricle
        if s == "left" and z < cz + b:
            lift = max(0.0, 1 - ((z - cz) / b) ** 2) ** 0.5
            inner = max(inner, cx + 0.9 * a * lift + margin * 0.6)
        if s == "right" and z < cz + b:
            inner = max(inner, 0.33 * chest.ratio * 2 * chest.width + margin * 0.6)
        if inner >= outer:
            continue
        x = float(rng.uniform(inner, outer))
        room = (deep - margin) * max(0.0, 1 - (x / (outer + margin + 3)) ** 2.3) ** 0.5
        y = centre + float(rng.uniform(-0.75, 0.75)) * max(room, 0)
        return s, (sign * x, y, z)
    s = side or "right"
    return s, (side_sign(s) * 70.0, 10.0, 10.0)


# --- shapes -------------------------------------------------------------------------------------


def blob(lesion: Lesion, xz: tuple[Array, Array]) -> Interval:
    """Interval along y of a nodule, mass or consolidation, with its margin's irregular edge."""
    cx, cy, cz = lesion.centre
    rx, ry, rz = lesion.radii
    dx, dz = (xz[0] - np.float32(cx)) / np.float32(rx), (xz[1] - np.float32(cz)) / np.float32(rz)
    r2 = dx * dx + dz * dz
    if lesion.margin in ("patchy", "lobar"):
        # Ragged and fading at the edge: thinner where the noise is high.
        rough = 0.4 * noise(xz, lesion.seed, 0.6, 2.2, 5) + 0.06 * noise(xz, lesion.seed + 9, 0.9, 1.5, 8)
        q = np.maximum(1 - r2 - np.float32(1.0 if lesion.margin == "patchy" else 0.4) * rough, 0)
        half = np.float32(0.8 * ry) * np.minimum(q, 1.3)
        if lesion.margin == "lobar":
            # Sharp where a fissure bounds it.
            flat = np.float32(cz - 0.45 * rz) + np.float32(0.06) * (xz[0] - np.float32(cx))
            half = half * np.clip((xz[1] - flat) / 4, 0, 1)
        return np.float32(cy) - half, np.float32(cy) + half
    if lesion.margin != "smooth":
        theta = np.arctan2(dz, dx)
        wobble = np.zeros_like(theta)
        rng = np.random.default_rng(lesion.seed)
        for k in (2, 3, 5):
            size, turn = rng.uniform(0.04, 0.11), rng.uniform(0, 6.3)
            wobble += np.float32(size) * np.sin(k * theta + np.float32(turn))
        r2 = r2 / (1 + wobble) ** 2
    half = np.float32(ry) * np.sqrt(np.maximum(1 - r2, 0))
    return np.float32(cy) - half, np.float32(cy) + half


def spicules(lesion: Lesion, soft: float) -> Cloud:
    """Fine strands leaving a spiculated nodule."""
    rng = np.random.default_rng(lesion.seed + 1)
    n = 14
    v = rng.normal(0, 1, (n, 3))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    start = np.array(lesion.centre) + 0.85 * v * np.array(lesion.radii)
    end = start + v * rng.uniform(3, 9, (n, 1))
    thick = np.full(n, 0.8, np.float32)
    points, volume = scatter(start.astype(np.float32), end.astype(np.float32), thick, thick * 0.3)
    return Cloud(lesion.name, points, volume, soft)


def bronchograms(lesion: Lesion, soft: float) -> Cloud:
    """Air-filled bronchi inside a consolidation (``soft`` is negative)."""
    rng = np.random.default_rng(lesion.seed + 2)
    cx, cy, cz = lesion.centre
    rx, ry, rz = lesion.radii
    sign = np.sign(cx)
    n = 5
    start = np.array([[cx - sign * 0.8 * rx, cy, cz + 0.2 * rz]]) + rng.normal(0, 3, (n, 3))
    end = np.array([cx, cy, cz]) + rng.uniform(-0.75, 0.75, (n, 3)) * np.array([rx, 0.5 * ry, rz])
    twig = end + 0.4 * (end - start) + rng.normal(0, 5, (n, 3))
    r0 = rng.uniform(1.5, 2.4, n)
    a = np.concatenate([start, end]).astype(np.float32)
    b = np.concatenate([end, twig]).astype(np.float32)
    r = np.concatenate([r0, 0.65 * r0]).astype(np.float32)
    points, volume = scatter(a, b, r, r * 0.65)
    near = (((points - np.array(lesion.centre)) / np.array(lesion.radii)) ** 2).sum(1) < 0.9
    return Cloud(lesion.name, points[near], volume[near], soft)


def fluid_gap(lesion: Lesion, z: Array) -> Array:
    """Erect effusion: how far fluid holds the lung off the chest wall at height ``z``."""
    s = np.maximum(np.float32(lesion.extent) - z, 0)
    return 0.35 * s + (s / 19) ** 3


def air_gap(chest: Chest, lesion: Lesion, z: Array) -> Array:
    """Erect pneumothorax: how far air holds the lung off the chest wall."""
    t = np.clip((z - np.float32(lesion.reach)) / np.float32(chest.apex - lesion.reach), 0, 1)
    return np.float32(lesion.extent) * t * (1.6 - 0.6 * t)


def broken_rib(chest: Chest, lesion: Lesion, number: int) -> Cloud:
    """Rib with a gap and a step at ``where``; the front fragment is displaced and drifts back."""
    path = rib_paths(chest)[SIDES.index(lesion.side), number - 1]
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    rng = np.random.default_rng((lesion.seed, number))
    at = arc[-1] * (lesion.where + float(rng.uniform(-0.03, 0.03)))
    sign = 1.0 if rng.random() < 0.5 else -1.0
    gap = float(rng.uniform(2.0, 6.0))
    pieces = []
    for start, stop in ((0.0, at), (at + gap, float(arc[-1]))):
        fine = np.linspace(start, stop, 64)
        pieces.append(np.stack([np.interp(fine, arc, path[:, k]) for k in range(3)], 1))
    far = np.linspace(gap, float(arc[-1]) - at, 64)
    inward = np.array([-side_sign(lesion.side) * 0.45, 0.0, sign * 0.9])
    pieces[1] = pieces[1] + lesion.offset * np.exp(-far / 55)[:, None] * inward
    halves = rib_clouds(chest, np.stack(pieces), np.array([number, number]))
    return Cloud(
        "rib",
        np.concatenate([p.points for p in halves]),
        np.concatenate([p.volume for p in halves]),
        halves[0].soft,
        halves[0].bone,
    )


def fracture_points(chest: Chest, lesion: Lesion) -> Array:
    """(n, 3) where the ribs are broken."""
    out = []
    paths = rib_paths(chest)
    for number in lesion.ribs:
        path = paths[SIDES.index(lesion.side), number - 1]
        out.append(path[int(np.clip(lesion.where, 0, 1) * (len(path) - 1))])
    return np.array(out, np.float32)


def raised(lung: tuple[Term, ...], interval: Interval) -> tuple[Term, ...]:
    """Terms of the lesion inside aerated lung."""
    return clip(lung, interval)


def excess(chest: Chest, lesion: Lesion) -> float:
    """Density change of lung filled by the lesion."""
    return min(lesion.density, MUSCLE) - chest.lung

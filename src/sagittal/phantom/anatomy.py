"""A parametric chest: one patient's thorax as numbers, and the shapes that follow from them.

Lengths are "body mm": millimetres of a standard adult; real mm = body mm x ``scale``. The origin is
the carina; x to the patient's left, y posterior, z superior. Proportions follow anatomy atlases and
are rounded; what the project claims about them is only what `benchmarks/phantom_realism.py` measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sagittal.phantom.shapes import (
    FAR,
    Array,
    Interval,
    Rays,
    ellipsoid,
    hull,
)

Split = Literal["train", "heldout"]
Pose = Literal["erect", "supine", "ct"]

MUSCLE, FAT, BLOOD = 1.04, 0.93, 1.05
"""Water-equivalent densities, g/cm3."""


@dataclass(frozen=True)
class Chest:
    """One patient's thorax.

    Args:
        width, depth: inner half-width and half-depth of the rib cage at its widest.
        apex: z of the lung apices; dome_right, dome_left: z of the diaphragm domes.
        sulcus: drop from the dome to the costophrenic angle.
        fat: subcutaneous fat; breast: radius of the breasts, 0: none.
        ratio: true cardiothoracic ratio; share: part of the heart right of the midline; heart_angle:
            radians the apex points below the horizontal; pads: size of the pericardial fat pads.
        arch, aorta_x: size of the aortic knob, how far the descending aorta lies to the left.
        lung: density of aerated lung; branching, tortuosity, vessel_gain: the vessel tree.
        rib_slope, rib_height, mineral: ribs' drop, their height, mineral content of all bone.
        seed: everything finer (tree, ribs, texture) is drawn from it.
    """

    sex: str
    age_years: float
    pose: Pose
    scale: float
    width: float
    depth: float
    apex: float
    dome_right: float
    dome_left: float
    sulcus: float
    fat: float
    breast: float
    ratio: float
    share: float
    pads: float
    heart_angle: float
    arch: float
    aorta_x: float
    asymmetry: float
    lung: float
    branching: float
    tortuosity: float
    vessel_gain: float
    rib_slope: float
    rib_height: float
    mineral: float
    scoliosis: float
    bubble: float
    seed: int
    split: Split = "train"

    @property
    def child(self) -> bool:
        return self.age_years < 16

    def with_ratio(self, ratio: float) -> Chest:
        """The same chest with another heart size."""
        return replace(self, ratio=ratio)


def span(
    rng: np.random.Generator, split: Split, train: tuple[float, float], heldout: tuple[float, float]
) -> float:
    """Uniform in the range of the split; the two ranges never overlap."""
    low, high = train if split == "train" else heldout
    return float(rng.uniform(low, high))


def draw_anatomy(rng: np.random.Generator, split: Split, pose: Pose, ratio: float) -> Chest:
    """Draw a chest without lesions.

    ``heldout`` patients differ in habitus (depth for width), fat, vessel tree and ribs from every
    training patient.
    """
    sex = "F" if rng.random() < 0.47 else "M"
    child = rng.random() < 0.08
    age = float(rng.uniform(3, 16)) if child else float(np.clip(rng.normal(58, 19), 16, 96))
    adult = 0.93 if sex == "F" else 1.0
    grown = 1.0 if age >= 16 else 0.5 + 0.5 * (age / 16) ** 0.9
    scale = adult * grown * float(rng.uniform(0.94, 1.06))
    supine = pose == "supine"
    low = float(rng.uniform(14, 34)) if supine else float(rng.uniform(-6, 12))
    heavy = span(rng, split, (0.15, 0.8), (0.8, 1.0))
    width = float(rng.uniform(130, 150)) + (3 if supine else 0)
    aspect = span(rng, split, (0.62, 0.72), (0.72, 0.77))
    dome_left = -134.0 + low + float(rng.uniform(-6, 6))
    old = float(np.clip((age - 40) / 50, 0, 1))
    return Chest(
        sex=sex,
        age_years=age,
        pose=pose,
        scale=scale,
        width=width,
        depth=width * aspect,
        apex=float(rng.uniform(88, 104)) - (4 if supine else 0),
        dome_right=dome_left + float(rng.uniform(4, 20)),
        dome_left=dome_left,
        sulcus=float(rng.uniform(40, 56)) - (8 if supine else 0),
        fat=4 + 26 * heavy**1.5 * float(rng.uniform(0.7, 1.2)) + (3 if sex == "F" else 0),
        breast=float(rng.uniform(48, 72)) * (0.8 + 0.4 * heavy) if sex == "F" and age > 13 else 0.0,
        ratio=ratio,
        share=float(rng.uniform(0.23, 0.45)),
        pads=float(rng.random()) * (0.5 + 0.5 * heavy),
        heart_angle=float(rng.uniform(0.45, 0.85)) - 0.25 * heavy - (0.1 if supine else 0),
        arch=float(rng.uniform(0.75, 1.0)) + 0.35 * old * float(rng.uniform(0.3, 1)),
        aorta_x=18 + 14 * old * float(rng.random()) + float(rng.uniform(-3, 3)),
        asymmetry=float(rng.uniform(-0.06, 0.06)),
        lung=float(rng.uniform(0.24, 0.32)) + (0.03 if supine else 0) + (0.02 if child else 0),
        branching=span(rng, split, (0.38, 0.62), (0.62, 0.72)),
        tortuosity=span(rng, split, (0.08, 0.22), (0.22, 0.3)),
        vessel_gain=span(rng, split, (0.85, 1.15), (1.15, 1.3)) * (1.08 if supine else 1.0),
        rib_slope=float(rng.uniform(0.8, 1.2)) * (0.8 if child else 1.0) * (0.85 if supine else 1.0),
        rib_height=span(rng, split, (4.7, 5.8), (4.2, 4.7)),
        mineral=float(rng.uniform(0.85, 1.15)) * (1 - 0.35 * old * (1.2 if sex == "F" else 0.8)),
        scoliosis=float(rng.normal(0, 4)),
        bubble=float(rng.uniform(0, 1)),
        seed=int(rng.integers(2**31)),
        split=split,
    )


# --- rib cage and lungs -------------------------------------------------------------------------


def side_sign(side: str) -> int:
    """+1 for the patient's left (x grows to the left), -1 for the right."""
    return 1 if side == "left" else -1


def cage_profile(chest: Chest, below: Array) -> tuple[Array, Array, Array, Array]:
    """Outer half-width, half-depth, centre y and medial edge at a depth ``below`` the apex."""
    t = np.maximum(below, np.float32(1e-3))
    grow = 1 - np.exp(-((t / 46) ** np.float32(0.78)))
    outer = np.float32(chest.width) * (0.33 + 0.67 * grow)
    deep = np.float32(chest.depth) * (0.34 + 0.66 * (1 - np.exp(-t / 50)))
    centre = 20 * np.exp(-t / 55)
    medial = 5 + np.float32(0.33 * chest.width - 5) * np.exp(-((t / 20) ** np.float32(0.6)))
    return outer, deep, centre, medial


def table(chest: Chest) -> tuple[Array, tuple[Array, ...]]:
    """`cage_profile` on a fine grid, for interpolation."""
    t = np.linspace(0, 330, 1321, dtype=np.float32)
    return t, tuple(a.astype(np.float32) for a in cage_profile(chest, t))


def cage(
    chest: Chest,
    xz: tuple[Array, Array],
    gap: Array | float = 0.0,
    lookup: tuple[Array, tuple[Array, ...]] | None = None,
    medial: bool = True,
) -> Interval:
    """Inside of the rib cage beside the mediastinum; ``gap`` shrinks it (mm off the chest wall)."""
    x, z = xz
    t, columns = lookup or table(chest)
    below = np.float32(chest.apex) - z - gap
    position = np.clip(below * 4, 0, len(t) - 1.01)
    index = position.astype(np.int32)
    outer, deep, centre, inner = (c.take(index) for c in columns)
    outer = outer * (1 + np.float32(chest.asymmetry) * np.sign(x)) - gap
    deep = deep - gap
    ax = np.abs(x)
    q = np.maximum(1 - (ax / np.maximum(outer, 1)) ** np.float32(2.3), 0)
    half = deep * np.sqrt(q) * (q * 0.25 + 0.75)
    if medial:
        half = half * np.sqrt(np.clip((ax - inner) / np.clip(0.55 * (outer - inner), 4, 46), 0, 1))
    half = half * np.sqrt(np.clip(below / 26, 0, 1))
    half = np.where((below > 0) & (deep > 0), half, np.float32(-1))
    return centre - half, centre + half


def dome(chest: Chest, xz: tuple[Array, Array], sulcus: dict[str, float] | None = None) -> Interval:
    """What lies under the diaphragm: as an interval along y; closes the lungs below.

    ``sulcus`` adds to the depth of a side's costophrenic angle (deep sulcus of a supine pneumothorax).
    """
    x, z = xz
    left = x > 0
    extra = sulcus or {}
    drop = np.where(
        left,
        np.float32(chest.sulcus + extra.get("left", 0.0)),
        np.float32(chest.sulcus + extra.get("right", 0.0)),
    )
    top = np.where(left, np.float32(chest.dome_left), np.float32(chest.dome_right))
    base = top - drop
    side = np.float32(chest.width) * (1 + np.float32(chest.asymmetry) * np.sign(x))
    middle = side * np.float32(0.47)
    dx = np.abs(x) - middle
    under = np.maximum(base - z, 0)
    reach = np.where(dx > 0, side - middle + np.float32(2), np.float32(110)) + under * 0.7
    deep = np.float32(chest.depth * 0.93) + under * 0.6
    h = np.clip((z - base) / drop, 0, 1)
    q = np.maximum(1 - np.abs(dx / reach) ** np.float32(2.2) - h * h, 0)
    half = np.where(z < top, deep * np.sqrt(q), np.float32(-1))
    y = np.float32(-6)
    return y - half, y + half


# --- mediastinum --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heart:
    """Where the heart's ellipsoids lie; (x, y, z) centres and radii in body mm."""

    ventricle: tuple[tuple[float, float, float], tuple[float, float, float], float]
    atrium: tuple[tuple[float, float, float], tuple[float, float, float]]
    outflow: tuple[tuple[float, float, float], tuple[float, float, float]]


def heart(chest: Chest) -> Heart:
    """The heart whose transverse diameter is ``ratio`` times the inner width of the cage."""
    across = chest.ratio * 2 * chest.width
    right_edge, left_edge = -chest.share * across, (1 - chest.share) * across
    long, short = 0.47 * across, 0.33 * across
    angle = -chest.heart_angle
    extent = math.hypot(long * math.cos(angle), short * math.sin(angle))
    floor = chest.dome_left
    height = math.hypot(long * math.sin(angle), short * math.cos(angle))
    z = floor + height - 20
    rise = 0.42 * across
    return Heart(
        ((left_edge - extent, -24.0, z), (long, 0.36 * across, short), angle),
        ((right_edge + 0.25 * across, -14.0, z + 0.02 * across), (0.25 * across, 0.32 * across, rise)),
        ((0.17 * across, -16.0, z + 0.42 * across), (0.155 * across, 26.0, 0.26 * across + 8)),
    )


def anterior(chest: Chest, rays: Rays) -> tuple[Interval, Interval]:
    """(all anterior mediastinum, heart alone) as hulls along y."""
    h = heart(chest)
    near = rays.at(-22.0)
    vent, atr, out = h.ventricle, h.atrium, h.outflow
    heart_only = hull(
        [
            ellipsoid(near, vent[0], vent[1], vent[2]),
            ellipsoid(near, *atr),
            ellipsoid(near, *out),
        ]
    )
    mid = rays.at(0.0)
    thymus = 1.35 if chest.age_years < 4 else 1.0
    k = chest.arch
    parts = [
        heart_only,
        ellipsoid(mid, (-9.0, -8.0, 12.0), (20.0 * thymus, 26.0, 74.0)),
        ellipsoid(mid, (12.0 + chest.aorta_x * 0.35, 10.0, 20.0 + 4 * k), (20 * k, 36.0, 19.0 * k)),
        *_fat_pads(chest, near),
        ellipsoid(mid, (2.0, 4.0, 74.0), (27.0 * thymus, 24.0, 62.0)),
    ]
    return hull(parts), heart_only


def _fat_pads(chest: Chest, xz: tuple[Array, Array]) -> list[Interval]:
    """Fat that fills the cardiophrenic angles: looks like a wider heart, low down."""
    across = chest.ratio * 2 * chest.width
    size = 16 + 22 * chest.pads
    left, right = (1 - chest.share) * across, -chest.share * across
    return [
        ellipsoid(xz, (left - 14, -42.0, chest.dome_left + 2), (size, 26.0, 0.9 * size)),
        ellipsoid(xz, (right + 8, -42.0, chest.dome_right - 2), (0.8 * size, 24.0, 0.8 * size)),
    ]


def aorta_centre(chest: Chest, z: Array) -> Array:
    """x of the descending aorta at height ``z``."""
    return np.float32(chest.aorta_x) - np.maximum(-z - 40, 0) * np.float32(chest.aorta_x * 0.0055)


def posterior(chest: Chest, rays: Rays) -> Interval:
    """Spine with its muscles, and the descending aorta."""
    x, z = rays.at(62.0)
    middle = spine_x(chest, z)
    # The lungs wrap round the bodies, so what lies behind the front of the spine narrows to nothing.
    bow = ((x - middle) / 34) ** 2
    spine = 42 + 46 * bow
    ridge = ((x - aorta_centre(chest, z)) / np.float32(10 * chest.arch)) ** 2
    aorta = 38 + 14 * ridge + 0.12 * np.maximum(z - 8, 0) ** 2
    front = np.minimum(np.where(bow < 1.3, spine, FAR), np.where(ridge < 4.5, aorta, FAR))
    return front, np.where(front < 110, FAR, -FAR)


def spine_x(chest: Chest, z: Array) -> Array:
    """x of the middle of the spine at height ``z``."""
    return np.float32(chest.scoliosis) * np.sin((z + 20) / np.float32(75))


# --- outline ------------------------------------------------------------------------------------


def outline(chest: Chest, rays: Rays) -> tuple[Interval, Interval]:
    """(skin, muscle): intervals of the whole body and of the body without subcutaneous fat."""
    x, z = rays.at(0.0)
    ax = np.abs(x)
    wall = 21.0
    up = np.clip((z - 5) / 45, 0, 1)
    up = up * up * (3 - 2 * up)
    below = np.maximum(np.float32(chest.apex) - z, 0)
    taper = 1 - 0.2 * np.exp(-below / 60)
    belly = np.float32(0.05 + 0.0022 * chest.fat) * np.clip((-z - 60) / 140, 0, 1)
    width = np.float32(chest.width) * (taper + belly)
    depth = np.float32(chest.depth) * (0.62 + 0.38 * np.clip(below / 110, 0, 1) + belly)
    shells = []
    for fat in (chest.fat, 0.0):
        # Neck, trapezius and shoulders under one curve that falls with the distance from the neck.
        reach = np.maximum(ax - np.float32(34 + 0.4 * fat), 6)
        ceiling = np.float32(84 + 0.7 * fat) + 2600 / reach
        slope = np.clip((ceiling - z) / 75, 0, 1)
        a = (width + wall + fat) * (1 - up) + up * np.float32(200 + 0.7 * fat)
        q = np.maximum(1 - (ax / a) ** 2, 0)
        half = (depth + (wall - 3 + 0.8 * fat)) * np.sqrt(q * slope) * (1 - 0.25 * q * q + 0.25 * q)
        shells.append((6 - half, 6 + half))
    (skin_front, skin_back), muscle = shells
    if chest.breast:
        y, zz = rays.at(-100.0)
        skin_front = skin_front - breast(chest, y, zz)
    return (skin_front, skin_back), muscle


def breast(chest: Chest, x: Array, z: Array) -> Array:
    """Thickness of the breasts in front of the chest wall; steep below, gentle above."""
    r = np.float32(chest.breast)
    flat = 0.55 if chest.pose == "erect" else 0.4
    cz = -62.0 - 0.35 * chest.breast
    dz = z - np.float32(cz)
    dx = (np.abs(x) - np.float32(76)) / (r * 1.02)
    up = dz > 0
    q = np.maximum(1 - dx * dx - np.where(up, (dz / (1.5 * r)) ** 2, (dz / (0.78 * r)) ** 2), 0)
    return np.where(up, q ** np.float32(1.2), np.sqrt(q) * (0.4 + 0.6 * q)) * r * np.float32(flat)

"""Lesions of the brain: where they are, what they do to the tissue, and what they push aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.brain_build import Anatomy, Push
from sagittal.phantom.brain_shape import TISSUES, ellipsoid, occupancy
from sagittal.phantom.noise import Array, along, spline_matrix

LesionKind = Literal["glioma", "metastasis", "abscess", "infarct", "white_matter"]
MASSES: tuple[LesionKind, ...] = ("glioma", "metastasis", "abscess")
Stuff = Literal["tumour", "rim", "necrosis", "pus", "oedema", "infarct", "gliosis"]


@dataclass(frozen=True)
class Lesion:
    """One lesion (or one patient's white-matter disease).

    Args:
        findings: names of the findings it makes, "<key>-<n>", also its masks' names.
        seed: of its outline.
        site: vocabulary key.
        centres: (x, y, z, radius) of its parts in head mm, x to the left.
        ragged: outline noise over the radius.
        strength: 0..1, how far its tissue differs from what it replaced.
        enhancement: share of the full contrast uptake; 0 none.
        rim_mm: wall around a necrotic or pus-filled core; 0: solid.
        oedema_mm: reach of oedema beyond the outline; oedema: its strength.
        push_mm: largest displacement; the brain around gives way over ``reach_mm``.
        diffusion: apparent diffusion coefficient of the core over that of brain.
        extent: of white-matter disease, 0 to 1.
    """

    kind: LesionKind
    findings: tuple[str, ...]
    seed: int
    site: str
    centres: tuple[tuple[float, float, float, float], ...] = ()
    ragged: float = 0.2
    strength: float = 1.0
    enhancement: float = 0.0
    rim_mm: float = 0.0
    oedema_mm: float = 0.0
    oedema: float = 0.0
    push_mm: float = 0.0
    reach_mm: float = 20.0
    diffusion: float = 1.0
    extent: float = 0.0

    def name(self, key: str) -> str | None:
        """Name of its finding of that observation, if it makes one."""
        return next((f for f in self.findings if f.rsplit("-", 1)[0] == key), None)


@dataclass(frozen=True, eq=False)
class Layer:
    """What one lesion puts at some of the points inside the skull.

    Args:
        stuff: its material; where: (k,) indices of the points; share: (k,) 0..1, strength included.
        full: (k,) its shape, without the strength.
        lesion: index of the lesion.
    """

    stuff: Stuff
    where: NDArray[np.int64]
    share: Array
    full: Array
    lesion: int


def push(lesions: tuple[Lesion, ...]) -> Push:
    """Displacement by everything that takes up room; rigid at the skull, largest ``reach_mm`` away."""

    def back(x: Array, y: Array, z: Array, depth: Array) -> tuple[Array, Array, Array]:
        yielding = np.clip(depth / 12.0, 0.0, 1.0)
        for lesion in lesions:
            if lesion.push_mm <= 0:
                continue
            cx, cy, cz, _ = lesion.centres[0]
            dx, dy, dz = x - cx, y - cy, z - cz
            t2 = (dx * dx + dy * dy + dz * dz) * np.float32(1.0 / lesion.reach_mm**2)
            gain = np.float32(lesion.push_mm / lesion.reach_mm) * np.exp(0.5 - 0.5 * t2) * yielding
            x, y, z = x - gain * dx, y - gain * dy, z - gain * dz
        return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)

    return back


def midline_shift_mm(lesions: tuple[Lesion, ...], scale: float) -> float:
    """Largest sideways displacement of the midline at the level of the ventricles, in mm."""
    y, z = (a.ravel() for a in np.meshgrid(np.linspace(-35, 40, 9), np.linspace(-5, 25, 6)))
    zero = np.zeros(y.size, np.float32)
    moved = push(lesions)(zero, y.astype(np.float32), z.astype(np.float32), zero + 50)[0]
    return float(np.abs(moved).max() * scale)


def layers(lesions: tuple[Lesion, ...], anatomy: Anatomy) -> list[Layer]:
    """Everything the lesions put into the brain, back to front."""
    fraction = anatomy.fraction
    grey = fraction[TISSUES.index("grey")] + fraction[TISSUES.index("deep_grey")]
    grey += fraction[TISSUES.index("pallidum")]
    white = fraction[TISSUES.index("white")] + fraction[TISSUES.index("stem")]
    out: list[Layer] = []
    for number, lesion in enumerate(lesions):
        if lesion.kind == "white_matter":
            out += _white_matter(lesion, number, anatomy, white)
    for number, lesion in enumerate(lesions):
        if lesion.kind == "infarct":
            where, inside = _outline(lesion, anatomy, 0.0)
            full = occupancy(inside, 2.5) * (grey[where] + white[where])
            out.append(Layer("infarct", where, full * lesion.strength, full, number))
            if lesion.enhancement:
                # Gyral: the cortex of a subacute infarct takes up contrast.
                full = full * np.clip(1.6 * grey[where] - 0.2, 0.0, 1.0)
                out.append(Layer("rim", where, full * lesion.enhancement * 0.5, full, number))
    for number, lesion in enumerate(lesions):
        if lesion.kind in MASSES:
            out += _mass(lesion, number, anatomy, grey, white)
    return out


def _outline(lesion: Lesion, anatomy: Anatomy, beyond_mm: float) -> tuple[NDArray[np.int64], Array]:
    """Points within ``beyond_mm`` of a lesion, and their signed distance inside its ragged outline."""
    rng = np.random.default_rng(lesion.seed)
    x, y, z = anatomy.x, anatomy.y, anatomy.z
    distance = np.full(x.shape, -1e3, np.float32)
    for cx, cy, cz, radius in lesion.centres:
        reach = radius * (1.0 + 2.2 * lesion.ragged) + beyond_mm + 3.0
        near = np.flatnonzero((np.abs(x - cx) < reach) & (np.abs(y - cy) < reach) & (np.abs(z - cz) < reach))
        stretch = np.exp(rng.normal(0.0, 0.12 + 0.4 * lesion.ragged, 3))
        radii = radius * stretch / np.cbrt(stretch.prod())
        inside = ellipsoid(x[near], y[near], z[near], (cx, cy, cz), tuple(radii.tolist()))
        knots = max(radius / 1.6, 3.0)
        inside += (
            1.6
            * lesion.ragged
            * radius
            * _local_noise(rng, x[near] - cx, y[near] - cy, z[near] - cz, knots, reach)
        )
        distance[near] = np.maximum(distance[near], inside)
    where = np.flatnonzero(distance > -beyond_mm - 3.0)
    return where, distance[where]


def _local_noise(
    rng: np.random.Generator, x: Array, y: Array, z: Array, knot_mm: float, reach_mm: float
) -> Array:
    """Smooth noise (about 0.33 standard deviation) at scattered points within ``reach_mm`` of the origin."""
    half = int(np.ceil(reach_mm / knot_mm)) + 1
    cube = rng.standard_normal((2 * half + 1,) * 3, dtype=np.float32)
    # Pre-smoothed on a finer lattice, then looked up: points are many, the lattice is small.
    fine = spline_matrix(np.arange(0, 2 * half + 1e-6, 0.25), 2 * half + 1)
    for axis in range(3):
        cube = along(fine, cube, axis)
    index = tuple(
        np.clip(np.rint((a / knot_mm + half) * 4).astype(np.int64), 0, cube.shape[0] - 1) for a in (x, y, z)
    )
    return np.asarray(cube[index], np.float32)


def _mass(lesion: Lesion, number: int, anatomy: Anatomy, grey: Array, white: Array) -> list[Layer]:
    where, inside = _outline(lesion, anatomy, max(lesion.oedema_mm * 1.3, 2.0))
    brain = np.clip(grey[where] + white[where], 0.0, 1.0)
    solid = 1.0 - anatomy.fraction[TISSUES.index("bone")][where]
    out = []
    if lesion.oedema_mm > 0:
        # Fingers: oedema follows white matter, hardly enters the cortex, and fades outwards.
        cx, cy, cz, _ = lesion.centres[0]
        wander = _local_noise(
            np.random.default_rng(lesion.seed + 1),
            anatomy.x[where] - np.float32(cx),
            anatomy.y[where] - np.float32(cy),
            anatomy.z[where] - np.float32(cz),
            9.0,
            150.0,
        )
        full = np.clip((inside + lesion.oedema_mm * (1.0 + 0.55 * wander)) / 4.0, 0.0, 1.0)
        full = full * np.clip(white[where] + 0.15 * grey[where], 0.0, 1.0)
        out.append(Layer("oedema", where, full * lesion.oedema, full, number))
    body = occupancy(inside, 2.2) * solid * np.maximum(brain, 0.6)
    core = occupancy(inside - lesion.rim_mm, 2.2) * solid if lesion.rim_mm else np.zeros_like(body)
    out.append(Layer("tumour", where, body * lesion.strength, body, number))
    if lesion.enhancement:
        wall = body * (1.0 - core)
        out.append(Layer("rim", where, wall * lesion.enhancement, wall, number))
    if lesion.rim_mm:
        stuff: Stuff = "pus" if lesion.kind == "abscess" else "necrosis"
        out.append(Layer(stuff, where, core * lesion.strength, core, number))
    return out


def _white_matter(lesion: Lesion, number: int, anatomy: Anatomy, white: Array) -> list[Layer]:
    """Caps, halo and spots: where smooth noise is high in deep white matter, higher near the ventricles."""
    x, y, z = np.abs(anatomy.x), anatomy.y, anatomy.z
    where = np.flatnonzero((white > 0.3) & (anatomy.depth > 9.0) & (z > -8.0) & (z < 52.0))
    x, y, z = x[where], y[where], z[where]
    axis = np.hypot(np.maximum(np.abs(y - 4.0) - 34.0, 0.0), z - 16.0)
    near = np.exp(
        -((np.maximum(np.hypot(x - 17.0 - 0.1 * np.maximum(y, 0.0), 0.8 * axis) - 4.0, 0.0) / 9.0) ** 2)
    )
    rng = np.random.default_rng(lesion.seed)
    noise = 2.0 * _local_noise(rng, anatomy.x[where], y - 10.0, z - 20.0, 7.0, 90.0)
    full = np.clip((noise + 1.5 * near - (3.1 - 1.6 * lesion.extent)) * 2.5, 0.0, 1.0) * white[where]
    return [Layer("gliosis", where, full * lesion.strength, full, number)]

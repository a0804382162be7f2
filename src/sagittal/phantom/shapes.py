"""Rays, intervals along a ray, and clouds of points: what the anatomy is made of.

Every organ is a *region along the ray*: for a ray at (x, z) parallel to the AP axis, a signed sum of
y-intervals. Its line integral is the summed length, its voxel coverage the summed overlap with the
voxel: one description yields the film, the CT and the masks, equal by construction. Small or curved
things (ribs, vessels) are clouds of points with mass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[Any]
"""float32 throughout."""
Interval = tuple[Array, Array]
"""(front, back): y of entry and exit in body mm; empty where back <= front."""
Term = tuple[Array, Array, float]
"""(front, back, sign)."""

FAR = np.float32(1e4)


@dataclass(frozen=True, eq=False)
class Rays:
    """A grid of AP rays in body coordinates: mm of a standard adult, real mm divided by ``scale``.

    Args:
        u, v: (H, W), where each ray crosses the plane y = 0, along patient left and superior, as
            measured at the detector (so magnification is divided out depth by depth).
        pitch_mm: distance between rays at the detector, body mm.
        scale: real mm per body mm.
        detector_y, source_mm: detector plane and focus distance, body mm; None: parallel beam.
        yaw, pitch: tangents of the rotation about the long and the left-right axis.
        roll, shift: in-plane rotation (radians) and shift (u, v) already inside ``u``, ``v``.

    The divergent beam is weak perspective: an organ is magnified as a whole at its own mean depth.
    """

    u: Array
    v: Array
    pitch_mm: float
    scale: float = 1.0
    detector_y: float = 0.0
    source_mm: float | None = None
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    def magnification(self, y: float | Array) -> Array:
        """How much larger than life something at depth ``y`` is at the detector."""
        depth = np.abs(np.asarray(y, np.float32) - np.float32(self.detector_y))
        if self.source_mm is None:
            return np.ones_like(depth)
        return (self.source_mm / (self.source_mm - depth)).astype(np.float32)

    def at(self, y: float) -> tuple[Array, Array]:
        """(x, z) of the rays for an organ whose mean depth is ``y``."""
        m = self.magnification(y)
        return (self.u / m - np.float32(self.yaw * y), self.v / m - np.float32(self.pitch * y))

    def project(self, points: Array) -> tuple[Array, Array, Array]:
        """Body points (N, 3) to fractional (row, column) and their magnification."""
        x, y, z = points.T
        m = self.magnification(y)
        u, v = m * (x + self.yaw * y), m * (z + self.pitch * y)
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        u, v = u - self.shift[0], v - self.shift[1]
        u, v = cos * u + sin * v, -sin * u + cos * v
        height, width = self.u.shape
        return (height - 1) / 2 - v / self.pitch_mm, (width - 1) / 2 + u / self.pitch_mm, m


def detector_rays(
    shape: tuple[int, int],
    pitch_mm: float,
    scale: float = 1.0,
    roll: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    **beam: float | None,
) -> Rays:
    """Rays of a detector seen with the patient's left on the right and the feet down (L\\F).

    Args:
        shape: (rows, columns).
        pitch_mm: real mm between pixels at the detector; ``shift`` is in body mm.
    """
    height, width = shape
    pitch = pitch_mm / scale
    u = (np.arange(width, dtype=np.float32) - (width - 1) / 2) * pitch
    v = ((height - 1) / 2 - np.arange(height, dtype=np.float32)) * pitch
    cos, sin = math.cos(roll), math.sin(roll)
    uu = (cos * u[None, :] - sin * v[:, None] + shift[0]).astype(np.float32)
    vv = (sin * u[None, :] + cos * v[:, None] + shift[1]).astype(np.float32)
    return Rays(uu, vv, pitch, scale, roll=roll, shift=shift, **beam)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Region:
    """A named part: ``soft`` and ``bone`` are density changes (g/cm3) inside the summed ``terms``.

    ``columns``: the columns of the grid that ``terms`` and ``texture`` cover.
    """

    name: str
    terms: tuple[Term, ...]
    soft: float = 0.0
    bone: float = 0.0
    texture: Array | None = None
    columns: tuple[int, int | None] = (0, None)

    def thickness(self) -> Array:
        """(H, W) length along the ray, body mm."""
        return length(self.terms)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points (N, 3) with volume (mm3 body) and density changes."""

    name: str
    points: Array
    volume: Array
    soft: float = 0.0
    bone: float = 0.0


@dataclass(eq=False)
class Scene:
    """Everything on one grid of rays; regions and clouds add up."""

    regions: list[Region] = field(default_factory=list)
    clouds: list[Cloud] = field(default_factory=list)


def length(terms: Iterable[Term]) -> Array:
    """Summed signed length of the intervals, body mm."""
    (front, back, sign), *rest = terms
    total = np.maximum(back - front, 0)
    if sign != 1:
        total *= np.float32(sign)
    part = np.empty_like(total)
    for front, back, sign in rest:
        np.subtract(back, front, out=part)
        np.maximum(part, 0, out=part)
        if abs(sign) != 1:
            part *= np.float32(abs(sign))
        if sign < 0:
            total -= part
        else:
            total += part
    return total


def intersect(a: Interval, b: Interval) -> Interval:
    return np.maximum(a[0], b[0]), np.minimum(a[1], b[1])


def hull(parts: Sequence[Interval]) -> Interval:
    """Smallest interval holding all non-empty ones (the gap between them belongs to the organ)."""
    fronts, backs = [], []
    for front, back in parts:
        inside = back > front
        fronts.append(np.where(inside, front, FAR))
        backs.append(np.where(inside, back, -FAR))
    return np.minimum.reduce(fronts), np.maximum.reduce(backs)


def minus(interval: Interval, cuts: Sequence[Interval]) -> tuple[Term, ...]:
    """``interval`` without the union of ``cuts``, by inclusion and exclusion."""
    terms: list[Term] = [(interval[0], interval[1], 1.0)]
    for cut in cuts:
        more: list[Term] = [(*intersect((f, b), cut), -s) for f, b, s in terms]
        # What is empty everywhere (the diaphragm and the arch, say) would only cost time.
        terms += [term for term in more if (term[1] > term[0]).any()]
    return tuple(terms)


def clip(terms: Iterable[Term], interval: Interval) -> tuple[Term, ...]:
    """The part of a region inside ``interval``."""
    return tuple((*intersect((f, b), interval), s) for f, b, s in terms)


def ellipsoid(
    xz: tuple[Array, Array], centre: Sequence[float], radii: Sequence[float], angle: float = 0.0
) -> Interval:
    """Ellipsoid at ``centre`` (x, y, z) with ``radii``, turned by ``angle`` in the coronal plane."""
    dx, dz = xz[0] - np.float32(centre[0]), xz[1] - np.float32(centre[2])
    if angle:
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        dx, dz = cos * dx + sin * dz, cos * dz - sin * dx
    q = 1 - (dx / np.float32(radii[0])) ** 2 - (dz / np.float32(radii[2])) ** 2
    half = np.float32(radii[1]) * np.sqrt(np.maximum(q, 0))
    y = np.float32(centre[1])
    return y - half, y + half


def capsule(
    xz: tuple[Array, Array], start: Sequence[float], end: Sequence[float], r0: float, r1: float
) -> Interval:
    """Tapered round tube between two points; the chord is stretched by its slope along the ray."""
    ax, ay, az = start
    bx, by, bz = end[0] - ax, end[1] - ay, end[2] - az
    flat = max(bx * bx + bz * bz, 1e-6)
    px, pz = xz[0] - np.float32(ax), xz[1] - np.float32(az)
    t = np.clip((px * np.float32(bx) + pz * np.float32(bz)) / np.float32(flat), 0, 1)
    d2 = (px - t * np.float32(bx)) ** 2 + (pz - t * np.float32(bz)) ** 2
    stretch = np.float32(np.sqrt((flat + by * by) / flat))
    r = np.float32(r0) + t * np.float32(r1 - r0)
    half = stretch * np.sqrt(np.maximum(r * r - d2, 0))
    y = np.float32(ay) + t * np.float32(by)
    return y - half, y + half


def slab(thickness: Array, y: float) -> tuple[Term, ...]:
    """A plate of given thickness (body mm, zero where absent) centred at depth ``y``."""
    half = np.float32(0.5) * thickness
    return ((np.float32(y) - half, np.float32(y) + half, 1.0),)


def smoothstep(x: Array) -> Array:
    t = np.clip(x, 0, 1)
    return t * t * (3 - 2 * t)


CLOUD_MM = 1.2
"""Body mm between the points of a cloud, about; on finer pixels they would show as a lattice."""


def splat2(rays: Rays, points: Array, volume: Array) -> Array:
    """Bilinear deposit of a cloud: (H, W) thickness in body mm, smoothed where pixels are finer than it."""
    height, width = rays.u.shape
    row, column, m = rays.project(points)
    inside = (row > 0) & (row < height - 1.001) & (column > 0) & (column < width - 1.001)
    row, column = row[inside], column[inside]
    w = (volume * m * m)[inside] / np.float32(rays.pitch_mm**2)
    r0, c0 = row.astype(np.int32), column.astype(np.int32)
    fr, fc = row - r0, column - c0
    index = r0 * width + c0
    out = np.zeros(height * width)
    for dr, dc, weight in (
        (0, 0, (1 - fr) * (1 - fc)),
        (0, 1, (1 - fr) * fc),
        (1, 0, fr * (1 - fc)),
        (1, 1, fr * fc),
    ):
        out += np.bincount(index + dr * width + dc, w * weight, height * width)
    thickness: Array = out.reshape(height, width).astype(np.float32)
    if rays.pitch_mm < CLOUD_MM:
        return gaussian_filter(thickness, 0.8 * CLOUD_MM / rays.pitch_mm)
    return thickness


def tube_points(
    path: Array,
    half_height: Array,
    half_depth: Array,
    cortex_mm: float,
    marrow: float,
    count: int,
    across: int = 9,
) -> tuple[Array, Array]:
    """Elliptic bone tubes along ``path`` (B, n, 3) as points with cortical-equivalent volume.

    Args:
        half_height, half_depth: (B, n) half axes of the section; the flat side faces outward.
        cortex_mm: thickness of the wall; ``marrow`` is the density inside relative to the wall.
        count: sections along each tube; ``across``: heights in a section, each with two points.

    Returns:
        points (B, m, 3) and volume (B, m), mm3.
    """
    path = np.asarray(path, np.float32)
    batch, n, _ = path.shape
    arc = np.zeros((batch, n), np.float32)
    np.cumsum(np.linalg.norm(np.diff(path, axis=1), axis=2), axis=1, out=arc[:, 1:])
    total = arc[:, -1:]
    # All tubes are resampled evenly: where along the given points does each section lie?
    s = (np.arange(count, dtype=np.float32) + 0.5) / count
    where = np.stack([np.interp(s * float(t[0]), a, np.arange(n)) for t, a in zip(total, arc, strict=True)])
    low = np.minimum(where.astype(np.int32), n - 2)
    part = (where - low).astype(np.float32)

    def pick(values: Array) -> Array:
        values = np.broadcast_to(np.asarray(values, np.float32), (batch, n))
        a = np.take_along_axis(values, low, 1)
        return a + part * (np.take_along_axis(values, low + 1, 1) - a)

    centre = np.stack([pick(path[..., k]) for k in range(3)], axis=-1)
    h, t = pick(half_height), pick(half_depth)
    tangent = np.gradient(centre, axis=1)
    tangent /= np.linalg.norm(tangent, axis=2, keepdims=True) + 1e-9
    # The section's height points up; along x where the tube itself is upright.
    upright = np.abs(tangent[..., 2:3]) > 0.85
    up = np.where(upright, np.array([1, 0, 0], np.float32), np.array([0, 0, 1], np.float32))
    up = up - (up * tangent).sum(2, keepdims=True) * tangent
    up /= np.linalg.norm(up, axis=2, keepdims=True) + 1e-9
    out = np.cross(tangent, up)
    k = ((np.arange(across, dtype=np.float32) + 0.5) / across * 2 - 1).astype(np.float32)
    outer = t[..., None] * np.sqrt(1 - k**2)
    inner_h = np.maximum(h - cortex_mm, 0.2) / h
    inner_t = np.maximum(t - cortex_mm, 0.1)
    inner = inner_t[..., None] * np.sqrt(np.maximum(1 - (k / inner_h[..., None]) ** 2, 0))
    solid = outer - np.float32(1 - marrow) * inner
    mass = solid * (2 * h / across * total / count)[..., None]
    middle = centre[:, :, None] + (h[..., None] * k)[..., None] * up[:, :, None]
    offset = (np.float32(0.7) * outer)[..., None] * out[:, :, None]
    points = np.stack([middle - offset, middle + offset], axis=1).reshape(batch, -1, 3)
    volume = np.repeat(mass.reshape(batch, 1, -1), 2, axis=1).reshape(batch, -1)
    return points.astype(np.float32), volume.astype(np.float32)

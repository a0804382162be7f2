"""What a chest CT can hold, drawn into the lungs as density, with the voxels it changed.

Lesions are described by numbers of the patient (`CtLesion`), in body mm, so that the same lesion
comes back on any grid and at a later date. Normal variation that mimics them is drawn as well:
dependent density, fat under the pleura, scars, specks, caps over the apices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.anatomy import FAT
from sagittal.phantom.noise import smooth_field
from sagittal.phantom.shapes import Array
from sagittal.phantom.voxels import Grid

Mask = NDArray[np.bool_]
WATER, TISSUE = 1.01, 1.045


@dataclass(frozen=True)
class CtLesion:
    """One lesion, or one mimic.

    Args:
        key: vocabulary key, or the name of a mimic ("dependent", "fat", "scar", "speck", "cap").
        name: unique in the patient, "<key>-<n>".
        side: "right", "left" or "both".
        centre: (x, y, z) in body mm, for focal ones.
        size: diameter in body mm (nodule, consolidation, scar, speck), thickness (cap, dependent),
            share of the lung (emphysema) or volume in mL (effusion).
        density: g/cm3 of a nodule; share of air replaced (consolidation, dependent, cap); share of
            tissue lost (emphysema).
        margin: roughness of the outline, 0 smooth to 1 spiculated; emphysema: 0 upper, 1 lower lobes.
        seed: of its texture and outline.
    """

    key: str
    name: str
    side: str
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    size: float = 0.0
    density: float = 1.0
    margin: float = 0.0
    seed: int = 0

    def scaled(self, factor: float) -> CtLesion:
        """The same lesion with its size times ``factor``."""
        return replace(self, size=self.size * factor)


@dataclass(frozen=True, eq=False)
class Lungs:
    """The lungs on a grid: masks and density (changed in place), lengths in body mm."""

    grid: Grid
    sides: Mapping[str, Mask]
    density: Array


def insert(lungs: Lungs, lesion: CtLesion) -> Mask:
    """Change the density by one lesion; returns the voxels it occupies."""
    rng = np.random.default_rng((lesion.seed, 11))
    match lesion.key:
        case "nodule" | "mass" | "speck":
            return _nodule(lungs, lesion, rng)
        case "consolidation":
            return _consolidation(lungs, lesion, rng)
        case "pleural_effusion":
            return _effusion(lungs, lesion, WATER)
        case "fat":
            return _effusion(lungs, lesion, FAT)
        case "emphysema":
            return _emphysema(lungs, lesion, rng)
        case "scar":
            return _scar(lungs, lesion, rng)
        case "dependent":
            return _dependent(lungs, lesion, rng)
        case "cap":
            return _cap(lungs, lesion, rng)
    raise ValueError(f"no CT lesion is called {lesion.key!r}")


def _box(lungs: Lungs, centre: tuple[float, float, float], reach: float) -> tuple[slice, slice, slice]:
    """Index ranges within ``reach`` body mm of ``centre``; at least one voxel each."""
    ranges = []
    for axis, middle in zip((lungs.grid.z, lungs.grid.y, lungs.grid.x), centre[::-1], strict=True):
        low = int(np.clip(np.searchsorted(axis, middle - reach), 0, len(axis) - 1))
        high = int(np.clip(np.searchsorted(axis, middle + reach), low + 1, len(axis)))
        ranges.append(slice(low, high))
    return ranges[0], ranges[1], ranges[2]


def _offsets(
    lungs: Lungs, box: tuple[slice, slice, slice], centre: tuple[float, float, float]
) -> list[Array]:
    """(dx, dy, dz) of the voxels in ``box`` from ``centre``, broadcastable."""
    x, y, z = lungs.grid.x[box[2]], lungs.grid.y[box[1]], lungs.grid.z[box[0]]
    return [
        (x - np.float32(centre[0]))[None, None, :],
        (y - np.float32(centre[1]))[None, :, None],
        (z - np.float32(centre[2]))[:, None, None],
    ]


def _soft_edge(depth_mm: Array, pitch: float) -> Array:
    """Share of a voxel inside a surface ``depth_mm`` away (positive inside)."""
    return np.clip(depth_mm / np.float32(pitch) + np.float32(0.5), 0, 1)


def _side(lungs: Lungs, lesion: CtLesion) -> Mask:
    if lesion.side == "both":
        return lungs.sides["right"] | lungs.sides["left"]
    return lungs.sides[lesion.side]


def _lumps(rng: np.random.Generator, offsets: list[Array], count: int, rate: tuple[float, float]) -> Array:
    """A smooth function of direction in about [-1, 1]: the outline's bumps."""
    dx, dy, dz = offsets
    inverse = 1 / np.sqrt(dx * dx + dy * dy + dz * dz + np.float32(1e-3))
    total: Array = np.zeros(np.broadcast_shapes(dx.shape, dy.shape, dz.shape), np.float32)
    for _ in range(count):
        n = rng.normal(size=3).astype(np.float32)
        n *= np.float32(rng.uniform(*rate) / np.linalg.norm(n))
        phase = np.float32(rng.uniform(0, 2 * np.pi))
        total += np.sin((dx * n[0] + dy * n[1] + dz * n[2]) * inverse + phase)
    return total / np.float32(np.sqrt(count))


def _nodule(lungs: Lungs, lesion: CtLesion, rng: np.random.Generator) -> Mask:
    radius, pitch = lesion.size / 2, float(np.mean(lungs.grid.pitch))
    box = _box(lungs, lesion.centre, 1.5 * radius + pitch)
    offsets = _offsets(lungs, box, lesion.centre)
    squash = rng.uniform(0.85, 1.15, 3).astype(np.float32)
    squash /= np.float32(np.cbrt(squash.prod()))
    d = np.sqrt(sum((o * s) ** 2 for o, s in zip(offsets, squash, strict=True)))
    outline = 0.09 * _lumps(rng, offsets, 5, (1.5, 4)) + 0.12 * lesion.margin * _lumps(
        rng, offsets, 8, (6, 11)
    )
    share = _soft_edge(radius * (1 + outline) - d, pitch)
    share *= _side(lungs, lesion)[box]
    here = lungs.density[box]
    if lesion.density < 0.9 and radius > 5 and rng.random() < 0.4:
        # Part-solid: a dense kernel in a hazy nodule.
        kernel = _soft_edge(radius * rng.uniform(0.3, 0.5) - d, pitch)
        here += np.maximum(0.8 * TISSUE - here, 0) * kernel * share
    gain = np.maximum(np.float32(lesion.density) - here, 0) * share
    here += gain
    mask = np.zeros(lungs.density.shape, bool)
    mask[box] = share >= 0.5
    if not mask.any() and share.size:
        mask[box] = share >= max(float(share.max()), 0.05)
    return mask


def _consolidation(lungs: Lungs, lesion: CtLesion, rng: np.random.Generator) -> Mask:
    radius = lesion.size / 2
    box = _box(lungs, lesion.centre, 1.6 * radius)
    offsets = _offsets(lungs, box, lesion.centre)
    lung = _side(lungs, lesion)[box]
    shape, pitch = lung.shape, lungs.grid.pitch
    stretch = rng.uniform(0.75, 1.3, 3).astype(np.float32)
    d = np.sqrt(sum((o * s) ** 2 for o, s in zip(offsets, stretch, strict=True)))
    warp = smooth_field(rng, shape, pitch, 9) + np.float32(0.6) * smooth_field(rng, shape, pitch, 4.5)
    share = np.clip((radius - d + 0.28 * radius * warp) / np.float32(0.35 * radius) + 0.5, 0, 1)
    # A lobe ends at its fissure: one side of a tilted plane is spared.
    tilt = rng.normal(size=3) * [0.3, 0.6, 1.0]
    tilt /= np.linalg.norm(tilt)
    plane = sum(o * np.float32(t) for o, t in zip(offsets, tilt, strict=True))
    share = share * np.clip((plane + np.float32(0.55 * radius)) / 4 + 0.5, 0, 1)
    share *= lung
    patchy = np.clip(0.8 + 0.25 * smooth_field(rng, shape, pitch, 5), 0.3, 1)
    # Bronchi stay open: dark branching lines that run from the hilum through the patch.
    for _ in range(int(rng.integers(2, 5))):
        inward = np.array([-np.sign(lesion.centre[0]) * 1.0, 0, 0.2]) + rng.normal(0, 0.35, 3)
        inward = (inward / np.linalg.norm(inward)).astype(np.float32)
        start = rng.normal(0, 0.25 * radius, 3).astype(np.float32)
        p = [o - s for o, s in zip(offsets, start, strict=True)]
        along = sum(o * a for o, a in zip(p, inward, strict=True))
        away = np.sqrt(np.maximum(sum(o * o for o in p) - along * along, 0))
        patchy = patchy * (1 - 0.75 * np.clip((2.2 - away) / 2 + 0.5, 0, 1))
    here = lungs.density[box]
    here += np.maximum(np.float32(TISSUE) - here, 0) * np.float32(lesion.density) * share * patchy
    mask = np.zeros(lungs.density.shape, bool)
    mask[box] = share >= 0.5
    return mask


def _effusion(lungs: Lungs, lesion: CtLesion, fluid: float) -> Mask:
    """Free fluid in a supine patient: a crescent that lies behind and below, highest at the wall.

    Fat under the parietal pleura (a mimic) lies alike, and differs by its density alone.
    """
    lung = _side(lungs, lesion)
    at = np.flatnonzero(lung)
    if not len(at):
        return np.zeros(lung.shape, bool)
    iz, iy, ix = np.unravel_index(at, lung.shape)
    grid = lungs.grid
    x, y, z = grid.x[ix], grid.y[iy], grid.z[iz]
    middle = np.float32(0.5 * (x.min() + x.max()))
    low = z.min()
    level = y - 0.16 * (z - low) + 0.004 * (x - middle) ** 2
    cell = float(np.prod(grid.pitch))
    wanted = int(np.clip(lesion.size * 1000 / cell, 3, len(at) - 1))
    surface = np.partition(level, len(at) - wanted)[len(at) - wanted]
    share = _soft_edge(level - surface, grid.pitch[1])
    flat = lungs.density.reshape(-1)
    flat[at] += (np.float32(fluid) - flat[at]) * share
    # The lung next to it gives way.
    squeezed = np.exp(-np.maximum(surface - level, 0) / np.float32(3 + 3 * lesion.density)) * (1 - share)
    flat[at] += np.maximum(np.float32(0.75) - flat[at], 0) * squeezed * np.float32(0.5)
    mask = np.zeros(lung.size, bool)
    mask[at] = share >= 0.5
    return mask.reshape(lung.shape)


def _emphysema(lungs: Lungs, lesion: CtLesion, rng: np.random.Generator) -> Mask:
    lung = _side(lungs, lesion)
    at = np.flatnonzero(lung)
    z = lungs.grid.z[np.unravel_index(at, lung.shape)[0]]
    height = (z - z.min()) / max(float(np.ptp(z)), 1e-6)
    grid = lungs.grid
    coarse = smooth_field(rng, lung.shape, grid.pitch, 7).reshape(-1)[at]
    coarse += np.float32(0.6) * smooth_field(rng, lung.shape, grid.pitch, 18).reshape(-1)[at]
    level = coarse + np.float32(2.2) * (0.5 - np.abs(height - (1 - lesion.margin) * 0.9 - 0.05))
    count = int(np.clip(lesion.size * len(at), 3, len(at) - 1))
    surface = np.partition(level, len(at) - count)[len(at) - count]
    share = np.clip((level - surface) / np.float32(0.7) + 0.4, 0, 1)
    flat = lungs.density.reshape(-1)
    flat[at] *= 1 - np.float32(lesion.density) * share * (flat[at] < 0.5)
    mask = np.zeros(lung.size, bool)
    mask[at] = share >= 0.4
    return mask.reshape(lung.shape)


def _scar(lungs: Lungs, lesion: CtLesion, rng: np.random.Generator) -> Mask:
    box = _box(lungs, lesion.centre, lesion.size / 2)
    offsets = _offsets(lungs, box, lesion.centre)
    n = rng.normal(size=3) * [0.4, 0.6, 1.0]
    n = (n / np.linalg.norm(n)).astype(np.float32)
    plane = sum(o * k for o, k in zip(offsets, n, strict=True))
    d = np.sqrt(sum(o * o for o in offsets))
    wave = 1.2 * _lumps(rng, offsets, 3, (1, 3))
    share = np.clip(1.3 - np.abs(plane + wave) / 1.6, 0, 1) * np.clip((lesion.size / 2 - d) / 6, 0, 1)
    share = share * _side(lungs, lesion)[box]
    here = lungs.density[box]
    here += np.maximum(np.float32(0.85) - here, 0) * share * np.float32(lesion.density)
    mask = np.zeros(lungs.density.shape, bool)
    mask[box] = share >= 0.5
    return mask


def _dependent(lungs: Lungs, lesion: CtLesion, rng: np.random.Generator) -> Mask:
    """The lowest few millimetres of a supine lung are hazy, in anyone."""
    lung = _side(lungs, lesion)
    grid = lungs.grid
    back = np.where(lung, grid.y[None, :, None], -np.float32(1e4)).max(axis=1)
    depth = back[:, None, :] - grid.y[None, :, None]
    uneven = smooth_field(rng, (lung.shape[0], lung.shape[2]), (grid.pitch[0], grid.pitch[2]), 14)
    reach = np.maximum(lesion.size * (1 + np.float32(0.5) * uneven), 1)[:, None, :]
    share = np.exp(-np.maximum(depth, 0) / reach) * lung
    lungs.density[...] += np.maximum(np.float32(0.8) - lungs.density, 0) * share * np.float32(lesion.density)
    return (share > 0.5) & lung


def _cap(lungs: Lungs, lesion: CtLesion, rng: np.random.Generator) -> Mask:
    """Scarring over the apex: a thin irregular cap, common with age."""
    lung = _side(lungs, lesion)
    grid = lungs.grid
    levels = np.flatnonzero(lung.any(axis=(1, 2)))
    mask = np.zeros(lung.shape, bool)
    if not len(levels):
        return mask
    top = slice(max(levels[-1] - int(30 / grid.pitch[0]), 0), levels[-1] + 1)
    part = lung[top]
    ceiling = np.where(part, grid.z[top][:, None, None], -np.float32(1e4)).max(axis=0)
    depth = ceiling[None] - grid.z[top][:, None, None]
    reach = lesion.size * (1 + 0.5 * smooth_field(rng, part.shape[1:], grid.pitch[1:], 8))
    share = np.clip((reach[None] - depth) / np.float32(grid.pitch[0]) + 0.5, 0, 1) * part
    here = lungs.density[top]
    here += np.maximum(np.float32(0.9) - here, 0) * share * np.float32(lesion.density)
    mask[top] = share >= 0.5
    return mask

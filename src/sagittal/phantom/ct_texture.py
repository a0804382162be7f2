"""What a CT shows beside the shapes a radiograph needs: fat between muscles, vessels in the
mediastinum, organs under the diaphragm, lobules, small vessels and fissures in the lungs.

All of it comes from the chest's own seed: the same patient looks the same at every date.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.anatomy import FAT, Chest, aorta_centre, side_sign
from sagittal.phantom.noise import smooth_field
from sagittal.phantom.shapes import Array, Cloud
from sagittal.phantom.vessels import hilum, scatter
from sagittal.phantom.voxels import Grid

Mask = NDArray[np.bool_]
BLOOD_CT, LIVER, SPLEEN, SKIN = 1.042, 1.056, 1.05, 1.03


def twigs(chest: Chest, side: str, lung: Mask, grid: Grid) -> Cloud:
    """Small vessels that point away from the hilum, thinner and denser towards the pleura."""
    rng = np.random.default_rng((chest.seed, 43, side == "left"))
    at = np.flatnonzero(lung)
    if not len(at):
        return Cloud(f"twigs-{side}", np.zeros((0, 3), np.float32), np.zeros(0, np.float32), 0.0)
    count = 2600
    # The k-th twig sits at a fixed share of the list of lung voxels, whatever the grid.
    chosen = at[(rng.random(count) * len(at)).astype(np.int64)]
    iz, iy, ix = np.unravel_index(chosen, lung.shape)
    middle = np.stack([grid.x[ix], grid.y[iy], grid.z[iz]], axis=1)
    middle += (rng.random((count, 3)) - 0.5).astype(np.float32) * np.array(grid.pitch[::-1], np.float32)
    away = middle - np.array(hilum(chest, side), np.float32)
    far = np.linalg.norm(away, axis=1, keepdims=True)
    aim = away / (far + 1e-3) + rng.normal(0, 0.45, (count, 3)).astype(np.float32)
    aim /= np.linalg.norm(aim, axis=1, keepdims=True)
    length = rng.uniform(7, 18, (count, 1)).astype(np.float32)
    radius = (np.clip(1.25 - 0.009 * far[:, 0], 0.42, 1.1) * rng.uniform(0.7, 1.25, count)).astype(np.float32)
    start, end = middle - aim * length / 2, middle + aim * length / 2
    points, volume = scatter(start, end, radius, radius * np.float32(0.75))
    index = [
        np.clip(np.rint((points[:, k] - axis[0]) / pitch), 0, len(axis) - 1).astype(np.int64)
        for k, axis, pitch in zip((2, 1, 0), (grid.z, grid.y, grid.x), grid.pitch, strict=True)
    ]
    keep = lung[index[0], index[1], index[2]]
    return Cloud(f"twigs-{side}", points[keep], volume[keep], BLOOD_CT - chest.lung)


def _fissures(chest: Chest, side: str, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
    """Signed distance (body mm) above the oblique and above the horizontal fissure."""
    rng = np.random.default_rng((chest.seed, 53, side == "left"))
    slope, phase, level = rng.uniform(0.85, 1.15), rng.uniform(0, 6), rng.uniform(-12, 8)
    bow = 4 * np.sin(x / np.float32(38) + np.float32(phase))
    oblique = (z + np.float32(0.15 * chest.apex) + np.float32(slope) * (8 - y)) * np.float32(0.72) + bow
    return oblique, z - np.float32(level) + 4 * np.sin(y / np.float32(30))


def lobe(chest: Chest, side: str, point: tuple[float, float, float]) -> str:
    """Vocabulary key of the lobe that holds a point (x, y, z) in body mm."""
    x, y, z = (np.array([v], np.float32) for v in point)
    oblique, horizontal = _fissures(chest, side, x, y, z)
    if oblique[0] < 0:
        return "lower_lobe"
    return "middle_lobe" if side == "right" and horizontal[0] < 0 else "upper_lobe"


def lungs(chest: Chest, soft: Array, aerated: Mask, grid: Grid) -> None:
    """Lobules, the weight of the lung, and fissures (in place)."""
    rng = np.random.default_rng((chest.seed, 41))
    at = np.flatnonzero(aerated)
    if not len(at):
        return
    iz, iy, ix = np.unravel_index(at, soft.shape)
    x, y, z = grid.x[ix], grid.y[iy], grid.z[iz]
    broad = smooth_field(rng, soft.shape, grid.pitch, 38).reshape(-1)[at]
    fine = smooth_field(rng, soft.shape, grid.pitch, 4.5).reshape(-1)[at]
    # About 1 HU a millimetre from front to back when supine.
    change = np.float32(0.0011) * (y - y.mean()) + np.float32(0.012) * broad + np.float32(0.011) * fine
    thick = np.float32(0.6 * grid.pitch[0])
    for side in ("right", "left"):
        here = x * side_sign(side) > 0
        oblique, horizontal = _fissures(chest, side, x, y, z)
        change += np.where(here, np.float32(0.07), 0) * np.clip(1 - np.abs(oblique) / thick, 0, 1)
        if side == "right":
            front = here & (oblique > 0)
            change += np.where(front, np.float32(0.06), 0) * np.clip(1 - np.abs(horizontal) / thick, 0, 1)
    soft.reshape(-1)[at] += change


def soft_tissue(
    chest: Chest, soft: Array, bone: Array, aerated: Mask, inner: Mask, heart: Mask, below: Mask, grid: Grid
) -> None:
    """Fat, vessels and organs where the radiograph's anatomy has only muscle (in place).

    Args:
        inner: inside the rib cage, mediastinum included; below: under the diaphragm.
    """
    rng = np.random.default_rng((chest.seed, 47))
    plain = (soft > 0.98) & (bone < 0.03) & ~aerated
    fields = [smooth_field(rng, soft.shape, grid.pitch, scale) for scale in (9.0, 22.0)]
    mixed = fields[0] + np.float32(0.7) * fields[1]
    lean = np.float32(1.25 - 0.02 * chest.fat)
    _wall(soft, plain & ~inner, mixed, lean)
    _mediastinum(chest, soft, plain & inner & ~heart & ~below, fields[0], grid)
    _abdomen(chest, soft, plain & below & inner, mixed, grid, rng)
    _heart_fat(soft, plain & heart & ~below, fields[0])


def _wall(soft: Array, where: Mask, mixed: Array, lean: np.float32) -> None:
    """Fat in the planes between the muscles of the chest wall."""
    share = np.clip((np.abs(mixed) * -1 + np.float32(0.28)) / np.float32(0.2), 0, 1)
    share = np.maximum(share, np.clip((mixed - lean) / np.float32(0.4), 0, 1))
    soft[...] -= np.where(where, (soft - np.float32(FAT)) * share * np.float32(0.9), 0)


def _heart_fat(soft: Array, where: Mask, field: Array) -> None:
    """Fat in the grooves of the heart."""
    share = np.clip((field - np.float32(1.6)) / np.float32(0.5), 0, 1)
    soft[...] -= np.where(where, (soft - np.float32(FAT)) * share * np.float32(0.8), 0)


def _mediastinum(chest: Chest, soft: Array, where: Mask, field: Array, grid: Grid) -> None:
    """Fat around the great vessels, the oesophagus and small nodes."""
    at = np.flatnonzero(where)
    if not len(at):
        return
    iz, iy, ix = np.unravel_index(at, soft.shape)
    x, y, z = grid.x[ix], grid.y[iy], grid.z[iz]
    k = chest.arch
    tissue = np.clip((field.reshape(-1)[at] - np.float32(1.0)) / np.float32(0.4), 0, 1) * np.float32(0.6)
    # Muscle behind the spine's front edge stays muscle.
    tissue = np.maximum(tissue, np.clip((y - 58) / 6, 0, 1))
    ax = float(chest.aorta_x)
    tubes = (
        ((-12.0, -22.0, -20.0), (-8.0, -20.0, 18.0), 16.0 * k),
        ((-8.0, -20.0, 18.0), (12 + 0.35 * ax, -8.0, 20.0 + 4 * k), 16.0 * k),
        ((12 + 0.35 * ax, -8.0, 20.0 + 4 * k), (12 + 0.35 * ax, 26.0, 20.0 + 4 * k), 17.0 * k),
        ((12 + 0.35 * ax, 26.0, 20.0 + 4 * k), (ax, 46.0, 14.0), 13.0 * k),
        ((-24.0, -10.0, -25.0), (-24.0, -12.0, 45.0), 8.5),
        ((-24.0, -12.0, 45.0), (24.0, -22.0, 64.0), 6.0),
        ((-24.0, -12.0, 45.0), (-30.0, -16.0, 95.0), 6.5),
        ((-4.0, -8.0, 36.0), (-14.0, -2.0, 95.0), 6.0),
        ((3.0, 0.0, 38.0), (16.0, 0.0, 95.0), 4.2),
        ((9.0, 8.0, 38.0), (22.0, 12.0, 95.0), 4.6),
        ((18.0, -28.0, -26.0), (10.0, -12.0, 2.0), 13.0),
        ((10.0, -10.0, 0.0), (-34.0, 2.0, -10.0), 9.0),
        ((10.0, -10.0, 0.0), (34.0, 10.0, 2.0), 9.0),
        ((2.0, 24.0, 90.0), (6.0, 30.0, -120.0), 6.5),
    )
    for start, end, radius in tubes:
        d = _distance(x, y, z, start, end)
        tissue = np.maximum(tissue, np.clip((np.float32(radius) - d) / np.float32(2.5) + 0.5, 0, 1))
    d = np.hypot(x - aorta_centre(chest, z), y - 48)
    descending = np.clip((np.float32(11.5 * k) - d) / np.float32(2.5) + 0.5, 0, 1) * (z < 24)
    tissue = np.maximum(tissue, descending)
    flat = soft.reshape(-1)
    flat[at] = np.float32(FAT) + np.float32(BLOOD_CT - FAT) * tissue


def _distance(
    x: Array, y: Array, z: Array, start: tuple[float, float, float], end: tuple[float, float, float]
) -> Array:
    b = np.array(end, np.float32) - np.array(start, np.float32)
    px, py, pz = x - np.float32(start[0]), y - np.float32(start[1]), z - np.float32(start[2])
    t = np.clip((px * b[0] + py * b[1] + pz * b[2]) / np.float32(b @ b), 0, 1)
    d: Array = np.sqrt((px - t * b[0]) ** 2 + (py - t * b[1]) ** 2 + (pz - t * b[2]) ** 2)
    return d


def _abdomen(
    chest: Chest, soft: Array, where: Mask, mixed: Array, grid: Grid, rng: np.random.Generator
) -> None:
    """Liver on the right, spleen at the back left, fat between."""
    at = np.flatnonzero(where)
    if not len(at):
        return
    iz, iy, ix = np.unravel_index(at, soft.shape)
    x, y, z = grid.x[ix], grid.y[iy], grid.z[iz]
    w, top = chest.width, chest.dome_left
    noise = mixed.reshape(-1)[at]
    liver = ((x + 0.5 * w) / (0.95 * w)) ** 2 + ((y + 10) / (0.95 * chest.depth)) ** 2
    liver = 1.05 - liver + 0.04 * noise
    spleen = ((x - 0.66 * w) / 30) ** 2 + ((y - 38) / 34) ** 2 + ((z - top + 40) / 44) ** 2
    stomach = ((x - 0.45 * w) / 42) ** 2 + ((y + 22) / 40) ** 2 + ((z - top + 38) / 34) ** 2
    density = np.float32(FAT) + np.float32(0.03) * np.clip(noise, -1, 1)
    density = density + (LIVER - density) * np.clip(liver / 0.06 + 0.5, 0, 1)
    density = density + (SPLEEN - density) * np.clip((1 - spleen) / 0.12 + 0.5, 0, 1)
    wall = 1.03 + float(rng.uniform(-0.02, 0.01))
    density = density + (wall - density) * np.clip((1 - stomach) / 0.12 + 0.5, 0, 1)
    soft.reshape(-1)[at] = density

"""The pulmonary vessels: arteries and veins, grown level by level, drawn as clouds of points."""

from __future__ import annotations

import numpy as np

from sagittal.phantom.anatomy import BLOOD, Chest, side_sign
from sagittal.phantom.shapes import Array, Cloud

_GOLDEN = np.float32(np.pi * (3 - np.sqrt(5)))


def hilum(chest: Chest, side: str) -> tuple[float, float, float]:
    """Where the vessels of a side enter; the left hilum stands higher."""
    sign = side_sign(side)
    return (sign * 34.0, 4.0, -6.0 if side == "left" else -16.0)


def _roots(chest: Chest, side: str, vein: bool, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Start, direction and radius of the segmental branches of one tree."""
    sign = side_sign(side)
    start = np.array(hilum(chest, side))
    count = 7 if vein else 10
    if vein:
        angle = np.concatenate([rng.uniform(0.9, 1.5, 3), rng.uniform(-0.75, 0.1, count - 3)])
        start = start + np.array([sign * -6, -6, -12])
    else:
        angle = np.concatenate([rng.uniform(0.5, 1.4, 4), rng.uniform(-1.35, 0.3, count - 4)])
    depth = rng.uniform(-0.75, 0.75, count)
    direction = np.stack([sign * np.cos(angle), depth, np.sin(angle)], 1)
    starts = np.broadcast_to(start, (count, 3)) + rng.normal(0, 5, (count, 3))
    low = np.sin(angle) < 0.2
    starts = starts + np.where(low[:, None], [[sign * 6.0, 8.0, -22.0]], 0.0) * rng.random((count, 1))
    radius = np.where(low, 3.3, 2.5) * rng.uniform(0.75, 1.15, count) * (0.9 if vein else 1.0)
    return starts.astype(np.float32), direction.astype(np.float32), radius.astype(np.float32)


def _normal(v: Array) -> Array:
    return v / (np.sqrt(np.einsum("ij,ij->i", v, v))[:, None] + np.float32(1e-9))


def grow(chest: Chest, levels: int = 8) -> tuple[Array, Array, Array, Array]:
    """(start, end, radius at start, radius at end) of every segment of all four trees."""
    rng = np.random.default_rng((chest.seed, 3))
    trees = [(side, _roots(chest, side, vein, rng)) for side in ("right", "left") for vein in (False, True)]
    origin, direction, radius = (np.concatenate([tree[k] for _, tree in trees]) for k in range(3))
    centre = np.concatenate(
        [np.broadcast_to(np.array(hilum(chest, side), np.float32), tree[0].shape) for side, tree in trees]
    )
    length = rng.uniform(20, 34, len(origin)).astype(np.float32)
    wiggle = np.float32(chest.tortuosity)

    def normal(shape: tuple[int, ...]) -> Array:
        return rng.standard_normal(shape, np.float32)

    out: list[tuple[Array, Array, Array, Array]] = []
    for _ in range(levels):
        away = _normal(origin - centre + np.float32(1e-3))
        aim = _normal(_normal(direction) + 0.22 * away + wiggle * normal(direction.shape))
        middle = origin + aim * length[:, None] * 0.5
        aim = _normal(aim + wiggle * normal(aim.shape))
        end = middle + aim * length[:, None] * 0.5
        tip = radius * 0.86
        out.append((origin, middle, radius, 0.5 * (radius + tip)))
        out.append((middle, end, 0.5 * (radius + tip), tip))
        # Two daughters, unequal; the larger bends less (Murray-like: r1^3 + r2^3 ~ r^3).
        n = len(end)
        aside = _normal(np.cross(aim, normal(aim.shape)))
        share = rng.uniform(0.55, 0.8, n).astype(np.float32)
        spread = np.float32(chest.branching) * rng.uniform(0.6, 1.4, n).astype(np.float32)
        turn1, turn2 = spread * (1 - share) * 1.3, spread * share * 1.9
        direction = np.concatenate([aim + turn1[:, None] * aside, aim - turn2[:, None] * aside])
        origin = np.concatenate([end, end])
        centre = np.concatenate([centre, centre])
        radius = np.concatenate([tip * np.cbrt(share), tip * np.cbrt(1 - share)])
        shrink = rng.uniform(0.68, 0.95, 2 * n).astype(np.float32)
        length = np.maximum(np.concatenate([length, length]) * shrink, 5)
        keep = radius > 0.24
        origin, direction, centre = origin[keep], direction[keep], centre[keep]
        radius, length = radius[keep], length[keep]
        if len(origin) == 0:
            break
    start, end, r0, r1 = (np.concatenate(a) for a in zip(*out, strict=True))
    gain = np.float32(chest.vessel_gain)
    return start, end, r0 * gain, r1 * gain


def scatter(
    start: Array, end: Array, r0: Array, r1: Array, step: float = 1.25, fill: float = 0.9
) -> tuple[Array, Array]:
    """Points that fill tapered tubes evenly, with their volumes (mm3)."""
    span = np.linalg.norm(end - start, axis=1)
    radius = 0.5 * (r0 + r1)
    count = np.maximum((span / step * np.maximum(1, fill * radius * radius)).astype(np.int64), 1)
    owner = np.repeat(np.arange(len(span)), count)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    rank = (np.arange(len(owner)) - first[owner]).astype(np.float32)
    t = (rank + np.float32(0.5)) / count[owner].astype(np.float32)
    r = r0[owner] * (1 - t) + r1[owner] * t
    volume = np.float32(np.pi) * r * r * (span / count).astype(np.float32)[owner]
    points = start[owner] * (1 - t[:, None]) + end[owner] * t[:, None]
    wide = radius[owner] > 0.8
    if wide.any():
        axis = _normal(end - start)
        steep = np.abs(axis[:, 1:2]) < 0.8
        helper = np.where(steep, np.array([0, 1, 0], np.float32), np.array([1, 0, 0], np.float32))
        n1 = _normal(np.cross(axis, helper))[owner[wide]]
        n2 = np.cross(axis[owner[wide]], n1)
        # Plastic-number sequence: points spread evenly over the disc whatever their count.
        k = rank[wide]
        rho = r[wide] * np.sqrt((k * np.float32(0.7548777)) % 1)
        phi = _GOLDEN * k * 3
        points[wide] += (rho * np.cos(phi))[:, None] * n1 + (rho * np.sin(phi))[:, None] * n2
    return points.astype(np.float32), volume.astype(np.float32)


def trunks(chest: Chest, side: str) -> tuple[Array, Array, Array, Array]:
    """The large central arteries: main branch and the descending interlobar artery."""
    sign = side_sign(side)
    hx, hy, hz = hilum(chest, side)
    k = chest.vessel_gain
    rows = [
        ((sign * 14, -4, hz + 8), (hx, hy, hz + 4), 8.5 * k, 7.5 * k),
        ((hx, hy, hz + 4), (hx + sign * 9, hy + 8, hz - 22), 7.2 * k, 6.2 * k),
        ((hx + sign * 9, hy + 8, hz - 22), (hx + sign * 14, hy + 14, hz - 48), 6.2 * k, 4.2 * k),
        ((hx, hy, hz + 4), (hx + sign * 12, hy - 4, hz + 26), 5.4 * k, 3.6 * k),
    ]
    start, end, r0, r1 = zip(*rows, strict=True)
    return tuple(np.array(a, np.float32) for a in (start, end, r0, r1))  # type: ignore[return-value]


def vessels(chest: Chest) -> Cloud:
    """Arteries and veins of both lungs as one cloud; clipping to the lungs is the caller's."""
    parts = [grow(chest), trunks(chest, "right"), trunks(chest, "left")]
    start, end, r0, r1 = (np.concatenate(a) for a in zip(*parts, strict=True))
    points, volume = scatter(start, end, r0, r1)
    return Cloud("vessels", points, volume, BLOOD - chest.lung)

"""Ribs, clavicles, scapulae, humeri and spine of a chest."""

from __future__ import annotations

import numpy as np

from sagittal.phantom.anatomy import Chest, cage_profile, side_sign, spine_x
from sagittal.phantom.shapes import Array, Cloud, Rays, Region, slab, tube_points

CORTEX = 0.95
"""Mineral density of cortical bone, g/cm3, beside its soft matrix."""

VERTEBRAE = 16
"""C6 to L2 or so; index 3 is T1."""


def vertebra_z() -> Array:
    """(16,) centres of the vertebrae, from C6 down; T1 is index 2."""
    pitch = np.linspace(16.5, 29.0, VERTEBRAE - 1)
    z = np.concatenate([[0.0], -np.cumsum(pitch)])
    return (z - z[2] + 98).astype(np.float32)


SIDES = ("right", "left")
_NUMBERS = np.arange(1, 13)


def rib_paths(chest: Chest) -> Array:
    """(2, 12, 64, 3) centre lines, right then left, from the vertebra round to the front end."""
    rng = np.random.default_rng((chest.seed, 7))
    jitter = rng.normal(0, 1, (2, 12, 3)).astype(np.float32)[..., None, :]
    sign = np.array([-1, 1], np.float32)[:, None, None]
    end = 2.62 - 0.055 * np.maximum(_NUMBERS - 5, 0)
    end[[0, 1, 10, 11]] = 2.3, 2.42, 1.75, 1.35
    t = np.linspace(0, 1, 64, dtype=np.float32)
    phi = (0.30 + (end - 0.30)[:, None] * t).astype(np.float32)[None] + 0.05 * jitter[..., 0] * t
    slope = np.float32(chest.rib_slope)
    drop_back = (10 + 4.4 * np.minimum(_NUMBERS, 8)) * slope
    drop_front = (26 + 7.2 * np.minimum(_NUMBERS, 7)) * slope
    drop_back[0], drop_front[0] = 8.0, 34.0 * slope
    lateral = np.clip(phi / (np.pi / 2), 0, 1)
    forward = np.clip((phi / np.pi - 0.5) / 0.42, 0, 1)
    z0 = (vertebra_z()[2:14] + np.where(_NUMBERS == 1, -3, 6))[None, :, None]
    z = z0 - drop_back[:, None] * lateral**1.5 - drop_front[:, None] * forward**1.15
    z = (z + jitter[..., 1] * 1.2 + jitter[..., 2] * 1.5 * lateral).astype(np.float32)
    below = np.maximum(np.float32(chest.apex) - z, 1)
    outer, deep, centre, _ = cage_profile(chest, below)
    outer = outer * (1 + np.float32(chest.asymmetry) * sign) + 4
    deep = deep + 3.5
    cos, sin = np.cos(phi), np.sin(phi)
    x = outer * np.abs(sin) ** np.float32(2 / 2.3)
    y = centre + deep * np.sign(cos) * np.abs(cos) ** np.float32(2 / 2.3)
    back = np.clip((phi - 0.30) / 0.35, 0, 1)
    x = 22 * (1 - back) + np.maximum(x, 22) * back
    y = 70 * (1 - back) + y * back
    x = sign * x + (1 - np.clip(x / 90, 0, 1)) * spine_x(chest, z)
    return np.stack([x, y, z], axis=-1).astype(np.float32)


def rib_clouds(chest: Chest, paths: Array, numbers: Array) -> list[Cloud]:
    """Ribs along ``paths`` (B, n, 3) as cortical tubes; ``numbers`` (B,) are 1-12."""
    grow = np.linspace(0.8, 1.2, paths.shape[1], dtype=np.float32)
    factor = np.ones(13, np.float32)
    factor[[1, 2, 11, 12]] = 1.25, 0.95, 0.8, 0.7
    height = (chest.rib_height * factor[numbers])[:, None] * grow
    depth = np.broadcast_to(3.4 * np.sqrt(grow), height.shape)
    points, volume = tube_points(paths, height, depth, 1.15, 0.16, 250)
    mineral = 0.78 * CORTEX * chest.mineral
    return [Cloud("rib", p, v, 0.05, mineral) for p, v in zip(points, volume, strict=True)]


def ribs(chest: Chest, skip: frozenset[tuple[str, int]] = frozenset()) -> list[Cloud]:
    """All ribs but those in ``skip`` (side, number)."""
    keep = [(i, n) for i, side in enumerate(SIDES) for n in range(1, 13) if (side, n) not in skip]
    paths = rib_paths(chest)
    return rib_clouds(chest, np.stack([paths[i, n - 1] for i, n in keep]), np.array([n for _, n in keep]))


def girdle(chest: Chest) -> list[Cloud]:
    """Clavicles, the borders and processes of the scapulae, humeri."""
    rng = np.random.default_rng((chest.seed, 11))
    supine = chest.pose != "erect"
    t = np.linspace(0, 1, 30, dtype=np.float32)
    clavicles, borders, radii, arms = [], [], [], []
    for side in SIDES:
        sign = side_sign(side)
        tilt = float(rng.normal(14 if supine else 2, 6))
        z = chest.apex - 34 + float(rng.normal(0, 3)) + (30 + tilt) * t + 7 * np.sin(2 * np.pi * t)
        y = -62 + 78 * t - 12 * np.sin(2 * np.pi * t)
        clavicles.append(np.stack([sign * (17 + 138 * t), y, z], 1))
        for line, radius in _scapula(chest, sign):
            borders.append(line)
            radii.append(np.full(30, radius, np.float32))
        gx, gy, gz = glenoid(chest, sign)
        arms.append(np.stack([gx + sign * (14 + 34 * t), gy + 0 * t, gz + 6 - 210 * t], 1))
    bone = CORTEX * chest.mineral
    thick = np.interp(t, [0, 0.12, 0.5, 1], [9.0, 6.4, 5.4, 7.5])
    groups = [
        (1.0, tube_points(np.stack(clavicles), thick, 0.9 * thick, 2.0, 0.25, 130, 13)),
        (0.8, tube_points(np.stack(borders), np.stack(radii), 0.7 * np.stack(radii), 1.2, 0.2, 110, 7)),
    ]
    if chest.pose != "ct":
        bulk = np.interp(t, [0, 0.1, 0.25, 1], [21, 20, 12, 11])
        groups.append((0.9, tube_points(np.stack(arms), bulk, bulk, 1.8, 0.18, 150, 31)))
    return [
        Cloud("girdle", points.reshape(-1, 3), volume.reshape(-1), 0.05, k * bone)
        for k, (points, volume) in groups
    ]


def glenoid(chest: Chest, sign: int) -> tuple[float, float, float]:
    """Where the arm hangs."""
    return (sign * (chest.width + 32), 30.0, chest.apex - 34)


def _scapula_corners(chest: Chest, sign: int) -> Array:
    """(3, 2) superior, inferior and lateral corner in x, z; supine ones lie over the lungs."""
    over = -22.0 if chest.pose == "supine" else 6.0
    gx, _, gz = glenoid(chest, sign)
    w = chest.width
    return np.array(
        [
            [sign * (w * 0.62 + over), chest.apex - 18],
            [sign * (w * 0.80 + over + 10), chest.apex - 148],
            [gx - sign * 8, gz - 6],
        ]
    )


def _scapula(chest: Chest, sign: int) -> list[tuple[Array, float]]:
    """Lines and radii: lateral and medial border, spine, coracoid, glenoid."""
    top, low, joint = _scapula_corners(chest, sign)

    def bow(a: Array, b: Array, by: float, y0: float, y1: float) -> Array:
        t = np.linspace(0, 1, 30)[:, None]
        line = a * (1 - t) + b * t + np.array([sign * by, 0]) * np.sin(np.pi * t)
        y = (y0 * (1 - t) + y1 * t)[:, 0]
        return np.stack([line[:, 0], y, line[:, 1]], 1).astype(np.float32)

    roof = joint + np.array([sign * 14.0, 26.0])
    return [
        (bow(low, joint, -7, 88, 40), 4.0),
        (bow(top, low, -5, 84, 88), 1.7),
        (bow(top * 0.75 + low * 0.25, roof, 2, 92, 36), 4.2),
        (bow(joint + np.array([-sign * 14, 16]), joint + np.array([-sign * 4, 4]), 0, 5, 25), 6.0),
        (bow(joint + np.array([0, 16.0]), joint - np.array([0, 16.0]), -3, 32, 32), 4.5),
    ]


def plates(chest: Chest, rays: Rays) -> list[Region]:
    """Thin blades of the scapulae and the sternum."""
    regions = []
    x, z = rays.at(85.0)
    for side in ("right", "left"):
        corners = _scapula_corners(chest, side_sign(side))
        inside: Array | None = None
        for i in range(3):
            (ax, az), (bx, bz) = corners[i], corners[(i + 1) % 3]
            cx, cz = corners[(i + 2) % 3]
            normal = np.array([bz - az, ax - bx]) / np.hypot(bz - az, ax - bx)
            turn = np.sign((cx - ax) * normal[0] + (cz - az) * normal[1])
            d = np.float32(turn) * ((x - ax) * np.float32(normal[0]) + (z - az) * np.float32(normal[1]))
            inside = d if inside is None else np.minimum(inside, d)
        assert inside is not None
        regions.append(
            Region(
                f"scapula-{side}", slab(np.clip(inside / 2, 0, 1.0), 85.0), bone=0.6 * CORTEX * chest.mineral
            )
        )
    x, z = rays.at(-80.0)
    top = np.float32(chest.apex - 40)
    width = np.where(z > top - 45, 26 - 0.1 * (top - z), np.float32(15))
    plate = np.clip((width - np.abs(x)) / 2, 0, 1) * np.clip((top - z) / 2, 0, 1)
    plate *= np.clip((z + np.float32(95)) / 2, 0, 1)
    y = -chest.depth + 2
    regions.append(Region("sternum", slab(9 * plate.astype(np.float32), y), bone=0.16 * chest.mineral))
    return regions


def spine(chest: Chest, rays: Rays) -> list[Region]:
    """Vertebral bodies with cortex and end plates, pedicles, transverse and spinous processes."""
    x, z = rays.at(62.0)
    near = np.flatnonzero((np.abs(x) < 62).any(axis=0))
    columns = (int(near[0]), int(near[-1]) + 1) if len(near) else (0, 1)
    x, z = x[:, slice(*columns)], z[:, slice(*columns)]
    x = x - spine_x(chest, z)
    zs = vertebra_z()
    edges = (zs[:-1] + zs[1:]) / 2
    index = np.searchsorted(-edges, -z.ravel()).reshape(z.shape)
    pitch = np.concatenate([[16.5], -np.diff(zs)]).astype(np.float32)
    h = pitch[index]
    u = (z - zs[index]) / (0.5 * h)
    half = 11.5 + 0.30 * h
    edge = half * (0.88 + 0.12 * np.minimum(u * u, 1))
    ax = np.abs(x)
    body = np.clip((edge - ax) / 1.4, 0, 1) * np.clip((0.86 - np.abs(u)) / 0.1, 0, 1)
    deep = 27 * np.sqrt(np.maximum(1 - (x / (half * 1.12)) ** 2, 0)) * body
    plate = np.exp(-(((np.abs(u) - 0.82) * 0.5 * h / 1.3) ** 2)) * np.clip((edge - ax) / 1.4, 0, 1)
    cortex = np.exp(-(((ax - edge + 1.2) / 1.2) ** 2)) * np.clip((0.86 - np.abs(u)) / 0.1, 0, 1)
    px, pz = (ax - 0.66 * half) / (0.2 * h), (u - 0.3) * 0.5 * h / (0.29 * h)
    ring = np.exp(-(((np.sqrt(px * px + pz * pz) - 1) * 0.2 * h / 1.2) ** 2))
    sx, sz = x / 3.4, (u + 0.75) * 0.5 * h / 7
    spinous = np.exp(-(((np.sqrt(sx * sx + sz * sz) - 1) * 3.4 / 1.5) ** 2))
    reach = np.clip((13 + 0.85 * h - ax) / 3, 0, 1) * np.clip((ax - 0.5 * half) / 3, 0, 1)
    rise = u - 0.25 - np.maximum(ax - half, 0) * 0.012
    transverse = np.exp(-((rise * 0.5 * h / 3.6) ** 2)) * reach
    lamina = np.exp(-(((u + 0.1) * 0.5 * h / 5.5) ** 2)) * np.clip((0.72 * half - ax) / 3, 0, 1)
    m = chest.mineral
    solid = 0.75 * CORTEX * m
    return [
        Region("vertebrae", slab(deep, 62.0), bone=0.14 * m, columns=columns),
        Region("end-plates", slab(4.4 * plate + 4.0 * cortex, 62.0), bone=solid, columns=columns),
        Region("pedicles", slab(3.9 * ring, 82.0), bone=solid, columns=columns),
        Region(
            "processes",
            slab(4.2 * spinous + 2.4 * transverse + 2.6 * lamina, 92.0),
            bone=solid,
            columns=columns,
        ),
    ]

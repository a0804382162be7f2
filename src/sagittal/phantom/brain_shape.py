"""From the parameters of a head to how much of each tissue every voxel holds.

Structures are signed distances (positive inside, about mm) turned into soft occupancies, painted
front to back: what a structure takes is no longer there for those behind it, so that the fractions
of a point add up to one. Work is done on the points inside the skull and outside it apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.brain_folds import SEMI_AXES_MM, draw_folds
from sagittal.phantom.brain_head import Head
from sagittal.phantom.noise import Array

TISSUES = (
    "air", "csf", "grey", "white", "deep_grey", "pallidum", "stem", "fat", "muscle", "bone", "marrow",
    "dura", "blood", "choroid", "vitreous", "mucosa", "ventricle",
)  # fmt: skip


def occupancy(distance: Array, edge_mm: float = 1.9) -> Array:
    """Share of a voxel inside, for a signed distance in mm from its centre."""
    return np.clip(distance * np.float32(1.0 / edge_mm) + np.float32(0.5), 0.0, 1.0)


def ellipsoid(x: Array, y: Array, z: Array, centre: Sequence[float], radii: Sequence[float]) -> Array:
    """Approximate signed distance of an axis-aligned ellipsoid."""
    u, v, w = (
        np.float32(1 / r) * (p - np.float32(c)) for p, c, r in zip((x, y, z), centre, radii, strict=True)
    )
    q = np.sqrt(u * u + v * v + w * w) + np.float32(1e-6)
    u, v, w = (p * np.float32(1 / r) for p, r in zip((u, v, w), radii, strict=True))
    return (1.0 - q) * q / (np.sqrt(u * u + v * v + w * w) + np.float32(1e-6))


def tube(x: Array, y: Array, z: Array, nodes: Sequence[tuple[float, float, float, float]]) -> Array:
    """Signed distance of a chain of tapering capsules; a node is (x, y, z, radius)."""
    best = np.full(x.shape, -1e3, np.float32)
    for a, b in pairwise(nodes):
        d = [np.float32(q - p) for p, q in zip(a[:3], b[:3], strict=True)]
        px, py, pz = x - np.float32(a[0]), y - np.float32(a[1]), z - np.float32(a[2])
        t = np.clip((px * d[0] + py * d[1] + pz * d[2]) / sum(k * k for k in d), 0.0, 1.0)
        px -= t * d[0]
        py -= t * d[1]
        pz -= t * d[2]
        np.maximum(best, a[3] + (b[3] - a[3]) * t - np.sqrt(px * px + py * py + pz * pz), out=best)
    return best


def tentorium(x: Array, y: Array) -> Array:
    """Height of the tentorium above the origin at (x, y): a tent, highest at its front midline."""
    return 2.0 - 0.40 * np.abs(x) - 0.30 * (y - 45.0)


def skull_depth(x: Array, y: Array, z: Array) -> Array:
    """Depth in mm under the inner table of the skull (negative outside it)."""
    widest = 71.0 * (1.0 + 0.10 * np.tanh((y - 8.0) / 45.0))
    xs, ys = x / widest, (y - 17.0) / 89.0
    zs = (z - 14.0) / np.float32(64.0)
    flat = xs * xs + ys * ys
    q = (flat**1.25 + np.abs(zs) ** 2.5 + 1e-9) ** 0.4
    dome = np.sqrt(x * x + (y - 17) ** 2 + (z - 14) ** 2) * (1.0 / np.maximum(q, 1e-3) - 1.0)
    # The floor: orbital roofs in front, the sella, then the clivus falls away behind it.
    front = 24.0 - 2.0 * occupancy(-12.0 - y, 6.0)
    dome = np.minimum(dome, z + front + 2.0 * np.maximum(0.0, y - 2.0))
    temporal = ellipsoid(np.abs(x), y, z, (40.0, 4.0, -22.0), (27.0, 42.0, 24.0))
    fossa = ellipsoid(x, y, z, (0.0, 57.0, -36.0), (56.0, 44.0, 34.0))
    stem = ellipsoid(x, y, z, (0.0, 38.0, -50.0), (19.0, 22.0, 55.0))
    return np.maximum(np.maximum(dome, temporal), np.maximum(fossa, stem))


class Canvas:
    """Paints front to back on n points."""

    def __init__(self, count: int) -> None:
        self.fraction = np.zeros((len(TISSUES), count), np.float32)
        self.left = np.ones(count, np.float32)

    def paint(self, tissue: str, share: Array, where: NDArray[np.int64] | slice = slice(None)) -> None:
        """Give ``share`` of what is still free at the points ``where`` to ``tissue``."""
        taken = self.left[where] * share
        self.fraction[TISSUES.index(tissue)][where] += taken
        self.left[where] -= taken


def paint_brain(
    head: Head, rng: np.random.Generator, x: Array, y: Array, z: Array, depth: Array, bend: Sequence[Array]
) -> Array:
    """Tissue fractions (tissues, n) of points inside the skull; ``bend`` three smooth noises at them."""
    canvas = Canvas(x.size)
    canvas.paint("bone", occupancy(0.2 - depth))
    middle = np.flatnonzero((np.abs(x) < 48) & (y > -46) & (y < 84) & (z > -30) & (z < 40))
    _paint_ventricles(head, canvas, middle, x[middle], y[middle], z[middle])
    _paint_perivascular(rng, canvas, middle, x[middle], y[middle], z[middle])
    _paint_deep(head, canvas, middle, x[middle], y[middle], z[middle])
    below = np.flatnonzero((z < tentorium(x, y) + 4) & (y > 4) & (z < 14))
    _paint_fossa(head, canvas, below, x[below], y[below], z[below], depth[below], bend[0])
    _paint_vessels(canvas, x, y, z, depth)
    _paint_cortex(head, rng, canvas, x, y, z, depth, bend)
    canvas.paint("csf", np.ones(1, np.float32))
    return canvas.fraction


def _paint_ventricles(
    head: Head, canvas: Canvas, where: NDArray[np.int64], x: Array, y: Array, z: Array
) -> None:
    right, left, third = head.ventricle
    wide = np.where(x < 0, np.float32(right), np.float32(left))
    side = np.abs(x)
    horns: list[tuple[float, float, float, float]] = [
        (12.0, -34.0, 3.0, 2.0), (10.0, -24.0, 10.0, 4.6), (8.0, -6.0, 19.0, 5.0), (11.0, 16.0, 22.0, 4.8),
        (22.0, 36.0, 15.0, 6.5), (24.0, 62.0, 8.0, 2.0),
    ]  # fmt: skip
    temporal: list[tuple[float, float, float, float]] = [
        (22.0, 36.0, 15.0, 6.5), (32.0, 26.0, -4.0, 2.6), (32.0, 2.0, -17.0, 1.8)
    ]  # fmt: skip
    # Dividing lengths by the width and multiplying radii by it would move the axes: offset instead.
    lateral = np.maximum(tube(side, y, z, horns), tube(side, y, z, temporal))
    lateral += (wide - 1.0) * 4.2
    lateral = np.minimum(lateral, side - 0.9)
    share = occupancy(lateral)
    plexus = ellipsoid(side, y, z, (23.0, 37.0, 10.0), (3.4, 7.0, 6.0))
    canvas.paint("choroid", np.minimum(occupancy(plexus), share) * np.float32(0.85), where)
    canvas.paint("ventricle", share, where)
    third_shape = ellipsoid(x, y, z, (0.0, 13.0, 1.0), (1.9 * third + 0.4, 16.0, 11.0))
    canvas.paint("ventricle", occupancy(third_shape), where)


def _paint_perivascular(
    rng: np.random.Generator, canvas: Canvas, where: NDArray[np.int64], x: Array, y: Array, z: Array
) -> None:
    """Virchow-Robin spaces: fluid along the perforating arteries, harmless and easily taken for lacunes."""
    near = np.flatnonzero((np.abs(x) < 36) & (y > -22) & (y < 30) & (z > -18) & (z < 24))
    u, v, w = x[near], y[near], z[near]
    for _ in range(int(rng.integers(0, 6))):
        a, b = rng.uniform(18, 31) * rng.choice((-1, 1)), rng.uniform(-10, 14)
        c, radius = rng.uniform(-12, -2), rng.uniform(0.7, 1.5)
        lean = rng.normal(0.0, 2.0, 2)
        nodes = [(a, b, c, radius), (a + lean[0], b + lean[1], c + rng.uniform(5, 14), 0.6 * radius)]
        canvas.paint("csf", occupancy(tube(u, v, w, nodes)), where[near])


def _paint_deep(head: Head, canvas: Canvas, where: NDArray[np.int64], x: Array, y: Array, z: Array) -> None:
    side = np.abs(x)
    out = 4.0 * (0.5 * (head.ventricle[0] + head.ventricle[1]) - 1.0)
    caudate = tube(
        side,
        y,
        z,
        [(14.5 + out, -20.0, 4.0, 6.0), (15.0 + out, -8.0, 13.0, 5.5), (19.0 + out, 14.0, 20.0, 2.5)],
    )
    canvas.paint("deep_grey", occupancy(caudate), where)
    canvas.paint("deep_grey", occupancy(ellipsoid(side, y, z, (11.0, 17.0, 6.0), (9.0, 14.5, 10.0))), where)
    skew = side + 0.28 * (y - 2.0)
    canvas.paint(
        "deep_grey", 0.9 * occupancy(ellipsoid(skew, y, z, (27.5, -2.0, 2.0), (5.2, 16.0, 10.5))), where
    )
    canvas.paint("pallidum", occupancy(ellipsoid(skew, y, z, (19.5, 2.0, 0.0), (4.4, 9.5, 6.5))), where)
    hippocampus = tube(
        side, y, z, [(25.0, 6.0, -16.0, 5.0), (27.0, 22.0, -11.0, 3.5), (22.0, 35.0, 1.0, 2.0)]
    )
    canvas.paint("grey", occupancy(hippocampus), where)
    arc: list[tuple[float, float, float, float]] = [
        (0.0, -27.0, -2.0, 2.5), (0.0, -34.0, 7.0, 4.5), (0.0, -27.0, 18.0, 4.0), (0.0, -2.0, 26.0, 3.3),
        (0.0, 24.0, 25.0, 3.3), (0.0, 40.0, 15.0, 5.0), (0.0, 36.0, 8.0, 3.0),
    ]  # fmt: skip
    canvas.paint("white", occupancy(tube(np.maximum(side - 12.0, 0.0), y, z, arc)), where)
    canvas.paint("white", occupancy(ellipsoid(side, y, z, (16.0, 4.0, 2.0), (17.5, 27.0, 17.0))), where)


def _paint_fossa(
    head: Head, canvas: Canvas, where: NDArray[np.int64], x: Array, y: Array,
    z: Array, depth: Array, bend: Array,
) -> None:  # fmt: skip
    side = np.abs(x)
    fourth = ellipsoid(x, y, z, (0.0, 43.0, -33.0), (7.0, 4.5 * head.ventricle[2] ** 0.5, 11.0))
    canvas.paint("ventricle", occupancy(fourth), where)
    trunk = tube(
        x * 0.95, y, z,
        [(0.0, 17.0, -2.0, 12.0), (0.0, 22.0, -12.0, 13.5), (0.0, 25.0, -28.0, 15.0), (0.0, 33.0, -45.0, 9.5),
         (0.0, 40.0, -62.0, 7.0), (0.0, 44.0, -95.0, 6.5)],
    )  # fmt: skip
    trunk = np.minimum(trunk, np.hypot(x, y - 8.0) - 5.0)  # the fossa between the peduncles
    canvas.paint("stem", occupancy(trunk), where)
    rim = 0.4 + 0.6 * head.rim_mm
    body = np.maximum(
        ellipsoid(side, y, z, (25.0, 62.0, -36.0), (33.0, 34.0, 27.0)),
        ellipsoid(x, y, z, (0.0, 60.0, -26.0), (16.0, 28.0, 26.0)),
    )
    body = np.minimum(np.minimum(body, depth - rim), tentorium(x, y) - 0.8 - z)
    body = np.minimum(body, np.hypot(x, y - 96.0) - 5.0)  # the notch behind
    wave = 0.9 * np.sin(z * 1.1 + x * 0.05) + 0.6 * np.sin(0.9 * y + 0.4 * x)
    core = np.minimum(body - 9.5, np.float32(15.0) - np.abs(z + 36.0)) + 2.6 * wave
    share = occupancy(body)
    fold = np.clip(
        np.sin(1.15 * (0.55 * np.hypot(x, y - 38.0) - 0.85 * z) + bend[where]) - 0.5, 0, 1
    ) * np.clip(4 - 0.3 * body, 0, 1)
    canvas.paint("csf", share * fold * np.float32(0.45 + 0.5 * head.atrophy), where)
    peduncle = tube(side, y, z, [(9.0, 32.0, -32.0, 7.0), (20.0, 50.0, -36.0, 7.0)])
    canvas.paint("white", np.maximum(np.minimum(occupancy(core, 4.0), share), occupancy(peduncle)), where)
    canvas.paint("grey", share, where)


def _paint_vessels(canvas: Canvas, x: Array, y: Array, z: Array, depth: Array) -> None:
    """Arteries at the base, the larger veins and the dural sinuses."""
    near = np.flatnonzero((np.abs(x) < 50) & (y > -40) & (y < 40) & (z > -60) & (z < 30))
    u, v, w = np.abs(x[near]), y[near], z[near]
    arteries = (
        [(7.0, -4.0, -24.0, 2.4), (8.0, -6.0, -13.0, 2.2), (20.0, -6.0, -11.0, 1.6), (36.0, -4.0, -7.0, 1.4),
         (41.0, 8.0, 4.0, 1.1)],
        [(8.0, -6.0, -13.0, 1.4), (2.0, -16.0, -8.0, 1.3), (1.5, -38.0, 2.0, 1.2), (1.5, -30.0, 27.0, 1.0)],
        [(0.0, 8.0, -40.0, 1.9), (0.0, 6.0, -16.0, 1.9), (8.0, 9.0, -13.0, 1.3), (19.0, 24.0, -9.0, 1.2)],
    )  # fmt: skip
    for nodes in arteries:
        canvas.paint("blood", occupancy(tube(u, v, w, nodes)), near)
    mid = np.flatnonzero((np.abs(x) < 7) & (y > 8))
    u, v, w = x[mid], y[mid], z[mid]
    straight: list[tuple[float, float, float, float]] = [
        (0.0, 12.0, 12.5, 1.0), (0.0, 36.0, 11.0, 1.7), (0.0, 46.0, 8.0, 2.0), (0.0, 92.0, -8.0, 2.4)
    ]  # fmt: skip
    canvas.paint("blood", occupancy(tube(u, v, w, straight)), mid)
    sinus = np.minimum(4.0 - np.abs(x) - 0.5 * depth, depth + 0.5)
    sinus = np.minimum(sinus, np.maximum(z - 30.0, y - 60.0))
    back = np.minimum(3.2 - np.abs(z - tentorium(x, y)), 3.6 - depth)
    back = np.minimum(np.minimum(back, y - 50.0), depth + 0.5)
    canvas.paint("blood", occupancy(np.maximum(sinus, back)))
    falx = 0.55 - np.abs(x) - np.maximum(0.0, 12.0 - np.maximum(z - 27.0, np.abs(y - 4.0) - 38.0))
    tent = np.minimum(0.5 - 0.8 * np.abs(z - tentorium(x, y)), y - 26.0)
    canvas.paint("dura", occupancy(np.maximum(np.minimum(falx, z + 15.0), tent)))


def _paint_cortex(
    head: Head, rng: np.random.Generator, canvas: Canvas, x: Array, y: Array, z: Array, depth: Array,
    bend: Sequence[Array],
) -> None:  # fmt: skip
    hemispheres = [draw_folds(rng, head.fold_mm, head.fold_depth_mm) for _ in range(2)]
    side = np.abs(x)
    tent = tentorium(x, y)
    gap = (
        0.5 + 0.45 * head.sulcus_mm + 12.0 * occupancy(-12.0 - z, 8.0) * occupancy(y + 14.0, 12.0) * (y < 50)
    )
    hull = np.minimum(depth - head.rim_mm * np.maximum(0.3, 1.0 + 0.6 * bend[0]), side - gap)
    hull = np.minimum(hull, np.maximum(z - tent - 1.3, 0.8 * (26.0 + 0.25 * side - y)))
    # Sulci curve on their way down: the place on the map drifts with depth.
    sway = np.minimum(1.5 + 0.25 * np.maximum(hull, 0.0), 5.5)
    frame = SEMI_AXES_MM.astype(np.float32)
    lateral = (side - 26.0 + sway * bend[0]) / frame[0]
    posterior = (y - 17.0 + sway * bend[1]) / frame[1]
    superior = (z - 14.0 + sway * bend[2]) / frame[2]
    radius = np.sqrt(lateral * lateral + posterior * posterior + superior * superior) + np.float32(1e-4)
    lateral, posterior, superior = lateral / radius, posterior / radius, superior / radius
    distance, down, width = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    for side_mask, folds in zip((x < 0, x >= 0), hemispheres, strict=True):
        part = folds.at(lateral[side_mask], posterior[side_mask], superior[side_mask])
        distance[side_mask], down[side_mask], width[side_mask] = part
    distance = distance * np.minimum(radius, 1.1)
    under = np.maximum(np.maximum(0.0, hull - down), 70.0 * (0.55 - radius))
    wall = np.sqrt(distance * distance + under * under)
    opening = head.sulcus_mm * width * np.clip(1.5 - hull / down, 0.5, 1.5)
    pial = np.minimum(hull, wall - opening)
    # The insula lies behind a cleft that the Sylvian fissure opens into.
    beyond = np.maximum(np.abs(y + 5.0 + 0.4 * z) - 19.0, np.abs(z - 1.0 - 0.3 * y) - 11.0)
    cleft = np.hypot(side - 37.0 - 1.5 * bend[0], np.maximum(beyond, 0.0)) - 0.5 - 0.6 * head.sulcus_mm
    pial = np.minimum(pial, cleft)
    inside = occupancy(pial, 1.7)
    canvas.paint("csf", 1.0 - inside)
    canvas.paint("white", occupancy(pial - head.cortex_mm, 1.7))
    canvas.paint("grey", np.ones(1, np.float32))

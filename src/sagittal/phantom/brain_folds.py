"""The folding of one cerebral hemisphere, drawn once on a map of its surface.

The hemisphere's surface (an ellipsoid in mm) is mapped by Lambert's azimuthal projection centred on
its lateral pole, so that the only singular point is the medial one, where the hemispheres join. On
the map random waves of one wavelength make a labyrinth whose zero lines are the sulci; gyri lie
between. Sheets of cerebrospinal fluid go down from these lines to a depth that varies along them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.noise import Array, product, smooth_field, spline_matrix

MAP_SIZE = 448
_COARSE = 100
_WAVES = 28
SEMI_AXES_MM = np.array([46.0, 86.0, 60.0])
"""Of a hemisphere (lateral, posterior, superior) around its centre, before the patient's own size."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Maps (MAP_SIZE, MAP_SIZE) over Lambert coordinates in [-2, 2] (posterior, superior).

    Args:
        distance: mm along the surface to the nearest sulcal line.
        depth: mm that this sulcus goes down.
        width: half its width relative to the patient's mean one.
    """

    distance: Array
    depth: Array
    width: Array

    def at(self, lateral: Array, posterior: Array, superior: Array) -> tuple[Array, Array, Array]:
        """Values at directions (unit vectors in the scaled hemisphere), each (n,)."""
        stretch = np.sqrt(2.0 / np.maximum(1.0 + lateral, 1e-3))
        scale = np.float32((MAP_SIZE - 1) / 4.0)
        u = np.clip((posterior * stretch + 2.0) * scale + 0.5, 0, MAP_SIZE - 1).astype(np.int32)
        v = np.clip((superior * stretch + 2.0) * scale + 0.5, 0, MAP_SIZE - 1).astype(np.int32)
        index = u * MAP_SIZE + v
        return self.distance.ravel()[index], self.depth.ravel()[index], self.width.ravel()[index]


def draw_folds(rng: np.random.Generator, wavelength_mm: float, depth_mm: float) -> Folds:
    """Draw one hemisphere's sulci: ``wavelength_mm`` is about twice the distance between sulci."""
    axis = np.linspace(-2.0, 2.0, _COARSE)
    u, v = np.meshgrid(axis, axis, indexing="ij")
    square = np.minimum(u**2 + v**2, 4.0)
    root = np.sqrt(1.0 - square / 4.0)
    unit = np.stack([1.0 - square / 2.0, u * root, v * root], -1)
    point = unit * SEMI_AXES_MM
    normal = unit / SEMI_AXES_MM
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)

    wave = rng.standard_normal((_WAVES, 3))
    wave /= np.linalg.norm(wave, axis=1, keepdims=True)
    wave *= 2 * np.pi / wavelength_mm * rng.uniform(0.8, 1.15, (_WAVES, 1))
    phase = point @ wave.T + rng.uniform(0, 2 * np.pi, _WAVES)
    value = np.cos(phase).sum(-1)
    gradient = -np.sin(phase) @ wave
    gradient -= (gradient * normal).sum(-1, keepdims=True) * normal
    slope = np.sqrt((gradient**2).sum(-1) + (0.35 * np.sqrt(_WAVES / 2) * 2 * np.pi / wavelength_mm) ** 2)
    # The signed distance is smooth across the line, so it is enlarged before its sign is dropped.
    distance = np.abs(_enlarge(value / slope))
    depth = depth_mm + 0.3 * depth_mm * smooth_field(rng, (MAP_SIZE, MAP_SIZE), (1.0, 1.0), 40.0)
    width = 1.0 + 0.3 * smooth_field(rng, (MAP_SIZE, MAP_SIZE), (1.0, 1.0), 40.0)
    _add_sylvian(rng, _enlarge(point[..., 1]), _enlarge(point[..., 2]), distance, depth, width)
    return Folds(distance, np.clip(depth, 5.0, 30.0).astype(np.float32), np.clip(width, 0.4, 4.0))


def _enlarge(coarse: NDArray[np.float64]) -> Array:
    """(_COARSE, _COARSE) -> (MAP_SIZE, MAP_SIZE), by cubic B-spline."""
    matrix = spline_matrix(np.linspace(0, _COARSE - 1, MAP_SIZE), _COARSE)
    return np.asarray(product(product(matrix, coarse.astype(np.float32)), matrix.T), np.float32)


def _add_sylvian(
    rng: np.random.Generator, posterior: Array, superior: Array, distance: Array, depth: Array, width: Array
) -> None:
    """Cut the lateral (Sylvian) fissure into the maps, in place: it is deeper and wider than a sulcus."""
    start, end = rng.uniform(-42.0, -34.0), rng.uniform(14.0, 28.0)
    line = -17.0 + 0.32 * (posterior + 38.0) + rng.uniform(-2, 2)
    beyond = np.maximum(0.0, np.maximum(start - posterior, posterior - end))
    axis = np.linspace(-2.0, 2.0, MAP_SIZE)
    lateral = axis[:, None] ** 2 + axis[None, :] ** 2 < 2.0
    gap = np.hypot(superior - line, beyond)
    near = (gap < distance + 2.0) & lateral
    distance[near] = np.maximum(gap[near] - 0.3, 0.0)
    depth[near] = 23.0
    width[near] = rng.uniform(1.1, 1.7)

"""A head on an acquisition grid: points, their place in the head, and what they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.brain_cover import head_surface, paint_cover
from sagittal.phantom.brain_head import Head
from sagittal.phantom.brain_shape import paint_brain, skull_depth
from sagittal.phantom.noise import Array, smooth_field

SUBSLICES = 2
"""Thin sections averaged into a slice: partial volume across it."""


@dataclass(frozen=True)
class Grid:
    """Acquisition grid: axial, indices growing to S, P, L; ``origin_mm`` LPS of voxel 0, 0, 0."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A head on thin sections of a box of the grid.

    Args:
        box: thin sections' shape (z * SUBSLICES, y, x).
        corner: (y, x) array index of the box in the grid.
        index: (n,) flat index into ``box`` of the points inside the skull.
        x, y, z: (n,) their head coordinates; depth: mm under the skull.
        fraction: (tissues, n) of the points inside.
        noise: (3, n) smooth noises of unit variance at the points inside.
        cover_index: (m,) of the points outside the skull and in the head; cover: (tissues, m).
    """

    box: tuple[int, int, int]
    corner: tuple[int, int]
    index: NDArray[np.int64]
    x: Array
    y: Array
    z: Array
    depth: Array
    fraction: Array
    noise: Array
    cover_index: NDArray[np.int64]
    cover: Array

    def slices(self, inside: Array, outside: Array | None = None) -> Array:
        """Values at the points inside (n,), and in the cover (m,), as (z, y, x) means over the slices."""
        full = np.zeros(int(np.prod(self.box)), np.float32)
        full[self.index] = inside
        if outside is not None:
            full[self.cover_index] = outside
        depth, height, width = self.box
        thin = full.reshape(depth // SUBSLICES, SUBSLICES, height, width)
        total = np.asarray(thin[:, 0] + thin[:, 1], np.float32)
        total *= np.float32(1.0 / SUBSLICES)
        return total


Push = Callable[[Array, Array, Array, Array], tuple[Array, Array, Array]]
"""(x, y, z, depth under the skull) -> where the tissue seen there comes from (mass effect)."""


def rotation(tilt_deg: tuple[float, float, float]) -> NDArray[np.float64]:
    """(3, 3) rotation about x, then y, then z."""
    out = np.eye(3)
    for axis, degrees in enumerate(tilt_deg):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        turn = np.eye(3)
        turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
        out = turn @ out
    return out


def build(head: Head, grid: Grid, push: Push | None = None) -> Anatomy:
    """Put a head on a grid; same head and grid, same anatomy.

    Args:
        push: displacement of the brain by what takes up room.
    """
    rng = np.random.default_rng(head.seed)
    (nz, ny, nx), (dz, dy, dx), origin = grid.shape, grid.spacing_mm, grid.origin_mm
    thin = dz / SUBSLICES
    axis_z = origin[2] - dz / 2 + thin / 2 + thin * np.arange(nz * SUBSLICES) - head.shift_mm[2]
    axis_y = origin[1] + dy * np.arange(ny) - head.shift_mm[1]
    axis_x = origin[0] + dx * np.arange(nx) - head.shift_mm[0]
    # Only the box that the head can reach is computed; the rest of the field of view is air.
    reach_y = (
        np.flatnonzero(np.abs(axis_y - 8.0 * head.scale[1]) < 120.0 * head.scale[1] + 4)[[0, -1]]
    ).tolist()
    reach_x = (np.flatnonzero(np.abs(axis_x) < 88.0 * head.scale[0] + 4)[[0, -1]]).tolist()
    axis_y, axis_x = axis_y[reach_y[0] : reach_y[1] + 1], axis_x[reach_x[0] : reach_x[1] + 1]
    turn = rotation(head.tilt_deg) / np.asarray(head.scale)[:, None]
    box = (len(axis_z), len(axis_y), len(axis_x))
    spacing = (thin, dy, dx)
    turn32 = turn.astype(np.float32)
    axes = [axis.astype(np.float32) for axis in (axis_x, axis_y, axis_z)]
    placed = []
    for k, amplitude in enumerate((1.2, 1.8, 1.8)):
        point = (turn32[k, 2] * axes[2])[:, None, None] + (turn32[k, 1] * axes[1])[:, None]
        warp = smooth_field(rng, box, spacing, 55.0)
        warp *= np.float32(amplitude)
        warp += point
        warp += turn32[k, 0] * axes[0]
        placed.append(warp)
    x, y, z = placed
    depth = skull_depth(x, y, z)
    texture = smooth_field(rng, box, spacing, 7.0)

    inner = np.flatnonzero(depth.ravel() > 0)
    u, v, w, d = (a.ravel()[inner] for a in (x, y, z, depth))
    moved = push(u, v, w, d) if push else (u, v, w)
    bend = [smooth_field(rng, box, spacing, 13.0).ravel()[inner] for _ in range(3)]
    fraction = paint_brain(head, rng, *moved, d, bend)

    outer = np.flatnonzero(depth.ravel() <= 0)
    u2, v2, w2, d2, t2 = (a.ravel()[outer] for a in (x, y, z, depth, texture))
    surface = head_surface(head, u2, v2, w2, d2, t2)
    keep = np.flatnonzero(surface > -1.0)
    outer = outer[keep]
    cover = paint_cover(head, u2[keep], v2[keep], w2[keep], d2[keep], t2[keep], surface[keep])
    noise = np.stack(bend)
    return Anatomy(box, (reach_y[0], reach_x[0]), inner, u, v, w, d, fraction, noise, outer, cover)

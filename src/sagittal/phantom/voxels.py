"""A scene of regions and clouds as voxels: each voxel holds its exact share of every interval.

A region's coverage of a voxel is the overlap of its y-intervals with the voxel. Along y that is a
ramp at the front and one at the back, so each interval is four numbers added to a difference array,
and one cumulative sum at the end yields all regions at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.shapes import Array, Cloud, Region, Term


@dataclass(frozen=True)
class Grid:
    """Voxels in body mm: ``x``, ``y``, ``z`` centres along each axis, evenly spaced and growing."""

    z: Array
    y: Array
    x: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.z), len(self.y), len(self.x)

    @property
    def pitch(self) -> tuple[float, float, float]:
        """Body mm between centres along z, y, x."""
        return tuple(float((a[-1] - a[0]) / (len(a) - 1)) for a in (self.z, self.y, self.x))  # type: ignore[return-value]


class Accumulator:
    """Adds weighted intervals and points, then yields the sum as voxels."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        depth, height, width = grid.shape
        # Two spare places behind: edges beyond the grid go there and are cut off.
        self._steps = np.zeros((depth, height + 2, width), np.float32)
        self._ray = np.arange(depth)[:, None] * ((height + 2) * width) + np.arange(width)[None]
        self._points: list[tuple[Array, Array]] = []

    def add(
        self,
        terms: Iterable[Term],
        weight: float,
        texture: Array | None = None,
        columns: tuple[int, int | None] = (0, None),
    ) -> None:
        """Add intervals given as (z, x) maps on the grid, times ``weight`` (and ``texture``, (z, x)).

        ``columns``: the x indices that the maps cover.
        """
        _, height, width = self.grid.shape
        pitch = np.float32(self.grid.pitch[1])
        start = self.grid.y[0] - pitch / 2
        flat = self._steps.reshape(-1)
        ray = self._ray[:, slice(*columns)].reshape(-1)
        gain = None if texture is None else texture.reshape(-1)
        for front, back, sign in terms:
            f = np.asarray(front, np.float32).reshape(-1)
            b = np.asarray(back, np.float32).reshape(-1)
            hit = np.flatnonzero(b > f)
            if not len(hit):
                continue
            value: Array | np.float32 = np.float32(weight * sign)
            if gain is not None:
                value = gain[hit] * np.float32(weight * sign)
            for edge, way in ((f, 1), (b, -1)):
                place = np.clip((edge[hit] - start) / pitch, 0, height)
                whole = place.astype(np.int64)
                part = (place - whole).astype(np.float32)
                at = ray[hit] + whole * width
                flat[at] += way * value * (1 - part)
                flat[at + width] += way * value * part

    def scatter(self, points: Array, mass: Array) -> None:
        """Add points (N, 3; x, y, z) with mass (value x mm3), spread trilinearly."""
        self._points.append((points, mass))

    def _deposit(self) -> Array:
        depth, height, width = self.grid.shape
        points = np.concatenate([p for p, _ in self._points])
        mass = np.concatenate([m for _, m in self._points])
        axes = zip((2, 1, 0), (self.grid.z, self.grid.y, self.grid.x), self.grid.pitch, strict=True)
        place = [(points[:, k] - axis[0]) / np.float32(pitch) for k, axis, pitch in axes]
        inside = np.ones(len(points), bool)
        for p, size in zip(place, self.grid.shape, strict=True):
            inside &= (p >= 0) & (p < size - 1)
        w = mass[inside] / np.float32(np.prod(self.grid.pitch))
        z, y, x = (p[inside] for p in place)
        base = [p.astype(np.int64) for p in (z, y, x)]
        fz, fy, fx = (p - b for p, b in zip((z, y, x), base, strict=True))
        at = (base[0] * height + base[1]) * width + base[2]
        out = np.zeros(depth * height * width)
        for dz, wz in ((0, 1 - fz), (1, fz)):
            for dy, wy in ((0, 1 - fy), (1, fy)):
                for dx, wx in ((0, 1 - fx), (1, fx)):
                    np.add.at(out, at + ((dz * height + dy) * width + dx), w * wz * wy * wx)
        return out.reshape(depth, height, width).astype(np.float32)

    def voxels(self) -> Array:
        """(z, y, x) float32."""
        height = self.grid.shape[1]
        out = self._steps[:, :height].copy()
        for row in range(1, height):
            out[:, row] += out[:, row - 1]
        if self._points:
            out += self._deposit()
        return out


def voxelise(regions: Iterable[Region], clouds: Iterable[Cloud], grid: Grid) -> tuple[Array, Array]:
    """(soft, bone) density in g/cm3, each (z, y, x); regions on the grid's (z, x) rays."""
    soft, bone = Accumulator(grid), Accumulator(grid)
    for region in regions:
        for target, density in ((soft, region.soft), (bone, region.bone)):
            if density:
                target.add(region.terms, density, region.texture, region.columns)
    for cloud in clouds:
        for target, density in ((soft, cloud.soft), (bone, cloud.bone)):
            if density:
                target.scatter(cloud.points, cloud.volume * np.float32(density))
    return soft.voxels(), bone.voxels()


def masks(terms: Mapping[str, Iterable[Term]], grid: Grid) -> dict[str, NDArray[np.bool_]]:
    """Boolean (z, y, x) masks: voxels at least half inside."""
    found = {}
    for name, parts in terms.items():
        one = Accumulator(grid)
        one.add(parts, 1.0)
        found[name] = one.voxels() >= 0.5
    return found

"""A chest on a CT grid: Hounsfield units without noise, before and after its lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.anatomy import Chest, anterior, cage, dome, posterior
from sagittal.phantom.ct_lesions import CtLesion, Lungs, insert
from sagittal.phantom.ct_texture import lungs as lung_texture
from sagittal.phantom.ct_texture import soft_tissue, twigs
from sagittal.phantom.scene import Built, build
from sagittal.phantom.shapes import FAR, Array, Rays, Term, clip, minus
from sagittal.phantom.voxels import Grid, masks, voxelise

Mask = NDArray[np.bool_]
HU_PER_MINERAL = 1350.0
"""HU that 1 g/cm3 of bone mineral adds at 120 kVp."""


class GridRays(Rays):
    """AP rays through the columns of a grid (rows grow to superior; pitches may differ)."""

    def project(self, points: Array) -> tuple[Array, Array, Array]:
        """Body points (N, 3) to fractional (row, column) of the grid; no magnification."""
        x, _, z = points.T
        row = (z - self.v[0, 0]) / (self.v[1, 0] - self.v[0, 0])
        column = (x - self.u[0, 0]) / (self.u[0, 1] - self.u[0, 0])
        return row, column, np.ones_like(x)


def grid_rays(grid: Grid, scale: float) -> GridRays:
    """The rays along y through the voxel columns of ``grid``."""
    u, v = np.meshgrid(grid.x, grid.z)
    return GridRays(u.astype(np.float32), v.astype(np.float32), grid.pitch[2], scale)


@dataclass(frozen=True, eq=False)
class Body:
    """Noise-free HU (z, y, x) with and without the lesions, and the true masks."""

    hu: Array
    healthy: Array
    masks: dict[str, Mask]
    lesions: dict[str, Mask]
    mimics: Mask


def fit_grid(
    chest: Chest,
    shape: tuple[int, int, int],
    field_mm: float,
    margins_mm: tuple[float, float],
    offset_mm: Sequence[float] | NDArray[np.float64] = (0.0, 0.0),
) -> Grid:
    """A grid over the lungs: ``field_mm`` wide and deep, ``margins_mm`` below and above them.

    All in real mm; ``offset_mm`` (y, x) is how far from the middle the patient lies.
    """
    k = chest.scale
    bottom = min(chest.dome_left, chest.dome_right) - chest.sulcus - margins_mm[0] / k
    top = chest.apex + margins_mm[1] / k
    depth, height, width = shape
    z = bottom + (np.arange(depth) + 0.5) * (top - bottom) / depth
    y = ((np.arange(height) + 0.5) / height - 0.5) * field_mm / k + 12 + offset_mm[0] / k
    x = ((np.arange(width) + 0.5) / width - 0.5) * field_mm / k + offset_mm[1] / k
    return Grid(*(a.astype(np.float32) for a in (z, y, x)))


def body(chest: Chest, lesions: Sequence[CtLesion], mimics: Sequence[CtLesion], grid: Grid) -> Body:
    """Evaluate a chest with its lesions on ``grid``."""
    rays = grid_rays(grid, chest.scale)
    built = build(chest, (), rays, texture=False)
    sides = _sides(built, rays, grid)
    aerated = sides["right"] | sides["left"]
    small = [twigs(chest, side, lung, grid) for side, lung in sides.items()]
    soft, bone = voxelise(built.scene.regions, [*built.scene.clouds, *small], grid)
    xz = rays.at(0.0)
    parts = masks(
        {
            "heart": ((*built.heart, 1.0),),
            "inner": ((*cage(chest, xz, 0.0, medial=False), 1.0),),
            "below": ((*dome(chest, xz), 1.0),),
        },
        grid,
    )
    soft_tissue(chest, soft, bone, aerated, parts["inner"], parts["heart"], parts["below"], grid)
    lung_texture(chest, soft, aerated, grid)
    normal = Lungs(grid, sides, soft)
    mimicked = np.zeros(soft.shape, bool)
    for mimic in mimics:
        mimicked |= insert(normal, mimic)
    np.clip(soft, 0.0, 1.07, out=soft)
    healthy = _hounsfield(soft, bone)
    changed = Lungs(grid, sides, soft)
    # Emphysema first: it is what the other lesions lie in.
    order = sorted(lesions, key=lambda lesion: lesion.key != "emphysema")
    drawn = {lesion.name: insert(changed, lesion) for lesion in order}
    np.clip(soft, 0.0, 1.07, out=soft)
    anatomy = {f"lung_{side}": mask for side, mask in sides.items()}
    anatomy["heart"] = parts["heart"] & ~aerated & ~parts["below"]
    return Body(
        _hounsfield(soft, bone),
        healthy,
        anatomy,
        {lesion.name: drawn[lesion.name] for lesion in lesions},
        mimicked,
    )


def _sides(built: Built, rays: Rays, grid: Grid) -> dict[str, Mask]:
    x = rays.u
    terms = {}
    for side, here in (("right", x < 0), ("left", x > 0)):
        half = (np.where(here, -FAR, FAR), np.where(here, FAR, -FAR))
        terms[side] = clip(built.lung, half)
    return masks(terms, grid)


def _hounsfield(soft: Array, bone: Array) -> Array:
    hu: Array = (soft - np.float32(1)) * np.float32(1000)
    hu += np.maximum(bone, 0) * np.float32(HU_PER_MINERAL)
    return hu


def inside_lung(chest: Chest, points: Array, gap: float) -> Mask:
    """Which points (N, 3) lie in aerated lung at least ``gap`` body mm from its front and back."""
    rays = Rays(points[None, :, 0], points[None, :, 2], 1.0, chest.scale)
    built = build_lung(chest, rays)
    y = points[:, 1]
    inside = np.zeros(len(points), np.int8)
    for front, back, sign in built:
        inside += (np.int8(sign)) * ((y > front[0] + gap * sign) & (y < back[0] - gap * sign))
    result: Mask = inside > 0
    return result


def build_lung(chest: Chest, rays: Rays) -> tuple[Term, ...]:
    """Terms of the aerated lung alone (no skeleton, no vessels)."""
    whole = cage(chest, rays.at(0.0))
    front, _ = anterior(chest, rays)
    return minus(whole, (front, posterior(chest, rays), dome(chest, rays.at(0.0))))

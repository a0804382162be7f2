"""Voxels that never leave their geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sagittal.study.geometry import Geometry, Plane

Unit = Literal["HU", "SUV", "arbitrary"]


@dataclass(frozen=True, eq=False)
class Volume:
    """An image or a mask.

    Args:
        voxels: (z, y, x), or (y, x) with a `Plane`. More is brighter (MONOCHROME1 already inverted).
        geometry: `Geometry` of a volume, `Plane` of a radiograph or picture.
        unit: HU after rescale, SUV (body weight), or arbitrary.
    """

    voxels: NDArray[Any]
    geometry: Geometry | Plane
    unit: Unit = "arbitrary"

    def __post_init__(self) -> None:
        wanted = 3 if isinstance(self.geometry, Geometry) else 2
        if self.voxels.ndim != wanted:
            raise ValueError(f"voxels must have {wanted} dimensions, got shape {self.voxels.shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.voxels.shape)

    @property
    def voxel_ml(self) -> float:
        """Millilitres in one voxel; raises ValueError for a picture."""
        if not isinstance(self.geometry, Geometry):
            raise ValueError("a picture has no volume in millilitres")
        return float(abs(np.linalg.det(self.geometry.affine[:3, :3]))) / 1000.0

    @property
    def inside_ml(self) -> float:
        """Millilitres of a mask: of all voxels that are not 0; raises ValueError for a picture."""
        return float(np.count_nonzero(self.voxels)) * self.voxel_ml

    def like(self, voxels: NDArray[Any], unit: Unit = "arbitrary") -> Volume:
        """Other voxels on the same grid."""
        if voxels.shape != self.voxels.shape:
            raise ValueError(f"voxels must have shape {self.shape}, got {voxels.shape}")
        return Volume(voxels, self.geometry, unit)

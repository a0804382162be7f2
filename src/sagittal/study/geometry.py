"""Where voxels are.

Arrays are z, y, x (or y, x); points are LPS millimetres (x to the patient's Left, y to
Posterior, z to Superior); a voxel index is zero-based and in array order.
Source: DICOM PS3.3 C.7.6.2.1.1 (image plane), C.7.6.1.1.1 (patient orientation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TOWARDS = ("L", "P", "S")
_AWAY = ("R", "A", "I")
OPPOSITE = dict(zip(_TOWARDS + _AWAY, _AWAY + _TOWARDS, strict=True)) | {"H": "F", "F": "H"}


@dataclass(frozen=True, eq=False)
class Geometry:
    """A regular grid in the patient.

    Args:
        affine: (4, 4), takes a homogeneous index (z, y, x, 1) to LPS mm (x, y, z, 1).
        frame_of_reference_uid: DICOM frame of reference, where known.
    """

    affine: NDArray[np.float64]
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError(f"affine must be a finite (4, 4) array, got shape {affine.shape}")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise ValueError("affine must be invertible, got a singular one")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometry) and bool(np.allclose(self.affine, other.affine, atol=1e-4))

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def from_spacing(
        cls, spacing_mm: Sequence[float], origin_mm: Sequence[float] = (0.0, 0.0, 0.0)
    ) -> Geometry:
        """Axial grid, indices growing to S, P, L; ``spacing_mm`` z, y, x; ``origin_mm`` LPS."""
        affine = np.eye(4)
        affine[:3, :3] = np.fliplr(np.diag(np.asarray(spacing_mm, float)[::-1]))
        affine[:3, 3] = origin_mm
        return cls(affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel pitch along z, y, x in mm."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(lengths[0]), float(lengths[1]), float(lengths[2]))

    @property
    def directions(self) -> NDArray[np.float64]:
        """(3, 3); column k is the unit LPS vector along which index k grows."""
        linear = self.affine[:3, :3]
        return np.asarray(linear / np.linalg.norm(linear, axis=0))

    @property
    def orientation(self) -> str:
        """Three letters, one an array axis: towards which side index grows ("SPL" for plain axial)."""
        letters = []
        for column in self.directions.T:
            axis = int(np.argmax(np.abs(column)))
            letters.append(_TOWARDS[axis] if column[axis] > 0 else _AWAY[axis])
        return "".join(letters)

    def to_mm(self, index: ArrayLike) -> NDArray[np.float64]:
        """Indices (..., 3) in z, y, x to LPS mm (..., 3)."""
        return np.asarray(index, float) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, point_mm: ArrayLike) -> NDArray[np.float64]:
        """LPS mm (..., 3) to fractional indices (..., 3) in z, y, x."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(point_mm, float) @ inverse[:3, :3].T + inverse[:3, 3]


@dataclass(frozen=True)
class Plane:
    """A projection radiograph's or picture's plane: it has no place in the patient.

    Args:
        spacing_mm: row and column pitch (y, x) in mm, or None: then lengths are pixels.
        spacing_source: what the millimetres mean, e.g. "at the detector, uncorrected".
        patient_orientation: (direction in which columns advance along a row, direction in which
            rows advance), DICOM PatientOrientation (0020,0020), e.g. ("L", "F"); None: not stated.
    """

    spacing_mm: tuple[float, float] | None = None
    spacing_source: str | None = None
    patient_orientation: tuple[str, str] | None = None

    @property
    def orientation(self) -> str:
        """The PatientOrientation as "L\\F", or "not stated"."""
        return "\\".join(self.patient_orientation) if self.patient_orientation else "not stated"

    @property
    def right_is_image_left(self) -> bool | None:
        """Whether the patient's right lies on the picture's left; None where not stated."""
        if self.patient_orientation is None:
            return None
        row = self.patient_orientation[0].upper()[:1]
        return {"L": True, "R": False}.get(row)

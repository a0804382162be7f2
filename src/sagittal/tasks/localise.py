"""From a mask to lesions: where each lies, on which side, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from sagittal.report.finding import Laterality, Measurement
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.volume import Volume


@dataclass(frozen=True, eq=False)
class Lesion:
    """One connected piece of a mask.

    Args:
        mask: on the volume's grid; centre_index: its centre of mass (z, y, x) or (y, x).
        box_index: first and last-plus-one index a dimension, e.g. (y0, x0, y1, x1).
        slices_index: slices it is seen on, largest area first; empty for a picture.
    """

    mask: Volume
    centre_index: tuple[float, ...]
    box_index: tuple[int, ...]
    slices_index: tuple[int, ...]
    voxels: int

    @property
    def box_mm(self) -> tuple[float, ...] | None:
        """LPS (x0, y0, z0, x1, y1, z1), outer faces of the voxels; None for a picture."""
        geometry = self.mask.geometry
        if not isinstance(geometry, Geometry):
            return None
        low, high = np.array(self.box_index[:3]) - 0.5, np.array(self.box_index[3:]) - 0.5
        ends = np.stack([low, high])
        grid = np.array(
            [[ends[a, 0], ends[b, 1], ends[c, 2]] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
        )
        points = geometry.to_mm(grid)
        return tuple(float(v) for v in (*points.min(0), *points.max(0)))


def lesions(mask: Volume, *, smallest_mm: float = 0.0, most: int = 10) -> list[Lesion]:
    """The connected pieces of a bool mask, largest first.

    Args:
        smallest_mm: pieces whose equivalent diameter is below this are dropped; in pixels where the
            plane has no millimetres.
        most: at most this many, so that a shattered mask does not become a hundred findings.
    """
    voxels = np.asarray(mask.voxels, bool)
    labelled, n = ndimage.label(voxels, np.ones((3,) * voxels.ndim))
    sizes = np.bincount(labelled.ravel(), minlength=n + 1)
    kept = []
    for label in np.argsort(-sizes[1:], kind="stable")[:most] + 1 if n else []:
        piece = labelled == label
        size = int(sizes[label])
        if _equivalent_mm(size, mask.geometry, voxels.ndim) < smallest_mm:
            continue
        kept.append(_lesion(mask.like(piece), size))
    return kept


def _equivalent_mm(voxels: int, geometry: Geometry | Plane, ndim: int) -> float:
    spacing = geometry.spacing_mm or (1.0,) * ndim
    content = voxels * float(np.prod(spacing))
    if ndim == 2:
        return float(2 * np.sqrt(content / np.pi))
    return float(2 * np.cbrt(content * 3 / (4 * np.pi)))


def _lesion(mask: Volume, size: int) -> Lesion:
    where = np.nonzero(mask.voxels)
    low, high = [int(w.min()) for w in where], [int(w.max()) + 1 for w in where]
    slices: tuple[int, ...] = ()
    if mask.voxels.ndim == 3:
        areas = mask.voxels.reshape(len(mask.voxels), -1).sum(1)
        slices = tuple(int(i) for i in np.argsort(-areas, kind="stable") if areas[i])
    return Lesion(mask, tuple(float(w.mean()) for w in where), (*low, *high), slices, size)


def side(lesion: Lesion, middle_index: float | None = None) -> Laterality | None:
    """Which side of the patient, from the geometry; image sides for an unoriented picture.

    Args:
        middle_index: column (pictures) or fractional x index (volumes) of the body's middle; the middle
            of the image where not given. A piece that reaches across the middle is bilateral only if a
            quarter of it lies on either side.
    """
    geometry, columns = lesion.mask.geometry, np.nonzero(lesion.mask.voxels)[-1]
    middle = (lesion.mask.shape[-1] - 1) / 2 if middle_index is None else middle_index
    beyond = float(np.mean(columns > middle))
    if isinstance(geometry, Plane):
        right_first = geometry.right_is_image_left
        if right_first is None:
            low, high = Laterality.IMAGE_LEFT, Laterality.IMAGE_RIGHT
        else:
            low, high = (
                (Laterality.RIGHT, Laterality.LEFT) if right_first else (Laterality.LEFT, Laterality.RIGHT)
            )
    else:
        x = geometry.directions[0, -1]
        if abs(x) < 0.7:
            # Sagittal or coronal-oblique grids: decide in patient coordinates.
            centre = geometry.to_mm(lesion.centre_index)[0] - geometry.to_mm(_centre(lesion.mask))[0]
            return Laterality.LEFT if centre > 0 else Laterality.RIGHT
        low, high = (Laterality.RIGHT, Laterality.LEFT) if x > 0 else (Laterality.LEFT, Laterality.RIGHT)
    if 0.25 <= beyond <= 0.75 and low in (Laterality.RIGHT, Laterality.LEFT):
        return Laterality.BILATERAL
    return high if beyond > 0.5 else low


def _centre(volume: Volume) -> tuple[float, ...]:
    return tuple((n - 1) / 2 for n in volume.shape)


def diameter(lesion: Lesion) -> Measurement:
    """Longest diameter, and the longest one across it, in the slice where the lesion is largest."""
    geometry = lesion.mask.geometry
    plane = lesion.mask.voxels if lesion.mask.voxels.ndim == 2 else lesion.mask.voxels[lesion.slices_index[0]]
    spacing = geometry.spacing_mm[-2:] if geometry.spacing_mm else None
    long, short = feret(plane, spacing or (1.0, 1.0))
    source = geometry.spacing_source if isinstance(geometry, Plane) else None
    values = tuple(float(round(v, 1)) for v in (long, short))
    named = "axial" if isinstance(geometry, Geometry) and geometry.orientation[0] in "SI" else None
    return Measurement("diameter", values, "mm" if spacing else "{pixel}", "outline", named, source)


def feret(plane: NDArray[np.bool_], spacing: tuple[float, ...]) -> tuple[float, float]:
    """(longest caliper, caliper at right angles to it) of a 2D mask, pixel faces included, in mm."""
    y, x = np.nonzero(plane)
    half = 0.5
    corners = np.concatenate(
        [np.stack([y + dy, x + dx], 1) for dy in (-half, half) for dx in (-half, half)]
    ) * np.asarray(spacing)
    try:
        hull = corners[ConvexHull(corners).vertices]
    except QhullError:
        hull = np.unique(corners, axis=0)
    distances = pdist(hull)
    first, second = np.triu_indices(len(hull), 1)
    longest = int(np.argmax(distances))
    direction = (hull[second[longest]] - hull[first[longest]]) / distances[longest]
    across = hull @ np.array([-direction[1], direction[0]])
    return float(distances[longest]), float(across.max() - across.min())


def volume(lesion: Lesion) -> Measurement | None:
    """Millilitres of a lesion in a volume; None for a picture."""
    if not isinstance(lesion.mask.geometry, Geometry):
        return None
    return Measurement("volume", (round(lesion.voxels * lesion.mask.voxel_ml, 2),), "mL", "outline")


def fill_and_keep_largest(mask: NDArray[np.bool_], pieces: int = 1) -> NDArray[np.bool_]:
    """The ``pieces`` largest connected pieces with their holes filled; anatomy comes in one piece each."""
    labelled, n = ndimage.label(mask)
    if n == 0:
        return mask
    sizes = np.bincount(labelled.ravel())[1:]
    keep = np.argsort(-sizes)[:pieces] + 1
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(np.isin(labelled, keep))
    return filled

"""From a series to exactly the array a model was made for, or a refusal that names what did not fit.

The way there and back is one affine map between index spaces, so a mask drawn on the array comes home
to the series' own grid by the inverse of what brought the image there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sagittal.errors import Refused
from sagittal.study.contract import check
from sagittal.study.geometry import OPPOSITE, Geometry, Plane
from sagittal.study.spec import InputSpec
from sagittal.study.study import Series, Study
from sagittal.study.volume import Volume

IDENTITY_TOLERANCE = 1e-6
MAX_VOXELS = 512**3
LOW, HIGH = 0.5, 99.5
"""Percentiles that "percentile" normalisation takes to 0 and 1."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model's input.

    Args:
        array: (C, *S) float32.
        geometry: of the array's grid.
        native_shape: of the first series.
        matrix, offset: array index -> native index, ``native = matrix @ index + offset``.
        stated: what of the specification rests on the user's word, one line each.
    """

    array: NDArray[np.float32]
    geometry: Geometry | Plane
    native_shape: tuple[int, ...]
    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]
    stated: tuple[str, ...] = ()

    def to_native(self, mask: NDArray[Any]) -> NDArray[Any]:
        """A map on the array's grid, (*S) or (K, *S), brought to the first series' own grid.

        Booleans and integers (labels) come by nearest neighbour, other numbers by linear
        interpolation; outside the array is 0.
        """
        inverse = np.linalg.inv(self.matrix).astype(np.float64)
        return self._each(mask, inverse, -inverse @ self.offset, self.native_shape)

    def from_native(self, mask: NDArray[Any]) -> NDArray[Any]:
        """A map on the first series' own grid brought to the array's."""
        return self._each(mask, self.matrix, self.offset, self.array.shape[1:])

    def _each(
        self,
        mask: NDArray[Any],
        matrix: NDArray[np.float64],
        offset: NDArray[np.float64],
        shape: Sequence[int],
    ) -> NDArray[Any]:
        dimensions = len(self.native_shape)
        if mask.ndim == dimensions:
            return _mapped(mask, matrix, offset, tuple(shape))
        return np.stack([_mapped(one, matrix, offset, tuple(shape)) for one in mask])


def prepare(series: Series | Sequence[Series], spec: InputSpec, study: Study | None = None) -> Prepared:
    """Build the array that ``spec`` asks for.

    Args:
        series: one series, or one a channel in the order of ``spec.sequence``; all are brought to the
            grid of the first through their patient coordinates.
        study: its patient's age, and what the user stated, are checked too.

    Raises:
        Refused: the series is outside the specification; names what was wanted and what it got.
        BadInput: the series cannot be decoded.
    """
    group = [series] if isinstance(series, Series) else list(series)
    if len(group) != spec.channels and not (len(group) == 1 and spec.channels == 3):
        raise Refused("wrong number of series", f"{spec.channels}", f"{len(group)}")
    stated: list[str] = []
    by_channel = len(group) > 1 and len(spec.sequence) == len(group)
    for one, sequence in zip(group, spec.sequence if by_channel else ("",) * len(group), strict=True):
        stated += check(one, spec, study, sequence=sequence)
    first = group[0].volume
    matrix, offset, shape = _grid(first, spec)
    channels = []
    for one in group:
        volume = one.volume
        between, shift = _to_other(first, volume) if volume is not first else (None, None)
        m, o = (matrix, offset) if between is None else (between @ matrix, between @ offset + shift)
        channels.append(_normalised(_finite(volume), spec, m, o, shape))
    if len(channels) < spec.channels:
        channels = channels * spec.channels
    array = np.ascontiguousarray(np.stack(channels), np.float32)
    return Prepared(
        array,
        _moved(first.geometry, matrix, offset),
        first.shape,
        matrix,
        offset,
        tuple(dict.fromkeys(stated)),
    )


def _finite(volume: Volume) -> NDArray[np.float32]:
    voxels = np.asarray(volume.voxels, np.float32)
    if not np.isfinite(voxels).all():
        raise Refused("voxels are not finite", "numbers", "NaN or infinity")
    return voxels


def _to_other(first: Volume, other: Volume) -> tuple[Any, Any]:
    """Index map first -> other, or (None, None) when they share a grid."""
    if isinstance(first.geometry, Plane) or isinstance(other.geometry, Plane):
        raise Refused("several pictures cannot be brought to one grid", "one series", "several")
    if first.shape == other.shape and first.geometry == other.geometry:
        return None, None
    frames = {first.geometry.frame_of_reference_uid, other.geometry.frame_of_reference_uid} - {None}
    if len(frames) > 1:
        raise Refused(
            "the series do not share a frame of reference, so nothing says where one lies in the other",
            "one frame of reference",
            "two",
        )
    total = np.linalg.inv(other.geometry.affine) @ first.geometry.affine
    return total[:3, :3], total[:3, 3]


def _grid(
    volume: Volume, spec: InputSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, ...]]:
    """Index map from the specification's grid to the volume's, and the grid's shape."""
    order, flips = _axes(volume.geometry, spec)
    native = volume.shape
    turned = tuple(native[axis] for axis in order)
    spacing = volume.geometry.spacing_mm
    pitch = np.array([spacing[axis] for axis in order]) if spacing else np.ones(len(native))
    if spec.spacing_mm is not None:
        if spacing is None:
            raise Refused("the image has no millimetres", f"{spec.spacing_mm} mm", "pixels")
        step = np.asarray(spec.spacing_mm, float) / pitch
    else:
        step = np.ones(len(native))
    natural = [max(1, round(n / s)) for n, s in zip(turned, step, strict=True)]
    size = tuple(spec.size) if spec.size is not None else tuple(natural)
    if spec.fit == "resize" and spec.size is not None:
        # One step in mm for all axes keeps the shape of things; the rest is padding.
        span = np.array(turned) * pitch
        mm = float(np.max(span / np.array(size)))
        step = mm / pitch
        if np.allclose(step, np.round(step[0], 9)) and np.allclose(np.array(turned) / step, size):
            step = np.array(turned) / np.array(size)
    if spec.fit == "native" and spec.size is None:
        size = tuple(natural)
    if np.prod(size) > MAX_VOXELS:
        raise Refused("the array would be too large", f"at most {MAX_VOXELS} voxels", f"{int(np.prod(size))}")
    scale = np.where(np.isclose(step, 1.0, atol=IDENTITY_TOLERANCE), 1.0, step)
    # Centres of both grids coincide; a half voxel of an even crop is rounded so that 1:1 stays 1:1.
    start = (np.array(turned) - 1) / 2 - scale * (np.array(size) - 1) / 2
    start = np.where(scale == 1.0, np.floor(start + 0.5), start)
    matrix, offset = np.zeros((len(native), len(native))), np.zeros(len(native))
    for k, (axis, flip) in enumerate(zip(order, flips, strict=True)):
        sign = -1.0 if flip else 1.0
        matrix[axis, k] = sign * scale[k]
        offset[axis] = native[axis] - 1 - start[k] if flip else start[k]
    return matrix, offset, size


def _axes(geometry: Geometry | Plane, spec: InputSpec) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """For each axis of the wanted orientation: which native axis it is, and whether it runs backwards."""
    if isinstance(geometry, Plane):
        if spec.orientation is None or geometry.patient_orientation is None:
            return (0, 1), (False, False)
        return _picture_axes(geometry.patient_orientation, spec.orientation)
    if spec.orientation is None:
        return (0, 1, 2), (False, False, False)
    native = geometry.orientation
    order, flips = [], []
    for letter in spec.orientation:
        axis = next((k for k, have in enumerate(native) if have in (letter, OPPOSITE[letter])), None)
        if axis is None:
            raise Refused("the orientation is degenerate", spec.orientation, native)
        order.append(axis)
        flips.append(native[axis] != letter)
    return tuple(order), tuple(flips)


def _picture_axes(stated: tuple[str, str], wanted: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """`_axes` of a picture: (column, row) directions such as ("L", "F"); turned pictures are turned back."""
    have = [side.upper()[:1] for side in stated]
    across, down = wanted[0], wanted[1]
    found = []
    for letter in (down, across):
        # Rows advance along array axis 0, columns along 1, and PatientOrientation names columns first.
        axis = next((1 - k for k in (0, 1) if have[k] in (letter, OPPOSITE[letter])), None)
        if axis is None:
            raise Refused("the picture shows another plane", wanted, "".join(have))
        found.append((axis, have[1 - axis] != letter))
    return (found[0][0], found[1][0]), (found[0][1], found[1][1])


def _mapped(
    image: NDArray[Any], matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[Any]:
    """``out[i] = image[matrix @ i + offset]``; 0 outside the field, which reaches half a voxel out.

    Axis by axis where the map allows it: picked, not interpolated, where it is 1:1.
    """
    axes = [int(axis) for axis in np.argmax(np.abs(matrix), axis=0)]
    scale = matrix[axes, np.arange(len(axes))]
    off_axis = np.abs(matrix).sum() - np.abs(scale).sum()
    if len(set(axes)) < len(axes) or off_axis > IDENTITY_TOLERANCE:
        return _oblique(image, matrix, offset, shape)
    out = image.transpose(axes)
    labels = image.dtype.kind in "biu"
    # Shrinking axes first keeps the rest cheap.
    for k in sorted(range(len(axes)), key=lambda k: shape[k] / image.shape[axes[k]]):
        at = scale[k] * np.arange(shape[k]) + offset[axes[k]]
        whole = np.abs(at - np.rint(at)).max() < IDENTITY_TOLERANCE and abs(abs(scale[k]) - 1) < 1e-9
        out = _picked(out, k, at) if labels or whole else _weighed(out, k, at, abs(float(scale[k])))
    return np.ascontiguousarray(out, image.dtype)


def _inside(at: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    return (at > -0.5 - IDENTITY_TOLERANCE) & (at < count - 0.5 + IDENTITY_TOLERANCE)


def _picked(image: NDArray[Any], axis: int, at: NDArray[np.float64]) -> NDArray[Any]:
    """The nearest samples at fractional positions along one axis."""
    count = image.shape[axis]
    index = np.clip(np.floor(at + 0.5 - IDENTITY_TOLERANCE).astype(int), 0, count - 1)
    if len(index) == count and np.array_equal(index, np.arange(count)):
        return image
    out = np.take(image, index, axis)
    outside = ~_inside(at, count)
    if outside.any():
        out[(slice(None),) * axis + (outside,)] = 0
    return out


def _weighed(image: NDArray[Any], axis: int, at: NDArray[np.float64], step: float) -> NDArray[Any]:
    """Linear interpolation along one axis; where samples are skipped, a triangle that covers them."""
    count, reach = image.shape[axis], max(1.0, step)
    weights = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(count)) / reach)
    weights[~_inside(at, count)] = 0.0
    total = weights.sum(1, keepdims=True)
    weights = (weights / np.where(total > 0, total, 1.0)).astype(np.float32)
    return np.moveaxis(np.tensordot(weights, image, axes=(1, axis)), 0, axis)


def _oblique(
    image: NDArray[Any], matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[Any]:
    """The general case: another grid, turned against this one."""
    if image.dtype.kind in "biu":
        # A label between two labels would be a third one.
        plain = image.astype(np.uint8) if image.dtype == bool else image
        near: NDArray[Any] = ndimage.affine_transform(
            plain, matrix, offset, shape, order=0, mode="grid-constant"
        ).astype(image.dtype)
        return near
    skipped = np.abs(matrix).max(axis=1)
    sigma = 0.4 * np.sqrt(np.maximum(skipped**2 - 1, 0))
    smooth = ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=2.5) if sigma.any() else image
    out = ndimage.affine_transform(smooth, matrix, offset, shape, order=1, mode="nearest")
    field = np.ones(image.shape, np.uint8)
    out[ndimage.affine_transform(field, matrix, offset, shape, order=0, mode="grid-constant") == 0] = 0
    return np.asarray(out, image.dtype)


def _normalised(
    image: NDArray[np.float32],
    spec: InputSpec,
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Normalise on what is image, then resample, so that padding is 0 (HU: air)."""
    if spec.normalise == "zscore":
        scaled = (image - float(image.mean())) / max(float(image.std()), 1e-6)
        return _mapped(scaled, matrix, offset, shape)
    if spec.normalise == "window":
        low, high = spec.window or (float(image.min()), float(image.max()))
    else:
        # A regular sample of a large image has the same percentiles to well under a grey level.
        sample = image.reshape(-1)[:: 1 + image.size // 2**20]
        low, high = (float(v) for v in np.percentile(sample, (LOW, HIGH)))
    scaled = np.clip((image - np.float32(low)) / np.float32(max(high - low, 1e-6)), 0.0, 1.0)
    return _mapped(scaled, matrix, offset, shape)


def _moved(
    geometry: Geometry | Plane, matrix: NDArray[np.float64], offset: NDArray[np.float64]
) -> Geometry | Plane:
    """The geometry of the array's grid."""
    if isinstance(geometry, Geometry):
        total = np.eye(4)
        total[:3, :3], total[:3, 3] = matrix, offset
        return Geometry(geometry.affine @ total, geometry.frame_of_reference_uid)
    order = [int(np.argmax(np.abs(matrix[:, k]))) for k in (0, 1)]
    step = np.abs(matrix).max(axis=0)
    spacing = geometry.spacing_mm
    pitch = None
    if spacing is not None:
        pitch = (float(spacing[order[0]] * step[0]), float(spacing[order[1]] * step[1]))
    orientation = geometry.patient_orientation
    if orientation is not None:
        down, across = (
            OPPOSITE.get(side[:1], side) if matrix[axis, k] < 0 else side
            for k, axis in enumerate(order)
            for side in (orientation[1 - axis],)
        )
        orientation = (across, down)
    return Plane(pitch, geometry.spacing_source, orientation)

"""Voxels as a browser can show them: 16-bit planes, turned so that they hang as radiologists expect.

Nothing is interpolated: a plane holds the file's own samples, re-ordered. The patient's right lies
on the left of axial and coronal planes and of radiographs whose file states their orientation;
anterior lies on the left of sagittal planes; the head is up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sagittal.study.geometry import OPPOSITE, Geometry, Plane
from sagittal.study.volume import Volume

PlaneName = Literal["axial", "coronal", "sagittal", "film"]
NOT_STATED = "orientation not stated"
_OBLIQUE = 0.35
"""A second letter joins an edge's label when its direction cosine is above this (about 20 degrees)."""


@dataclass(frozen=True, eq=False)
class View:
    """A volume hung for display.

    Args:
        voxels: (s, p, l): indices grow towards the head, the back and the patient's left, as nearly
            as the grid's axes allow; a film is (1, row, column).
        affine: (4, 4) index (s, p, l, 1) to LPS mm; None for a film.
        pitch: millimetres (or pixels, see ``unit``) along the three axes.
        unit: "mm" or "pixel".
        edges: for a film, the labels of its top, bottom, left and right edge.
        steps: how each displayed axis was made: (native axis, reversed).
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64] | None
    pitch: tuple[float, float, float]
    unit: str
    edges: tuple[str, str, str, str]
    steps: tuple[tuple[int, bool], ...]

    def turn(self, array: NDArray[Any]) -> NDArray[Any]:
        """Hang another array of the same native grid (a mask) in the same way."""
        return _turn(array, self.steps)

    def index(self, native: NDArray[np.float64]) -> NDArray[np.float64]:
        """Native indices (..., ndim) to displayed indices (..., 3)."""
        shape = self.voxels.shape
        columns = [np.zeros(native.shape[:-1])] if len(self.steps) == 2 else []
        for axis, reverse in self.steps:
            size = shape[len(columns)]
            column = native[..., axis]
            columns.append(size - 1 - column if reverse else column)
        return np.stack(columns, axis=-1)


def _turn(array: NDArray[Any], steps: tuple[tuple[int, bool], ...]) -> NDArray[Any]:
    turned = np.transpose(array, [axis for axis, _ in steps])
    turned = turned[tuple(slice(None, None, -1) if reverse else slice(None) for _, reverse in steps)]
    return turned if turned.ndim == 3 else turned[None]


def hang(volume: Volume) -> View:
    """Re-order a volume's or film's axes for display; a view on its voxels, nothing is copied."""
    if isinstance(volume.geometry, Plane):
        return _hang_film(volume.voxels, volume.geometry)
    return _hang_volume(volume.voxels, volume.geometry)


def _hang_volume(voxels: NDArray[Any], geometry: Geometry) -> View:
    directions = geometry.directions
    # The assignment of grid axes to S, P, L with the largest sum of direction cosines.
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    towards = (2, 1, 0)
    order = max(orders, key=lambda o: sum(abs(directions[towards[k], o[k]]) for k in range(3)))
    steps = tuple((axis, bool(directions[towards[k], axis] < 0)) for k, axis in enumerate(order))
    to_native = np.zeros((4, 4))
    to_native[3, 3] = 1
    for k, (axis, reverse) in enumerate(steps):
        to_native[axis, k] = -1 if reverse else 1
        if reverse:
            to_native[axis, 3] = voxels.shape[axis] - 1
    spacing = geometry.spacing_mm
    pitch = (spacing[order[0]], spacing[order[1]], spacing[order[2]])
    affine = geometry.affine @ to_native
    return View(_turn(voxels, steps), affine, pitch, "mm", ("", "", "", ""), steps)


def _hang_film(voxels: NDArray[Any], plane: Plane) -> View:
    pitch_y, pitch_x = plane.spacing_mm or (1.0, 1.0)
    unit = "mm" if plane.spacing_mm else "pixel"
    stated = [letters.strip().upper() for letters in plane.patient_orientation or ()]
    known = set("LRAPHF")
    if len(stated) != 2 or not all(s and set(s) <= known for s in stated):
        steps = ((0, False), (1, False))
        return View(_turn(voxels, steps), None, (1.0, pitch_y, pitch_x), unit, ("", "", "", ""), steps)
    along_row, along_column = stated
    rows, columns = (0, along_column), (1, along_row)
    if along_row[0] in "HF" and along_column[0] not in "HF":
        # The film lies on its side.
        rows, columns = columns, rows
        pitch_y, pitch_x = pitch_x, pitch_y
    down, right = rows[1], columns[1]
    flip_rows, flip_columns = down[0] in "HA", right[0] in "RA"
    if flip_rows:
        down = _opposite(down)
    if flip_columns:
        right = _opposite(right)
    edges = (_opposite(down), down, _opposite(right), right)
    edges = tuple(letters.replace("H", "S").replace("F", "I") for letters in edges)  # type: ignore[assignment]
    steps = ((rows[0], flip_rows), (columns[0], flip_columns))
    return View(_turn(voxels, steps), None, (1.0, pitch_y, pitch_x), unit, edges, steps)


def _opposite(letters: str) -> str:
    return "".join(OPPOSITE[letter] for letter in letters)


def letters(direction: NDArray[np.float64]) -> str:
    """The side(s) of the patient an LPS vector points to: "L", or "LA" where it is oblique."""
    named = [("R", "L")[int(direction[0] > 0)], ("A", "P")[int(direction[1] > 0)]]
    named.append(("I", "S")[int(direction[2] > 0)])
    unit = np.abs(direction) / max(float(np.linalg.norm(direction)), 1e-12)
    order = np.argsort(-unit)
    keep = [order[0], *[k for k in order[1:] if unit[k] > _OBLIQUE]]
    return "".join(named[int(k)] for k in keep)


@dataclass(frozen=True, eq=False)
class PlaneInfo:
    """One way of cutting a view.

    Args:
        name: axial, coronal, sagittal or film.
        count, rows, columns: number of planes and their size.
        row_pitch, column_pitch, step: distance between rows, columns and planes.
        affine: (4, 4) index (plane, row, column, 1) to LPS mm (a film: to (column, row, 0) in pitch
            units, so that the browser needs one rule only).
        edges: labels of the top, bottom, left and right edge.
        back: (4, 4) the same index to the view's index (s, p, l, 1).
    """

    name: PlaneName
    count: int
    rows: int
    columns: int
    row_pitch: float
    column_pitch: float
    step: float
    affine: NDArray[np.float64]
    edges: tuple[str, str, str, str]
    back: NDArray[np.float64]


def planes(view: View) -> tuple[PlaneInfo, ...]:
    """The planes a view offers: one for a film, else axial, coronal and sagittal."""
    s, p, l = view.voxels.shape  # noqa: E741
    ps, pp, pl = view.pitch
    if view.affine is None:
        affine = np.array([[0, 0, pl, 0], [0, pp, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1.0]])
        return (PlaneInfo("film", 1, p, l, pp, pl, 1.0, affine, view.edges, np.eye(4)),)
    head_up = np.array([-1.0, s - 1])
    axial = np.eye(4)
    coronal = np.array([[0, head_up[0], 0, head_up[1]], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    sagittal = np.array([[0, head_up[0], 0, head_up[1]], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    made = []
    for name, back, count, rows, columns, pitches in (
        ("axial", axial, s, p, l, (pp, pl, ps)),
        ("coronal", coronal, p, s, l, (ps, pl, pp)),
        ("sagittal", sagittal, l, s, p, (ps, pp, pl)),
    ):
        affine = view.affine @ back
        down, right = affine[:3, 1], affine[:3, 2]
        edges = (letters(-down), letters(down), letters(-right), letters(right))
        made.append(PlaneInfo(name, count, rows, columns, *pitches, affine, edges, back))  # type: ignore[arg-type]
    return tuple(made)


def cut(array: NDArray[Any], plane: str, k: int) -> NDArray[Any]:
    """Plane number ``k`` (rows, columns) of a hung array; IndexError when there is no such plane."""
    if plane == "coronal":
        array = array[::-1].transpose(1, 0, 2)
    elif plane == "sagittal":
        array = array[::-1].transpose(2, 0, 1)
    elif plane not in ("axial", "film"):
        raise IndexError(f"no plane {plane!r}")
    if not 0 <= k < array.shape[0]:
        raise IndexError(f"no plane {k} of {array.shape[0]}")
    return np.asarray(array[k])


@dataclass(frozen=True)
class Encoding:
    """How samples become 16-bit integers: value = stored * slope + intercept."""

    dtype: Literal["int16", "uint16"]
    slope: float
    intercept: float

    def encode(self, plane: NDArray[Any]) -> bytes:
        """Little-endian bytes of a plane, row after row."""
        kind = "<i2" if self.dtype == "int16" else "<u2"
        if self.slope == 1.0 and self.intercept == 0.0:
            return np.ascontiguousarray(plane).astype(kind).tobytes()
        scaled = np.rint((plane.astype(np.float64) - self.intercept) / self.slope)
        return np.clip(scaled, 0, 65535).astype(kind).tobytes()


def encoding(voxels: NDArray[Any]) -> Encoding:
    """Lossless where the samples are integers that fit 16 bits; else 65536 steps over their range."""
    low, high = (float(voxels.min()), float(voxels.max())) if voxels.size else (0.0, 0.0)
    whole = voxels.dtype.kind in "bui" or bool(np.array_equal(voxels, np.rint(voxels)))
    if whole and low >= -32768 and high <= 32767:
        return Encoding("int16", 1.0, 0.0)
    if whole and low >= 0 and high <= 65535:
        return Encoding("uint16", 1.0, 0.0)
    return Encoding("uint16", (high - low) / 65535.0 or 1.0, low)


def window_values(values: NDArray[np.float64], width: float, level: float) -> NDArray[np.uint8]:
    """Display values of the LINEAR window function; the browser computes exactly these.

    Source: DICOM PS3.3 C.11.2.1.2.1.
    """
    scaled = ((values - (level - 0.5)) / max(width - 1.0, 1e-6) + 0.5) * 255.0
    return np.floor(np.clip(scaled, 0.0, 255.0) + 0.5).astype(np.uint8)

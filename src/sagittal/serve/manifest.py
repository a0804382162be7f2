"""What the viewer has to know of a study, as JSON: series, planes, windows, masks, where findings are.

Points are LPS millimetres; on a film, which has no place in the patient, they are (column, row, 0)
times the pixel pitch of the hung picture, so that the browser needs one rule for both.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagittal.report.finding import Finding, Presence
from sagittal.report.reading import Reading
from sagittal.serve.hanging import layout
from sagittal.serve.pixels import NOT_STATED, View
from sagittal.serve.shelf import Opened, Shown
from sagittal.study.geometry import Geometry, Plane

ANATOMY = ("lung", "heart", "brain", "hippocampus")
"""Masks whose names begin so outline organs, not lesions, and are drawn quietly."""


def manifest(opened: Opened, reading: Reading | None) -> dict[str, Any]:
    """Everything the viewer needs beside the pixels."""
    columns, panes = layout(opened.current(), opened.before())
    found = reading.findings if reading else ()
    grid, every = grids(opened), opened.shown
    return {
        "layout": {
            "columns": columns,
            "panes": [{"series": p.series, "plane": p.plane, "preset": p.preset} for p in panes],
        },
        "series": {key: _series(key, shown, opened) | {"grid": grid[key]} for key, shown in every.items()},
        "masks": _masks(opened, reading),
        "findings": [target for f in found if (target := _target(opened, f)) is not None],
    }


def _series(key: str, shown: Shown, opened: Opened) -> dict[str, Any]:
    series, prior = shown.series, key.startswith("p")
    study = opened.prior if prior and opened.prior else opened.study
    geometry = series.geometry
    frame = geometry.frame_of_reference_uid if isinstance(geometry, Geometry) else None
    return {
        "label": label(shown),
        "prior": prior,
        "date": study.date.isoformat() if study.date else "date not stated",
        "modality": series.modality,
        "unit": series.unit,
        "dtype": shown.encoding.dtype,
        "slope": shown.encoding.slope,
        "intercept": shown.encoding.intercept,
        "presets": [{"name": p.name, "width": p.width, "level": p.level} for p in shown.presets],
        "frame": frame,
        "length": shown.view.unit,
        "spacing_note": geometry.spacing_source if isinstance(geometry, Plane) else None,
        "stated": NOT_STATED if isinstance(geometry, Plane) and not any(shown.view.edges) else "",
        "problems": list(series.problems),
        "planes": {
            name: {
                "count": plane.count,
                "rows": plane.rows,
                "columns": plane.columns,
                "row_pitch": plane.row_pitch,
                "column_pitch": plane.column_pitch,
                "step": plane.step,
                "affine": [float(v) for v in plane.affine.reshape(-1)],
                "edges": dict(zip(("top", "bottom", "left", "right"), plane.edges, strict=True)),
            }
            for name, plane in shown.planes.items()
        },
    }


def label(shown: Shown) -> str:
    """What a pane calls its series."""
    series = shown.series
    words = [series.modality, series.acquisition.sequence or ""]
    if isinstance(series.geometry, Plane):
        words += [series.view or "", series.position or ""]
    named = " ".join(word for word in words if word)
    return f"{named} · {series.description}" if series.description else named


def grids(opened: Opened) -> dict[str, int]:
    """Series key -> number of its grid; series of one study on the same grid share masks."""
    numbers: dict[str, int] = {}
    for key, shown in opened.shown.items():
        mine = shown.series.geometry
        twins = (
            number
            for other, number in numbers.items()
            if key.startswith("p") == other.startswith("p")
            and opened.shown[other].series.shape == shown.series.shape
            and isinstance(mine, Geometry)
            and opened.shown[other].series.geometry == mine
        )
        numbers[key] = next(twins, len(numbers))
    return numbers


def _masks(opened: Opened, reading: Reading | None) -> list[dict[str, Any]]:
    if reading is None:
        return []
    owners: dict[str, list[str]] = {}
    for finding in reading.findings:
        if finding.evidence and finding.evidence.mask and finding.presence is not Presence.ABSENT:
            owners.setdefault(finding.evidence.mask, []).append(finding.tracking_uid or "")
    listed, grid = [], grids(opened)
    for number, name in enumerate(opened.masks):
        summary = next((m for m in reading.masks if m.name == name), None)
        key = opened.key_of(summary.series_uid) if summary else None
        anatomy = name.lower().startswith(ANATOMY)
        if key is None or not (anatomy or name in owners):
            # A rejected finding takes its outline with it.
            continue
        listed.append(
            {
                "number": number,
                "name": name,
                "series": key,
                "grid": grid[key],
                "anatomy": anatomy,
                "findings": owners.get(name, []),
                "scattered": opened.scattered(name),
                "volume_ml": summary.volume_ml if summary else None,
            }
        )
    return listed


def _target(opened: Opened, finding: Finding) -> dict[str, Any] | None:
    """Where a click on a finding takes the images."""
    evidence = finding.evidence
    if evidence is None or finding.presence is Presence.ABSENT:
        return None
    key = opened.key_of(evidence.series_uid)
    if key is None:
        return None
    shown = opened.shown[key]
    view, native_shape = shown.view, shown.series.volume.shape
    target: dict[str, Any] = {"uid": finding.tracking_uid, "series": key, "mask": None, "box": None}
    mask = opened.masks.get(evidence.mask or "")
    low = high = None
    if mask is not None and mask.shape == native_shape and mask.any():
        target["mask"] = list(opened.masks).index(evidence.mask or "")
        low, high = bounds(mask)
    elif evidence.box_index is not None and len(native_shape) == 2:
        y0, x0, y1, x1 = evidence.box_index
        low, high = np.array([y0, x0]), np.array([y1, x1])
    elif evidence.box_mm is not None and isinstance(shown.series.geometry, Geometry):
        corners = np.array(list(product(*zip(evidence.box_mm[:3], evidence.box_mm[3:], strict=True))))
        index = shown.series.geometry.to_index(corners)
        low, high = index.min(axis=0), index.max(axis=0)
    slices = evidence.slices_index if len(native_shape) == 3 else ()
    if low is not None and high is not None:
        corners = np.array(list(product(*zip(low - 0.5, high + 0.5, strict=True))))
        target["box"] = [[float(v) for v in p] for p in points(view, corners)]
        centre = (low + high) / 2.0
    elif slices:
        centre = (np.array(native_shape, float) - 1) / 2.0
    else:
        return None
    if slices and 0 <= slices[0] < native_shape[0]:
        centre[0] = slices[0]
        if mask is not None and target["mask"] is not None and mask[slices[0]].any():
            centre[1:] = np.argwhere(mask[slices[0]]).mean(axis=0)
    target["point"] = [float(v) for v in points(view, centre[None])[0]]
    return target


def bounds(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last index of a mask along each axis."""
    low, high = [], []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(k for k in range(mask.ndim) if k != axis)))
        low.append(float(hit[0]))
        high.append(float(hit[-1]))
    return np.array(low), np.array(high)


def points(view: View, native: NDArray[np.float64]) -> NDArray[np.float64]:
    """Native indices (n, ndim) to the viewer's points (n, 3)."""
    index = view.index(native)
    if view.affine is None:
        return np.stack([index[:, 2] * view.pitch[2], index[:, 1] * view.pitch[1], index[:, 0] * 0], axis=-1)
    return np.asarray(index @ view.affine[:3, :3].T + view.affine[:3, 3])

"""Where a mask lies, in the words of a finding's evidence."""

from __future__ import annotations

import itertools

import numpy as np

from sagittal.report.finding import Evidence, Severity
from sagittal.study.geometry import Geometry
from sagittal.study.volume import Volume


def evidence_of(mask: Volume, name: str, series_uid: str) -> Evidence:
    """Series, mask, box and slices (largest first) of a non-empty mask.

    The box of a volume is in LPS mm and encloses whole voxels; that of a radiograph is
    (y0, x0, y1, x1) in pixels, the end exclusive.
    """
    voxels = np.asarray(mask.voxels) > 0
    ranges = []
    for axis in range(voxels.ndim):
        hit = np.flatnonzero(voxels.any(axis=tuple(k for k in range(voxels.ndim) if k != axis)))
        if not len(hit):
            return Evidence(series_uid=series_uid, mask=name)
        ranges.append((int(hit[0]), int(hit[-1])))
    if not isinstance(mask.geometry, Geometry):
        (y0, y1), (x0, x1) = ranges
        return Evidence(series_uid=series_uid, mask=name, box_index=(y0, x0, y1 + 1, x1 + 1))
    corners = mask.geometry.to_mm([*itertools.product(*((low - 0.5, high + 0.5) for low, high in ranges))])
    area = voxels.sum(axis=(1, 2))
    slices = np.argsort(-area, kind="stable")[: int((area > 0).sum())]
    return Evidence(
        series_uid=series_uid,
        mask=name,
        box_mm=tuple(round(float(v), 2) for v in (*corners.min(axis=0), *corners.max(axis=0))),
        slices_index=tuple(int(k) for k in slices),
    )


def graded(value: float, moderate: float, severe: float) -> Severity:
    """Mild below ``moderate``, severe from ``severe`` on."""
    if value < moderate:
        return Severity.MILD
    return Severity.MODERATE if value < severe else Severity.SEVERE

"""Overlap of masks and boxes on one grid.

Rule for empties, the same everywhere: both empty is 1 (rightly nothing), one empty is 0. A mean over
cases therefore never improves by leaving a structure out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def _masks(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    a, b = np.asarray(first) != 0, np.asarray(second) != 0
    if a.shape != b.shape:
        raise ValueError(f"masks must have one shape, got {a.shape} and {b.shape}")
    return a, b


def dice(first: ArrayLike, second: ArrayLike) -> float:
    """2 |A and B| / (|A| + |B|) of two masks (anything but 0 is inside); 1 when both are empty."""
    a, b = _masks(first, second)
    total = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / total if total else 1.0


def iou(first: ArrayLike, second: ArrayLike) -> float:
    """|A and B| / |A or B| of two masks; 1 when both are empty."""
    a, b = _masks(first, second)
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def dice_by_label(first: ArrayLike, second: ArrayLike, labels: Sequence[int]) -> dict[int, float]:
    """Dice of each label of two label maps."""
    a, b = np.asarray(first), np.asarray(second)
    return {label: dice(a == label, b == label) for label in labels}


def box(mask: ArrayLike) -> tuple[int, ...] | None:
    """(low..., high...) zero-based, high exclusive, of what is inside; None of an empty mask."""
    inside = np.asarray(mask) != 0
    if not inside.any():
        return None
    low, high = [], []
    for axis in range(inside.ndim):
        others = tuple(i for i in range(inside.ndim) if i != axis)
        (hit,) = np.nonzero(inside.any(axis=others))
        low.append(int(hit[0]))
        high.append(int(hit[-1]) + 1)
    return (*low, *high)


def box_iou(first: Sequence[float] | None, second: Sequence[float] | None) -> float:
    """IoU of two boxes (low..., high...) of any dimension; None is an empty box.

    Raises:
        ValueError: the boxes differ in dimension, or a high is below its low.
    """
    if first is None or second is None:
        return 1.0 if first is second else 0.0
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape or len(a) % 2:
        raise ValueError(f"boxes must be (low..., high...) alike, got {len(a)} and {len(b)} numbers")
    half = len(a) // 2
    if (a[half:] < a[:half]).any() or (b[half:] < b[:half]).any():
        raise ValueError("a box's high must not be below its low")
    shared = np.prod(np.clip(np.minimum(a[half:], b[half:]) - np.maximum(a[:half], b[:half]), 0, None))
    union = np.prod(a[half:] - a[:half]) + np.prod(b[half:] - b[:half]) - shared
    return float(shared / union) if union > 0 else float(np.array_equal(a, b))


def volume_ml(mask: ArrayLike, spacing_mm: Sequence[float]) -> float:
    """Volume in millilitres of what is inside, voxels of ``spacing_mm`` (z, y, x)."""
    inside = np.asarray(mask) != 0
    if inside.ndim != len(spacing_mm):
        raise ValueError(f"spacing must have {inside.ndim} numbers, got {len(spacing_mm)}")
    return float(inside.sum() * np.prod(np.asarray(spacing_mm, float)) / 1000.0)

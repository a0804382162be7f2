"""Smooth random fields, cheap enough to draw many of them for each phantom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_ONE_THREAD = 2**17
_MEAN_SQUARE = 151.0 / 315.0
"""Mean over position of the summed squared weights of a cubic B-spline, one axis."""


def spline_matrix(positions: NDArray[np.floating], count: int) -> Array:
    """(n, count) cubic B-spline weights; ``positions`` in knots, knot k at k, borders clamped."""
    position = np.clip(positions, 1.0, count - 2.001)
    base = np.floor(position).astype(int)
    t = position - base
    matrix = np.zeros((len(position), count), np.float32)
    rows = np.arange(len(position))
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
        matrix[rows, base + offset] += (weight / 6.0).astype(np.float32)
    return matrix


def product(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """``a @ b`` of (m, k) and (k, n), the same to the last bit however many threads BLAS may use.

    OpenBLAS shares a product among threads only above 2**18 multiplications (its interface/gemm.c),
    and how it cuts it up changes the rounding. So the product is done in blocks below that.
    """
    m, k = a.shape
    n = b.shape[1]
    out = np.empty((m, n), np.result_type(a, b))
    if n >= m:
        step = max(1, _ONE_THREAD // (m * k))
        for start in range(0, n, step):
            out[:, start : start + step] = a @ b[:, start : start + step]
    else:
        step = max(1, _ONE_THREAD // (n * k))
        for start in range(0, m, step):
            out[start : start + step] = a[start : start + step] @ b
    return out


def along(matrix: Array, field: Array, axis: int) -> Array:
    """``matrix`` (n, m) applied along one axis, of length m, of ``field``."""
    front = np.moveaxis(field, axis, 0)
    done = product(matrix, front.reshape(len(front), -1))
    return np.moveaxis(done.reshape(len(matrix), *front.shape[1:]), 0, axis)


def smooth_field(
    rng: np.random.Generator, shape: Sequence[int], spacing_mm: Sequence[float], scale_mm: float
) -> Array:
    """A zero-mean, about unit-variance field of ``shape`` with knots every ``scale_mm``.

    A cubic B-spline of white noise: three small matrix products, whatever the smoothness.
    """
    matrices, counts = [], []
    for length, spacing in zip(shape, spacing_mm, strict=True):
        count = int(np.ceil(length * spacing / scale_mm)) + 4
        start = 1.0 + rng.random()
        matrices.append(spline_matrix(start + np.arange(length) * spacing / scale_mm, count))
        counts.append(count)
    field = rng.standard_normal(counts, dtype=np.float32)
    for axis, matrix in enumerate(matrices):
        field = along(matrix, field, axis)
    return np.ascontiguousarray(field, np.float32) / np.float32(_MEAN_SQUARE ** (len(shape) / 2))

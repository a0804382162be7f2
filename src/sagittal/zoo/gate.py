"""Is this image of the kind the model learnt? A distance in feature space, and its threshold.

Mahalanobis distance on pooled features with Ledoit and Wolf's shrinkage, divided by the root of the
dimension so that 1 is ordinary. Sources: Lee et al., NeurIPS 2018; Ledoit and Wolf, Journal of
Multivariate Analysis 2004; the threshold is a conformal quantile (Vovk et al. 2005).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sagittal.errors import BadInput

FILE = "gate.safetensors"


@dataclass(frozen=True)
class Distance:
    """How far an image lies from what was learnt, and whether the gate lets it through."""

    distance: float
    threshold: float

    @property
    def ok(self) -> bool:
        # NaN compares false: what cannot be measured does not pass.
        return self.distance <= self.threshold


@dataclass(frozen=True, eq=False)
class Gate:
    """A fitted gate.

    Args:
        mean: (D,); whitener: (D, D), rows take a centred feature to unit variance.
        threshold: largest distance that passes.
    """

    mean: NDArray[np.float32]
    whitener: NDArray[np.float32]
    threshold: float

    def distances(self, features: ArrayLike) -> NDArray[np.float64]:
        """(N, D) -> (N,)."""
        centred = np.asarray(features, np.float64) - self.mean
        return np.sqrt(np.mean((centred @ self.whitener.T.astype(np.float64)) ** 2, axis=-1))

    def distance(self, feature: ArrayLike) -> Distance:
        """One feature vector (D,)."""
        return Distance(float(self.distances(np.asarray(feature)[None])[0]), self.threshold)


def shrunk_covariance(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ledoit and Wolf's covariance of rows (N, D): towards the scaled identity, by its own formula."""
    n, d = features.shape
    centred = features - features.mean(0)
    sample = centred.T @ centred / n
    scale = np.trace(sample) / d
    squares = centred**2
    spread = (np.sum(squares.T @ squares) / n - np.sum(sample**2)) / n
    excess = np.sum((sample - scale * np.eye(d)) ** 2)
    amount = 1.0 if excess <= 0 else float(min(max(spread, 0.0), excess) / excess)
    shrunk: NDArray[np.float64] = (1 - amount) * sample + amount * scale * np.eye(d)
    return shrunk


def fit_gate(features: ArrayLike, heldout: ArrayLike, *, quantile: float = 0.99) -> Gate:
    """Fit the distance on ``features`` (N, D) and the threshold on ``heldout`` (M, D), never seen by it.

    Raises:
        ValueError: fewer than two rows, or not finite.
    """
    fit, held = np.asarray(features, np.float64), np.asarray(heldout, np.float64)
    if len(fit) < 2 or len(held) < 1 or not (np.isfinite(fit).all() and np.isfinite(held).all()):
        raise ValueError("a gate needs at least two finite feature rows to fit and one held out")
    values, vectors = np.linalg.eigh(shrunk_covariance(fit))
    # A feature that never varies carries no scale of its own; the floor keeps the whitener finite.
    floor = max(float(values[-1]) * 1e-6, 1e-12)
    whitener = (vectors / np.sqrt(np.maximum(values, floor))).T
    gate = Gate(fit.mean(0).astype(np.float32), whitener.astype(np.float32), math.inf)
    distances = np.sort(gate.distances(held))
    rank = min(len(distances), math.ceil((len(distances) + 1) * quantile))
    return Gate(gate.mean, gate.whitener, float(distances[rank - 1]))


def save_gates(gates: Mapping[str, Gate], folder: Path) -> None:
    """Write the gates of a model's branches into its folder."""
    arrays: dict[str, NDArray[np.float32]] = {}
    for name, gate in gates.items():
        arrays[f"{name}.mean"] = np.ascontiguousarray(gate.mean, np.float32)
        arrays[f"{name}.whitener"] = np.ascontiguousarray(gate.whitener, np.float32)
        arrays[f"{name}.threshold"] = np.array([gate.threshold], np.float32)
    save_file(arrays, folder / FILE)


def load_gates(folder: Path) -> dict[str, Gate]:
    """The gates of a model folder, by branch; empty where it has none.

    Raises:
        BadInput: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        arrays = load_file(path)
        names = sorted({key.rsplit(".", 1)[0] for key in arrays})
        return {
            name: Gate(
                arrays[f"{name}.mean"], arrays[f"{name}.whitener"], float(arrays[f"{name}.threshold"][0])
            )
            for name in names
        }
    except (SafetensorError, KeyError, OSError, IndexError) as error:
        raise BadInput(f"{path} is damaged ({error})", "the gate written with the model") from None

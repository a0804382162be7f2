"""How far two raters, or a rater and a model, agree on ordered levels beyond chance.

Source: Cohen, Psychological Bulletin 1968 (weighted kappa).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def quadratic_kappa(first: ArrayLike, second: ArrayLike, levels: int) -> float:
    """Cohen's kappa with squared distances between levels 0 .. levels - 1; first and second are (n,) whole.

    1: equal everywhere; 0: as by chance; NaN where both name one and the same level only, or n is 0.

    Raises:
        ValueError: shapes differ, or a level is not in 0 .. levels - 1.
    """
    one, two = np.asarray(first), np.asarray(second)
    if one.ndim != 1 or one.shape != two.shape:
        raise ValueError(f"both must be (n,) alike, got {one.shape} and {two.shape}")
    if not (np.isin(one, range(levels)).all() and np.isin(two, range(levels)).all()):
        raise ValueError(f"levels must be whole numbers from 0 to {levels - 1}")
    if not len(one):
        return float("nan")
    table = np.zeros((levels, levels))
    np.add.at(table, (one.astype(int), two.astype(int)), 1.0)
    apart = np.subtract.outer(np.arange(levels), np.arange(levels)) ** 2
    by_chance = np.outer(table.sum(1), table.sum(0)) / len(one)
    expected = float((apart * by_chance).sum())
    return 1.0 - float((apart * table).sum()) / expected if expected else float("nan")

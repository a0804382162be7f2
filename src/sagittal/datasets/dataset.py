"""Labelled studies, opened one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sagittal.errors import BadInput
from sagittal.study.study import Study

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Row:
    """One labelled study.

    Args:
        study: its name in the set, e.g. "train/000123" or a path relative to the folder.
        split: train, val, test, or "" where the set states none.
        load: opens it; may raise BadInput.
        prior, mask: paths relative to the folder, or "".
        groups: sex, site, scanner ... -> value, for fairness.
    """

    study: str
    patient: str
    split: str
    load: Callable[[], Study]
    prior: str = ""
    mask: str = ""
    groups: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled set.

    Args:
        labels: (L,) names; targets: (N, L) 0, 1 or NaN for unknown.
        exclusive: the labels are classes of which exactly one holds.
        licence: as the set states it; "" where it does not.
    """

    name: str
    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    targets: NDArray[np.float32]
    exclusive: bool = False
    licence: str = ""
    age_years: tuple[float, float] | None = None
    """Ages the set says it covers, where it does not say them patient by patient."""

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, split: str) -> Dataset:
        """The rows of one split.

        Raises:
            BadInput: no row is of that split; says which there are.
        """
        keep = [i for i, row in enumerate(self.rows) if row.split == split]
        if not keep:
            there = ", ".join(sorted({row.split or "none stated" for row in self.rows}))
            raise BadInput(f"{self.name} has no split {split!r}", f"one of: {there}")
        return replace(self, rows=tuple(self.rows[i] for i in keep), targets=self.targets[keep])

    def has(self, split: str) -> bool:
        """Whether any row is of that split."""
        return any(row.split == split for row in self.rows)

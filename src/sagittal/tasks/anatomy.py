"""Is a drawn anatomy possible? Shown only then, even where the findings themselves are refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sagittal.study.geometry import Plane
from sagittal.study.volume import Volume
from sagittal.tasks.localise import fill_and_keep_largest

SHARE = (0.03, 0.40)
"""Smallest and largest share of a frontal film that one lung field covers."""
BALANCE = 3.5
"""One lung field is at most this many times as large as the other."""


def plausible_lungs(drawn: Mapping[str, Volume]) -> dict[str, Volume]:
    """The lungs, each its largest piece with holes filled; empty where they cannot be lungs.

    A pair is possible when each covers a lung's share of a film, neither dwarfs the other, they lie
    beside each other and, where the film states its sides, each on its own.
    """
    if not {"lung_right", "lung_left"} <= set(drawn):
        return {}
    pair = {
        name: fill_and_keep_largest(drawn[name].voxels.astype(bool)) for name in ("lung_right", "lung_left")
    }
    right, left = pair["lung_right"], pair["lung_left"]
    if not right.any() or not left.any():
        return {}
    geometry = drawn["lung_right"].geometry
    if isinstance(geometry, Plane):
        shares = [float(mask.mean()) for mask in (right, left)]
        if min(shares) < SHARE[0] or max(shares) > SHARE[1] or max(shares) / min(shares) > BALANCE:
            return {}
        (y_right, x_right), (y_left, x_left) = (np.argwhere(mask).mean(0) for mask in (right, left))
        width, height = right.shape[1], right.shape[0]
        beside = abs(x_left - x_right) > 0.15 * width and abs(y_left - y_right) < 0.2 * height
        first = geometry.right_is_image_left
        sided = first is None or (x_right < x_left) == first
        if not (beside and sided):
            return {}
    return {name: drawn[name].like(mask) for name, mask in pair.items()}

"""Which finding of one date is which of another: by tracking UID, by place, by where it lies.

A tracking UID settles it. Where the images of both dates were registered, the distance between the
centres of the boxes decides; elsewhere observation, side and site do. More than one possible partner
is never settled by a guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sagittal.errors import BadInput
from sagittal.report.finding import Finding, Laterality

NEAR_MM = 10.0
"""Centres of one lesion lie this close after registration. A published tracker misses them by 7 mm in
the mean (Cai et al., CVPR 2021, on 3,891 pairs of DeepLesion) and counts 10 mm as found (recalled)."""

Point: TypeAlias = tuple[float, float, float]
Transform: TypeAlias = "Callable[[Point], Sequence[float]] | npt.ArrayLike"
"""Prior LPS mm -> current LPS mm: a function of a point, or a 4 x 4 matrix."""


@dataclass(frozen=True)
class Pairing:
    """Indices into the two lists that were paired.

    Args:
        pairs: current finding -> the prior one that it is.
        unsure: current findings that may be one of several, or that share a candidate with another.
        spoken: prior findings that a current one is or may be.
    """

    pairs: Mapping[int, int]
    unsure: frozenset[int]
    spoken: frozenset[int]


def matched(prior: Finding, current: Finding) -> bool:
    """Whether two findings of two dates look like the same lesion: same thing, side and site."""
    return (
        prior.observation.key == current.observation.key
        and prior.laterality == current.laterality
        and (prior.site is None or current.site is None or prior.site.key == current.site.key)
    )


def akin(prior: Finding, current: Finding) -> bool:
    """Whether two findings can be one thing: the same observation, or a nodule that a size over 30 mm
    made a mass (Fleischner glossary 2008)."""
    keys = {prior.observation.key, current.observation.key}
    return len(keys) == 1 or keys == {"nodule", "mass"}


def centre_mm(finding: Finding) -> Point | None:
    """Centre of the finding's box in LPS mm; None where it has none."""
    box = finding.evidence.box_mm if finding.evidence is not None else None
    if box is None or len(box) != 6 or not np.isfinite(box).all():
        return None
    return (box[0] + box[3]) / 2, (box[1] + box[4]) / 2, (box[2] + box[5]) / 2


def carried(finding: Finding, transform: Transform | None) -> Finding:
    """The finding with its box moved to the other date's coordinates, its size kept; without a
    transform the box is dropped, since coordinates of two dates are not the same.

    Raises:
        BadInput: the transform is no 4 x 4 affine matrix, or yields something else than a point.
    """
    centre, evidence = centre_mm(finding), finding.evidence
    if evidence is None or evidence.box_mm is None:
        return finding
    if transform is None or centre is None:
        return replace(finding, evidence=replace(evidence, box_mm=None))
    half = [(high - low) / 2 for low, high in zip(evidence.box_mm[:3], evidence.box_mm[3:], strict=True)]
    moved = _applied(transform, centre)
    low, high = ([m + sign * h for m, h in zip(moved, half, strict=True)] for sign in (-1, 1))
    return replace(finding, evidence=replace(evidence, box_mm=(*low, *high)))


def _applied(transform: Transform, point: Point) -> Point:
    if callable(transform):
        moved = np.asarray(transform(point), float).ravel()
    else:
        matrix = affine(transform)
        moved = matrix[:3, :3] @ point + matrix[:3, 3]
    if moved.shape != (3,) or not np.isfinite(moved).all():
        raise BadInput("the transform of the prior does not yield a point", "three numbers, LPS mm")
    return float(moved[0]), float(moved[1]), float(moved[2])


def affine(matrix: Any) -> npt.NDArray[np.float64]:
    """The matrix as an array.

    Raises:
        BadInput: it is not 4 x 4, finite, invertible, with 0 0 0 1 as its last row.
    """
    try:
        array = np.asarray(matrix, float)
    except (TypeError, ValueError):
        raise BadInput("the transform of the prior is not a matrix", "4 rows of 4 numbers") from None
    if array.shape != (4, 4) or not np.isfinite(array).all() or not np.array_equal(array[3], (0, 0, 0, 1)):
        raise BadInput("the transform of the prior", "4 rows of 4 numbers, the last one 0 0 0 1")
    if abs(np.linalg.det(array[:3, :3])) < 1e-9:
        raise BadInput("the transform of the prior cannot be inverted", "one that keeps three dimensions")
    return array


def apart_mm(prior: Finding, current: Finding) -> float | None:
    """Distance between the centres of two boxes in the same coordinates; None where one has none."""
    one, other = centre_mm(prior), centre_mm(current)
    return None if one is None or other is None else float(np.linalg.norm(np.subtract(one, other)))


def may_be(prior: Finding, current: Finding, near_mm: float = NEAR_MM) -> bool:
    """Whether two findings may be the same lesion.

    Two boxes (of registered images: see `carried`) decide by distance: within ``near_mm``, or for what
    is larger within half its longest side; a stated site then no longer matters. Otherwise observation,
    side and site do.
    """
    distance = apart_mm(prior, current)
    if distance is None:
        return matched(prior, current)
    other_side = {prior.laterality, current.laterality} == {Laterality.LEFT, Laterality.RIGHT}
    reach = max(near_mm, _longest_mm(prior) / 2, _longest_mm(current) / 2)
    return akin(prior, current) and not other_side and distance <= reach


def _longest_mm(finding: Finding) -> float:
    box = finding.evidence.box_mm if finding.evidence is not None else None
    assert box is not None, "called where both boxes are there"
    return max(abs(box[axis + 3] - box[axis]) for axis in range(3))


def _tracked(prior: Finding, current: Finding) -> bool:
    same = prior.tracking_uid is not None and prior.tracking_uid == current.tracking_uid
    return same and akin(prior, current)


def pair(prior: Sequence[Finding], current: Sequence[Finding], near_mm: float = NEAR_MM) -> Pairing:
    """Pair two lists, one to one; ``prior`` as `carried` to the coordinates of ``current``.

    Tracking UIDs come first. Then boxes, by the assignment with the least total distance, where any
    other assignment is at least ``near_mm`` worse. Then what has exactly one possible partner that
    nobody else could be.
    """
    maybe: dict[int, list[int]] = {}
    for i, now in enumerate(current):
        maybe[i] = [j for j, before in enumerate(prior) if _tracked(before, now)][:1]
    _add(maybe, _nearest(prior, current, maybe, near_mm))
    taken = {j for indices in maybe.values() for j in indices}
    for i, now in enumerate(current):
        if not maybe[i]:
            maybe[i] = [
                j for j, before in enumerate(prior) if j not in taken and may_be(before, now, near_mm)
            ]
    wanted = Counter(j for indices in maybe.values() for j in indices)
    pairs = {i: js[0] for i, js in maybe.items() if len(js) == 1 and wanted[js[0]] == 1}
    unsure = frozenset(i for i, js in maybe.items() if js and i not in pairs)
    return Pairing(pairs, unsure, frozenset(wanted))


def _add(maybe: dict[int, list[int]], settled: Mapping[int, int]) -> None:
    for i, j in settled.items():
        maybe[i] = [j]


def _nearest(
    prior: Sequence[Finding], current: Sequence[Finding], maybe: Mapping[int, list[int]], near_mm: float
) -> dict[int, int]:
    """The pairs that distances alone settle, among those whose tracking UIDs say nothing."""
    taken = {j for indices in maybe.values() for j in indices}
    distances = {
        (i, j): distance
        for i, now in enumerate(current)
        if not maybe[i]
        for j, before in enumerate(prior)
        if j not in taken and (distance := apart_mm(before, now)) is not None and may_be(before, now, near_mm)
    }
    if not distances:
        return {}
    rows, columns = sorted({i for i, _ in distances}), sorted({j for _, j in distances})
    # One spare column a row: leaving a lesion alone costs more than any pair, so pairs come first, and
    # giving one pair up is always worse by ``near_mm``: only another partner makes a pair doubtful.
    alone = max(distances.values()) + near_mm
    far = 1e6 * alone
    costs = np.full((len(rows), len(columns) + len(rows)), far)
    for (i, j), distance in distances.items():
        costs[rows.index(i), columns.index(j)] = distance
    costs[np.arange(len(rows)), len(columns) + np.arange(len(rows))] = alone
    best, total = _assigned(costs)
    settled = {}
    for row, column in best:
        if column >= len(columns):
            continue
        without = costs.copy()
        without[row, column] = far
        if _assigned(without)[1] - total >= near_mm:
            settled[rows[row]] = columns[column]
    return settled


def _assigned(costs: npt.NDArray[np.float64]) -> tuple[list[tuple[int, int]], float]:
    """The cheapest assignment of rows to columns, and its cost."""
    # Imported here: it takes longer than everything else, and few comparisons have boxes.
    from scipy.optimize import linear_sum_assignment

    row, column = linear_sum_assignment(costs)
    return list(zip(row.tolist(), column.tolist(), strict=True)), float(costs[row, column].sum())

"""Slices to a regular grid: ordered along the normal, or an honest no.

Source: PS3.3 C.7.6.2.1.1; order comes from positions alone, never from instance numbers or names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sagittal.study.dicom.frame import DISCRIMINATORS, Frame

POSITION_TOLERANCE_MM = 0.02
"""Positions closer than this are one place; headers round to a thousandth or so."""
SPACING_TOLERANCE = 0.02
"""Steps may differ from the usual one by this fraction of it."""
TILT_TOLERANCE_DEG = 0.5
THICK_MM = 5.0
"""Slices at this distance or more are called thick."""


@dataclass(frozen=True)
class Stack:
    """Frames in ascending order along the normal, and the grid they make.

    Args:
        affine: (4, 4) index (z, y, x, 1) to LPS mm.
        regular: False where the slices make no regular grid; the affine is then only indicative.
        label: what sets this stack apart from others of its series.
    """

    frames: tuple[Frame, ...]
    affine: NDArray[np.float64]
    regular: bool
    label: str = ""
    problems: list[str] = field(default_factory=list)


def stacks(frames: list[Frame]) -> list[Stack]:
    """Split placed frames of one series into grids: by orientation and size, then by what repeats."""
    found = []
    for same in _alike(frames):
        parts = list(_apart(same))
        for label, part, problems in parts:
            found.append(_stack(part, label if len(parts) > 1 else "", problems))
    return found


def _alike(frames: list[Frame]) -> list[list[Frame]]:
    """Groups of one orientation, matrix and pixel size."""
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            if _same_plane(group[0], frame):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _same_plane(a: Frame, b: Frame) -> bool:
    assert a.orientation is not None and b.orientation is not None
    assert a.spacing_mm is not None and b.spacing_mm is not None
    return (
        (a.rows, a.columns) == (b.rows, b.columns)
        and bool(np.abs(a.orientation - b.orientation).max() < 2e-3)
        and bool(np.allclose(a.spacing_mm, b.spacing_mm, rtol=1e-3))
    )


def _along(frames: list[Frame]) -> NDArray[np.float64]:
    return np.array([frame.position_mm for frame in frames]) @ frames[0].normal


def _repeats(frames: list[Frame]) -> bool:
    along = np.sort(_along(frames))
    return bool((np.diff(along) < POSITION_TOLERANCE_MM).any())


def _apart(frames: list[Frame]) -> Iterator[tuple[str, list[Frame], list[str]]]:
    """Volumes within one plane: copies dropped, then split by the first tags that make places unique."""
    problems: list[str] = []
    unique: dict[tuple[str, int], Frame] = {}
    for frame in frames:
        unique.setdefault((frame.sop_instance_uid or frame.source.name, frame.index), frame)
    if len(unique) < len(frames):
        problems.append(f"{len(frames) - len(unique)} copies of the same instance were dropped")
    yield from _split(list(unique.values()), DISCRIMINATORS, "", problems)


def _split(
    frames: list[Frame], keys: tuple[str, ...], label: str, problems: list[str]
) -> Iterator[tuple[str, list[Frame], list[str]]]:
    if not _repeats(frames):
        yield label, frames, problems
        return
    for position, key in enumerate(keys):
        values = sorted({frame.keys[key] for frame in frames})
        parts = [[frame for frame in frames if frame.keys[key] == value] for value in values]
        if len(parts) < 2 or not _helps(frames, parts):
            continue
        for value, part in zip(values, parts, strict=True):
            part_label = f"{label} {key} {value or 'empty'}".strip()
            yield from _split(part, keys[position + 1 :], part_label, list(problems))
        return
    kept, dropped = _first_at_each_place(frames)
    problems.append(f"{dropped} slices at a place already taken were dropped (the lowest number was kept)")
    yield label, kept, problems


def _helps(frames: list[Frame], parts: list[list[Frame]]) -> bool:
    """Whether a split separates repeated places without shattering the stack."""
    places = 1 + int((np.diff(np.sort(_along(frames))) >= POSITION_TOLERANCE_MM).sum())
    return all(len(part) > max(1, places // 2) or len(part) == places for part in parts)


def _first_at_each_place(frames: list[Frame]) -> tuple[list[Frame], int]:
    ordered = sorted(
        zip(_along(frames), frames, strict=True), key=lambda item: (item[0], item[1].instance_number)
    )
    kept: list[Frame] = []
    last = -np.inf
    for along, group in groupby(ordered, key=lambda item: item[0]):
        if along - last >= POSITION_TOLERANCE_MM:
            kept.append(min((frame for _, frame in group), key=lambda frame: frame.instance_number))
            last = along
    return kept, len(frames) - len(kept)


def _stack(frames: list[Frame], label: str, problems: list[str]) -> Stack:
    order = np.argsort(_along(frames), kind="stable")
    frames = [frames[i] for i in order]
    first = frames[0]
    assert first.orientation is not None and first.spacing_mm is not None
    positions = np.array([frame.position_mm for frame in frames])
    regular = True
    if len(frames) == 1:
        step = first.normal * (first.thickness_mm if first.thickness_mm and first.thickness_mm > 0 else 1.0)
        if not first.thickness_mm:
            problems.append("one slice of unstated thickness: 1 mm assumed")
    else:
        step = (positions[-1] - positions[0]) / (len(frames) - 1)
        regular = _check(positions, first, step, problems)
        if not regular:
            usual = float(np.median(np.diff(_along(frames))))
            step = first.normal * usual
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = first.orientation[1] * first.spacing_mm[0]
    affine[:3, 2] = first.orientation[0] * first.spacing_mm[1]
    affine[:3, 3] = positions[0]
    if regular:
        problems.extend(_thickness(frames, float(np.linalg.norm(step))))
    return Stack(tuple(frames), affine, regular, label, problems)


def _check(
    positions: NDArray[np.float64], first: Frame, step: NDArray[np.float64], problems: list[str]
) -> bool:
    along = positions @ first.normal
    steps = np.diff(along)
    usual = float(np.median(steps))
    tolerance = max(SPACING_TOLERANCE * usual, POSITION_TOLERANCE_MM)
    odd = np.flatnonzero(np.abs(steps - usual) > tolerance)
    if odd.size:
        gaps = np.rint(steps[odd] / usual)
        missing = int((gaps - 1).sum())
        whole = bool((gaps >= 2).all() and (np.abs(steps[odd] - gaps * usual) < 2 * tolerance).all())
        why = f"{missing} slices seem to be missing; " if whole else ""
        problems.append(
            f"irregular spacing: {steps.min():.3g} to {steps.max():.3g} mm between {len(along)} slices; "
            f"{why}not stacked"
        )
        return False
    ideal = positions[0] + np.arange(len(positions))[:, None] * step
    if np.abs(positions - ideal).max() > max(0.1, 0.1 * min(first.spacing_mm or (1.0,))):
        problems.append("slices do not lie on one line; not stacked")
        return False
    tilt = float(np.degrees(np.arccos(np.clip(step @ first.normal / np.linalg.norm(step), -1, 1))))
    if tilt > TILT_TOLERANCE_DEG:
        problems.append(f"gantry tilt: slices are offset by {tilt:.1f} degrees; the grid is sheared")
    return True


def _thickness(frames: list[Frame], step: float) -> Iterator[str]:
    if len(frames) > 1 and step >= THICK_MM - 1e-6:
        yield f"thick slices: {len(frames)} at {step:.3g} mm"
    thickness = frames[0].thickness_mm
    if thickness and len(frames) > 1:
        if step > 1.1 * thickness and step - thickness > 0.1:
            yield f"gaps: slices {thickness:.3g} mm thick every {step:.3g} mm"
        elif len({frame.thickness_mm for frame in frames}) > 1:
            yield "slice thickness varies within the stack"

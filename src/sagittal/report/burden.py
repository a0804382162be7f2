"""How much disease the target lesions make up at one date: one sum, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from sagittal.report.compare import differently
from sagittal.report.finding import Finding, Measurement, Presence
from sagittal.report.lesions import Lesion

Size = Callable[[Lesion, Finding], "tuple[float, Measurement | None] | None"]
"""The size of a lesion in a finding, with the measurement it is from (None: a convention's number, not
measured); None where it is not stated."""


@dataclass(frozen=True)
class Burden:
    """The target lesions at one date.

    Args:
        total: the sum over all of them; None where one was not measured.
        least: the sum over those measured: the whole can only be more.
        vanished: whether every one of them is gone (of nodes: normal in size).
        missing: why the sum is not whole, one reason a lesion.
    """

    day: date
    total: float | None
    least: float
    vanished: bool
    missing: tuple[str, ...] = ()


def burden(
    targets: Sequence[Lesion], day: date, baseline: date, size: Size, *, normal_mm: float | None = None
) -> Burden:
    """Add the targets up at a date.

    What is stated to be absent adds 0. A lymph node does not: what is no longer enlarged still has a
    short axis, so an unmeasured one leaves the sum open, though it counts as gone. A size taken in
    another way than at the baseline is no size.

    Args:
        normal_mm: size under which a lymph node is normal; None where nodes are no special case.
    """
    least, vanished, missing = 0.0, bool(targets), []
    for lesion in targets:
        finding = lesion.on(day)
        absent = finding is not None and finding.presence is Presence.ABSENT
        node = lesion.node and normal_mm is not None
        sized = _sized(lesion, finding, baseline, size)
        if sized is not None:
            least += sized
            vanished &= node and normal_mm is not None and sized < normal_mm
        elif not absent or node:
            missing.append(f"{lesion.uid}: {_why(finding, absent)}")
            vanished &= absent
    least = round(least, 6)
    return Burden(day, None if missing else least, least, vanished, tuple(missing))


def _sized(lesion: Lesion, finding: Finding | None, baseline: date, size: Size) -> float | None:
    if finding is None or finding.presence is not Presence.PRESENT:
        return None
    now, first = size(lesion, finding), lesion.on(baseline)
    before = size(lesion, first) if first is not None else None
    if now is None:
        return None
    unlike = before and before[1] and now[1] and _otherwise(before[1], now[1])
    return None if unlike else now[0]


def _otherwise(before: Measurement, now: Measurement) -> bool:
    """Whether the two were taken in different ways; how many axes are stated besides is no matter."""
    same = Measurement(now.quantity, before.values, now.unit, now.method, now.plane, now.spacing_source)
    return differently(before, same)


def _why(finding: Finding | None, absent: bool) -> str:
    if finding is None:
        return "not named"
    if absent:
        return "a lymph node without a short axis"
    if finding.presence is Presence.UNCERTAIN:
        return "uncertain"
    return "not measured as at the baseline"

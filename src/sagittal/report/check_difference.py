"""How a statement and a finding of one observation differ: side, place, size, grade, change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sagittal.report.finding import MM, ChangeKind, Finding, Laterality, Measurement, Severity
from sagittal.report.problem import ProblemKind
from sagittal.report.stated import number
from sagittal.report.statement import RIGHT_LEFT, sides
from sagittal.report.vocabulary import within

SAME_MM = 2.0
SAME_SHARE = 0.15
"""Two lengths are one measurement when they differ by no more than 2 mm (Fleischner 2017: what may be
the observer's variation) or by 15 % (house bound, for what is larger than a nodule)."""

LOBES = frozenset({"upper_lobe", "middle_lobe", "lower_lobe"})
UPPER = frozenset({"upper_lobe", "lung_apex", "upper_zone"})
LOWER = frozenset({"lower_lobe", "lung_base", "lower_zone", "costophrenic_angle"})
BRAIN_LOBES = frozenset({"frontal_lobe", "parietal_lobe", "temporal_lobe", "occipital_lobe", "cerebellum"})
"""Places that exclude each other; elsewhere two names may mean one place."""

SOFT = frozenset({"lung", "pleura", "mediastinum", "brain"})

OPPOSED = ({ChangeKind.LARGER, ChangeKind.SMALLER}, {ChangeKind.NEW, ChangeKind.STABLE})


SLIP = "a factor of ten: mm and cm confused, or a point lost?"


@dataclass(frozen=True)
class Difference:
    """How a statement differs from the finding it is about."""

    kind: ProblemKind
    reason: str


def alike(finding: Finding, other: Finding) -> bool:
    """Whether both name one place, or give one size."""
    if finding.site is not None and other.site is not None:
        same = other.site.key in (finding.site.key, mirrored(finding.site.key))
    else:
        same = False
    return same or (bool(finding.measurements) and finding.measurements == other.measurements)


def apart(key: str, other: str) -> bool:
    """Whether two places cannot be one: other lobes, or other organs. Within the chest's soft parts names
    overlap (base and lower lobe, hilum and mediastinum), so there only lobes are told apart."""
    places = {key, other}
    if len(places) == 1 or within(key, other) or within(other, key):
        return False
    if places <= LOBES or places <= BRAIN_LOBES or (places & UPPER and places & LOWER):
        return True
    return not all(any(within(place, soft) for soft in SOFT) for place in places)


def mirrored(key: str) -> str:
    """The key of the same place on the other side, for places that are named by their side."""
    return re.sub("left|right", lambda m: "right" if m[0] == "left" else "left", key)


def one_place(finding: Finding, other: Finding) -> bool:
    """Whether two findings, sides aside, may lie in one place."""
    if finding.site is None or other.site is None:
        return True
    return not apart(finding.site.key, other.site.key)


def longest(finding: Finding) -> float:
    """Its longest diameter in mm; 0 where none is given."""
    diameters = [lengths(m) for m in finding.measurements if m.quantity == "diameter"]
    return max((long[0] for long in diameters if long), default=0.0)


def covers(denial: Finding, finding: Finding) -> bool:
    """Whether a denial speaks of where the finding is."""
    side, place = sides(denial), denial.site
    if side and not sides(finding) & side:
        return False
    return place is None or (finding.site is not None and within(finding.site.key, place.key))


def overlap(one: Finding, other: Finding) -> bool:
    """Whether two findings may speak of one place."""
    apart = sides(one) and sides(other) and not sides(one) & sides(other)
    if apart or one.site is None or other.site is None:
        return not apart
    return within(one.site.key, other.site.key) or within(other.site.key, one.site.key)


def differences(finding: Finding, other: Finding) -> list[Difference]:
    """What of a statement (``other``) cannot be said of the finding; empty where they agree or one of
    them leaves it open."""
    found = []
    one, two = sides(finding), sides(other)
    if one and two and not one & two:
        found.append(Difference(ProblemKind.SIDE, f"the evidence has it {where(one)}"))
    if finding.site is not None and other.site is not None:
        place, said = finding.site.key, other.site.key
        if mirrored(place) == said and place != said:
            found.append(Difference(ProblemKind.SIDE, f"the evidence has it in the {_site(finding)}"))
        elif apart(place, said):
            found.append(Difference(ProblemKind.SITE, f"the evidence has it in the {_site(finding)}"))
    found += (Difference(ProblemKind.SIZE, r) for r in unlike_sizes(finding.measurements, other.measurements))
    if {finding.severity, other.severity} == {Severity.MILD, Severity.SEVERE}:
        reason = f"the evidence calls it {finding.severity}"
        found.append(Difference(ProblemKind.CONTRADICTION, reason))
    if finding.change and other.change and {finding.change.kind, other.change.kind} in OPPOSED:
        found.append(Difference(ProblemKind.CONTRADICTION, f"the evidence says {finding.change.kind}"))
    return found


def where(found: frozenset[Laterality]) -> str:
    if found == RIGHT_LEFT:
        return "on both sides"
    return " and ".join(f"on the {side}" for side in sorted(found))


def _site(finding: Finding) -> str:
    return finding.site.meaning.lower() if finding.site is not None else ""


def lengths(measurement: Measurement) -> tuple[float, ...]:
    """Its values in mm, the longest first; nothing where it is no length."""
    scale = MM.get(measurement.unit)
    return () if scale is None else tuple(sorted((scale * v for v in measurement.values), reverse=True))


def unlike_sizes(known: Sequence[Measurement], said: Sequence[Measurement]) -> Iterator[str]:
    """Why sizes that were said cannot be those that are known."""
    for measurement in said:
        alike = [m for m in known if m.quantity == measurement.quantity]
        reasons = [unlike(one, measurement) for one in alike]
        if reasons and all(reasons):
            yield next(filter(None, reasons))


def unlike(known: Measurement, said: Measurement) -> str | None:
    """Why two measurements of one quantity are not the same; None where they may be."""
    one, two = lengths(known), lengths(said)
    if not (one and two):
        if known.unit != said.unit or not (known.values and said.values):
            return None
        one, two = known.values, said.values
        close = abs(one[0] - two[0]) <= SAME_SHARE * abs(one[0])
    else:
        close = abs(one[0] - two[0]) <= max(SAME_MM, SAME_SHARE * one[0])
        if close and len(one) == len(two):
            close = all(abs(a - b) <= max(SAME_MM, SAME_SHARE * a) for a, b in zip(one, two, strict=True))
    if close:
        return None
    size = " x ".join(number(v, known.unit) for v in known.values)
    reason = f"the evidence has {size} {known.unit}"
    if one[0] and two[0] and min(abs(two[0] / one[0] - f) / f for f in (10.0, 0.1)) < 0.05:
        reason += f"; {SLIP}"
    return reason

"""What changed between two dates, each statement naming the rule it rests on.

Only differences beyond a measurement's repeatability count: nodules by a rule that the caller may
choose (Fleischner 2017 by default, Lung-RADS v2022, BTS 2015), effusion and consolidation by category
(mild, moderate, severe). What has no such rule is "not comparable": both sizes are still stated.

RECIST's 20 % and 5 mm are no such rule for one lesion: they are limits of a patient's sum against its
nadir (see `sagittal.report.recist`), and a limit per lesion depends on organ, protocol and reader, for
which no guideline gives one number. So other lesions with a size stay "not comparable".
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from sagittal.report.finding import (
    MM,
    Change,
    ChangeKind,
    Finding,
    Laterality,
    Measurement,
    Presence,
    Severity,
    Temporality,
)
from sagittal.report.pairing import NEAR_MM, Transform, akin, carried, may_be, pair
from sagittal.report.vocabulary import within

NODULE_MM = 2.0
FLEISCHNER = "Fleischner 2017, a change of 2 mm or more in mean diameter"
LUNG_RADS = "Lung-RADS v2022, a change of more than 1.5 mm in mean diameter"
BTS = "BTS 2015, a change of 25 % or more in volume"
LATE = ", here over more than 12 months"
BY_PRESENCE = "present at one date only"
CATEGORY = "category of mild, moderate or severe"
NO_CATEGORY = "no category at one of the dates"
NO_LIMIT = "no repeatability limit for its size"
BY_CATEGORY = frozenset(
    {
        "pleural_effusion",
        "pericardial_effusion",
        "consolidation",
        "opacity",
        "ground_glass_opacity",
        "pneumothorax",
        "pulmonary_oedema",
        "atelectasis",
    }
)
_GRADES = tuple(Severity)
UNLIKE = "measured in different units or ways"
BACKWARDS = "the other study is not earlier"
AMBIGUOUS = "more than one may be the same"
DOUBTFUL = "uncertain at the earlier date"
UNTOLD = "neither seen nor excluded at the earlier date"
UNNAMED = "neither seen nor excluded at the later date"
GROUP = "a group of lesions, not one"
"""Why a finding is "not comparable": every comparison names what it rests on."""


@dataclass(frozen=True)
class Repeatability:
    """How much a nodule must differ to be larger or smaller.

    Args:
        criterion: guideline, version and limit, as the change names them.
        quantity: what is compared: the mean diameter in mm, or the volume.
        limit: mm of mean diameter, or the share of the earlier volume.
        reached: whether the limit itself already counts ("2 mm or more"), or only what exceeds it.
        months: interval that the guideline speaks of; a longer one is named with the criterion.
    """

    criterion: str
    quantity: Literal["diameter", "volume"]
    limit: float
    reached: bool = True
    months: int | None = None


RULES = {
    "fleischner": Repeatability(FLEISCHNER, "diameter", NODULE_MM),
    "lung-rads": Repeatability(LUNG_RADS, "diameter", 1.5, reached=False, months=12),
    "bts": Repeatability(BTS, "volume", 0.25),
}
"""Fleischner Society 2017 (growth: 2 mm), ACR Lung-RADS v2022 (growth: more than 1.5 mm of mean diameter
within 12 months) and BTS 2015 (growth: 25 % of volume), as later papers quote them. All three define
growth only; that the same limit makes a nodule smaller is the house's reading."""


def mean_diameter_mm(finding: Finding) -> tuple[float, Measurement] | None:
    """Mean of the stated axes in mm with its measurement; None where none is in mm or cm."""
    for measurement in finding.measurements:
        if measurement.quantity == "diameter" and measurement.unit in MM and _sound(measurement):
            return MM[measurement.unit] * sum(measurement.values) / len(measurement.values), measurement
    return None


def volume_ml(finding: Finding) -> tuple[float, Measurement] | None:
    """The stated volume in mL with its measurement; None where there is none."""
    for measurement in finding.measurements:
        if measurement.quantity == "volume" and measurement.unit == "mL" and _sound(measurement):
            return measurement.values[0], measurement
    return None


def _sound(measurement: Measurement) -> bool:
    """Whether the numbers can be sizes; what is not a number must not come out as "unchanged"."""
    return bool(measurement.values) and all(math.isfinite(v) and v >= 0 for v in measurement.values)


def covers(absent: Finding, finding: Finding) -> bool:
    """Whether an absence speaks of where ``finding`` is."""
    side, place = absent.laterality, absent.site
    return (
        absent.observation.key == finding.observation.key
        and (side in (None, Laterality.BILATERAL, finding.laterality))
        and (place is None or (finding.site is not None and within(finding.site.key, place.key)))
    )


def of(findings: Sequence[Finding], presence: Presence) -> list[Finding]:
    """Those of that presence that are said of the day itself, not of history, family or a question."""
    return [f for f in findings if f.presence is presence and f.temporality is Temporality.CURRENT]


@dataclass(frozen=True)
class Compared:
    """A lesion at two dates.

    Args:
        prior: the finding of the earlier date; None where none could be paired.
        current: that of the later date with its `Change`; None where the earlier one was not named.
        reason: why there is no `Change`, where there is none.
    """

    prior: Finding | None
    current: Finding | None
    reason: str | None = None


def compare(
    prior: Sequence[Finding],
    current: Sequence[Finding],
    *,
    prior_date: date | None,
    current_date: date | None = None,
    rule: Repeatability = RULES["fleischner"],
    transform: Transform | None = None,
    near_mm: float = NEAR_MM,
) -> tuple[Finding, ...]:
    """The current findings with their `Change`, then what has resolved.

    Args:
        prior, current: findings of one patient; of absent ones only those that say a thing is gone
            count, and uncertain ones are "not comparable". What is historical, hypothetical or of the
            family is not compared.
        prior_date: what the changes are dated against.
        rule: when a nodule is larger or smaller; one of `RULES` or the caller's own.
        transform: prior LPS mm -> current LPS mm, where the images were registered: boxes are then
            paired by distance (`pairing`). Without it boxes are not looked at.
        near_mm: how far apart the centres of one lesion may lie after registration.

    A finding that cannot be paired with certainty (two candidates, an uncertain or unmeasured one, or
    a prior that is not earlier) is "not comparable" and says why, never guessed. One that is paired
    takes the tracking UID of the earlier date: it is the same lesion.

    Raises:
        BadInput: the transform is none.
    """
    rows = compared(
        prior,
        current,
        prior_date=prior_date,
        current_date=current_date,
        rule=rule,
        transform=transform,
        near_mm=near_mm,
    )
    return tuple(row.current for row in rows if row.current is not None)


def compared(
    prior: Sequence[Finding],
    current: Sequence[Finding],
    *,
    prior_date: date | None,
    current_date: date | None = None,
    rule: Repeatability = RULES["fleischner"],
    transform: Transform | None = None,
    near_mm: float = NEAR_MM,
) -> tuple[Compared, ...]:
    """What `compare` says, lesion by lesion with the finding of the earlier date, and at the end what was
    seen then and is neither seen nor excluded now. Arguments and errors as there."""
    backwards = prior_date is not None and current_date is not None and prior_date > current_date
    seen, there = of(prior, Presence.PRESENT), of(current, Presence.PRESENT)
    before = [carried(f, transform) for f in seen]
    doubtful = [carried(f, transform) for f in of(prior, Presence.UNCERTAIN)]
    absent_before, absent = of(prior, Presence.ABSENT), of(current, Presence.ABSENT)
    pairing = pair(before, there, near_mm)
    rows: list[Compared] = []
    settled: set[int] = set()
    indices = iter(range(len(there)))
    for finding in current:
        if finding.presence is not Presence.PRESENT or finding.temporality is not Temporality.CURRENT:
            rows.append(Compared(None, finding))
            continue
        index = next(indices)
        unsure, earlier = index in pairing.unsure, None
        change = Change(ChangeKind.NOT_COMPARABLE, prior_date, UNTOLD)
        if backwards or unsure or any(may_be(f, finding, near_mm) for f in doubtful):
            reason = BACKWARDS if backwards else AMBIGUOUS if unsure else DOUBTFUL
            change = Change(ChangeKind.NOT_COMPARABLE, prior_date, reason)
        elif index in pairing.pairs:
            settled.add(pairing.pairs[index])
            earlier = seen[pairing.pairs[index]]
            change = changed(earlier, finding, prior_date, rule=rule, until=current_date)
        elif any(covers(f, finding) for f in absent_before):
            # Not named then would be no proof that it was not there; said to be absent is.
            change = Change(ChangeKind.NEW, prior_date, BY_PRESENCE)
        uid = earlier.tracking_uid if earlier is not None else None
        rows.append(
            Compared(earlier, replace(finding, change=change, tracking_uid=uid or finding.tracking_uid))
        )
    for j, finding in enumerate(seen):
        if not backwards and j not in pairing.spoken and any(covers(f, finding) for f in absent):
            rows.append(Compared(finding, gone(finding, prior_date)))
        elif j not in settled:
            reason = BACKWARDS if backwards else AMBIGUOUS if j in pairing.spoken else UNNAMED
            rows.append(Compared(finding, None, reason))
    return tuple(rows)


def gone(prior: Finding, since: date | None) -> Finding:
    """The earlier finding as a resolved one; nothing measured then is measured now."""
    before = next((m for m in prior.measurements if m.quantity == "diameter"), None)
    return replace(
        prior,
        presence=Presence.ABSENT,
        certainty=None,
        probability=None,
        domain=None,
        measurements=(),
        change=Change(ChangeKind.RESOLVED, since, BY_PRESENCE, before),
        actionable=None,
        evidence=None,
    )


def _ordinal(kind: float) -> ChangeKind:
    return ChangeKind.LARGER if kind > 0 else ChangeKind.SMALLER if kind < 0 else ChangeKind.STABLE


def changed(
    prior: Finding,
    current: Finding,
    since: date | None,
    *,
    rule: Repeatability = RULES["fleischner"],
    until: date | None = None,
) -> Change:
    """How one lesion changed from one date to another, by the rule for what it is."""
    diameter = mean_diameter_mm(prior)
    earlier = diameter[1] if diameter else None
    if current.observation.key in BY_CATEGORY:
        if prior.severity is None or current.severity is None:
            return Change(ChangeKind.NOT_COMPARABLE, since, NO_CATEGORY, earlier)
        steps = _GRADES.index(current.severity) - _GRADES.index(prior.severity)
        return Change(_ordinal(steps), since, CATEGORY, earlier)
    if max(prior.count or 1, current.count or 1) > 1:
        return Change(ChangeKind.NOT_COMPARABLE, since, GROUP, earlier)
    if "nodule" not in (prior.observation.key, current.observation.key) or not akin(prior, current):
        return Change(ChangeKind.NOT_COMPARABLE, since, NO_LIMIT, earlier)
    size = mean_diameter_mm if rule.quantity == "diameter" else volume_ml
    before, now = size(prior), size(current)
    earlier = before[1] if before else earlier
    if before is None or now is None or differently(before[1], now[1]):
        return Change(ChangeKind.NOT_COMPARABLE, since, UNLIKE, earlier)
    if rule.quantity == "volume" and before[0] == 0:
        return Change(ChangeKind.NOT_COMPARABLE, since, UNLIKE, earlier)
    difference = now[0] - before[0] if rule.quantity == "diameter" else now[0] / before[0] - 1
    criterion = rule.criterion + (LATE if _later(since, until, rule.months) else "")
    return Change(_ordinal(_beyond(difference, rule)), since, criterion, before[1])


def _beyond(difference: float, rule: Repeatability) -> float:
    """The difference where it counts, else 0. Rounded: a rule is about tenths of a millimetre, not
    about the last bit of a mean."""
    difference = round(difference, 6)
    counts = abs(difference) >= rule.limit if rule.reached else abs(difference) > rule.limit
    return difference if counts else 0.0


def _later(since: date | None, until: date | None, months: int | None) -> bool:
    """Whether more than that many calendar months lie between."""
    if since is None or until is None or months is None:
        return False
    year, month = divmod(since.year * 12 + since.month - 1 + months, 12)
    day = min(since.day, monthrange(year, month + 1)[1])
    return until > date(year, month + 1, day)


def differently(one: Measurement, other: Measurement) -> bool:
    """Whether two sizes were taken in ways whose difference is no growth."""
    return (
        one.spacing_source != other.spacing_source
        or one.plane != other.plane
        or one.method != other.method
        or len(one.values) != len(other.values)
    )

"""What changed between two dates, each statement naming the rule it rests on.

Only differences beyond a measurement's repeatability count: nodules by Fleischner's 2 mm (2017),
effusion and consolidation by category (mild, moderate, severe). What has no such rule is "not
comparable": both sizes are still stated. Lesions are matched by tracking UID, else by observation,
side and site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from sagittal.report.finding import Change, ChangeKind, Finding, Laterality, Measurement, Presence, Severity
from sagittal.report.vocabulary import within

NODULE_MM = 2.0
FLEISCHNER = "Fleischner 2017, a change of 2 mm or more in mean diameter"
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
"""Why a finding is "not comparable": every comparison names what it rests on."""


def mean_diameter_mm(finding: Finding) -> tuple[float, Measurement] | None:
    """Mean of the stated axes in mm with its measurement; None where none is in mm or cm."""
    for measurement in finding.measurements:
        if measurement.quantity == "diameter" and measurement.unit in ("mm", "cm") and measurement.values:
            scale = 10.0 if measurement.unit == "cm" else 1.0
            return scale * sum(measurement.values) / len(measurement.values), measurement
    return None


def matched(prior: Finding, current: Finding) -> bool:
    """Whether two findings of two dates look like the same lesion: same thing, side and site."""
    return (
        prior.observation.key == current.observation.key
        and prior.laterality == current.laterality
        and (prior.site is None or current.site is None or prior.site.key == current.site.key)
    )


def _tracked(prior: Finding, current: Finding) -> bool:
    same = prior.tracking_uid is not None and prior.tracking_uid == current.tracking_uid
    return same and prior.observation.key == current.observation.key


def _covers(absent: Finding, finding: Finding) -> bool:
    """Whether an absence speaks of where ``finding`` is."""
    side, place = absent.laterality, absent.site
    return (
        absent.observation.key == finding.observation.key
        and (side in (None, Laterality.BILATERAL, finding.laterality))
        and (place is None or (finding.site is not None and within(finding.site.key, place.key)))
    )


def _pairs(prior: Sequence[Finding], current: Sequence[Finding]) -> dict[int, list[int]]:
    """Index of each current finding -> indices of the prior ones it may be; tracking UIDs settle it."""
    found: dict[int, list[int]] = {}
    for i, now in enumerate(current):
        found[i] = [j for j, before in enumerate(prior) if _tracked(before, now)][:1]
    taken = {j for indices in found.values() for j in indices}
    for i, now in enumerate(current):
        if not found[i]:
            found[i] = [j for j, before in enumerate(prior) if j not in taken and matched(before, now)]
    return found


def compare(
    prior: Sequence[Finding],
    current: Sequence[Finding],
    *,
    prior_date: date | None,
    current_date: date | None = None,
) -> tuple[Finding, ...]:
    """The current findings with their `Change`, then what has resolved.

    Args:
        prior, current: findings of one patient; of absent ones only those that say a thing is gone
            count, and uncertain ones are "not comparable".
        prior_date: what the changes are dated against.

    A finding that cannot be paired with certainty (two candidates, an uncertain or unmeasured one, or
    a prior that is not earlier) is "not comparable" and says why, never guessed. One that is paired
    takes the tracking UID of the earlier date: it is the same lesion.
    """
    backwards = prior_date is not None and current_date is not None and prior_date > current_date
    before = [f for f in prior if f.presence is Presence.PRESENT]
    doubtful = [f for f in prior if f.presence is Presence.UNCERTAIN]
    absent_before = [f for f in prior if f.presence is Presence.ABSENT]
    there = [f for f in current if f.presence is Presence.PRESENT]
    pairs = iter(_pairs(before, there).values())
    wanted = Counter(j for indices in _pairs(before, there).values() for j in indices)
    out: list[Finding] = []
    for finding in current:
        if finding.presence is not Presence.PRESENT:
            out.append(finding)
            continue
        partners = next(pairs)
        unsure = len(partners) > 1 or any(wanted[j] > 1 for j in partners)
        uid = finding.tracking_uid
        change = Change(ChangeKind.NOT_COMPARABLE, prior_date, UNTOLD)
        if backwards or unsure or any(matched(f, finding) for f in doubtful):
            reason = BACKWARDS if backwards else AMBIGUOUS if unsure else DOUBTFUL
            change = Change(ChangeKind.NOT_COMPARABLE, prior_date, reason)
        elif partners:
            change = _changed(before[partners[0]], finding, prior_date)
            uid = before[partners[0]].tracking_uid or uid
        elif any(_covers(f, finding) for f in absent_before):
            # Not named then would be no proof that it was not there; said to be absent is.
            change = Change(ChangeKind.NEW, prior_date, BY_PRESENCE)
        out.append(replace(finding, change=change, tracking_uid=uid))
    absent = [f for f in current if f.presence is Presence.ABSENT]
    for j, finding in enumerate(before):
        if not backwards and not wanted[j] and any(_covers(f, finding) for f in absent):
            out.append(_gone(finding, prior_date))
    return tuple(out)


def _gone(prior: Finding, since: date | None) -> Finding:
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


def _changed(prior: Finding, current: Finding, since: date | None) -> Change:
    before, now = mean_diameter_mm(prior), mean_diameter_mm(current)
    earlier = before[1] if before else None
    key = current.observation.key
    if key in BY_CATEGORY:
        if prior.severity is None or current.severity is None:
            return Change(ChangeKind.NOT_COMPARABLE, since, NO_CATEGORY, earlier)
        steps = _GRADES.index(current.severity) - _GRADES.index(prior.severity)
        return Change(_ordinal(steps), since, CATEGORY, earlier)
    if key != "nodule":
        return Change(ChangeKind.NOT_COMPARABLE, since, NO_LIMIT, earlier)
    if before is None or now is None or _differently(before[1], now[1]):
        return Change(ChangeKind.NOT_COMPARABLE, since, UNLIKE, earlier)
    # Rounded: the rule is about whole millimetres, not about the last bit of a mean.
    difference = round(now[0] - before[0], 6)
    beyond = difference if abs(difference) >= NODULE_MM else 0.0
    return Change(_ordinal(beyond), since, FLEISCHNER, before[1])


def _differently(one: Measurement, other: Measurement) -> bool:
    """Whether two diameters were taken in ways whose difference is no growth."""
    return (
        one.spacing_source != other.spacing_source
        or one.plane != other.plane
        or one.method != other.method
        or len(one.values) != len(other.values)
    )

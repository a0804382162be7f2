"""RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009;45:228) over a ledger of all dates.

A patient-level sum, not a statement about one lesion: at most 5 targets, at most 2 an organ, the long
axis of 10 mm or more (lymph nodes: the short axis, 15 mm or more; 10 to 15 mm non-target; under 10 mm
normal). Partial response: 30 % or more under the baseline. Progression: 20 % or more *and* 5 mm or more
over the nadir, the smallest sum so far. Checked against copies of the guideline's tables 1 to 3 and the
EORTC's published clarifications; the article itself was not at hand.

What only a person can say is given, not guessed: whether non-target disease has unequivocally
progressed (with tumour markers, where they count), and which lesions are new. Fragments of one lesion
are to be entered as their sum, coalesced lesions as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from sagittal.errors import BadInput, Refused
from sagittal.report.burden import Burden, burden
from sagittal.report.compare import AMBIGUOUS
from sagittal.report.finding import Finding, Measurement, Presence
from sagittal.report.lesions import Ledger, Lesion, Role, assign, axes_mm

CRITERION = "RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009;45:228)"
TARGETS, TARGETS_AN_ORGAN = 5, 2
LONG_AXIS_MM, SHORT_AXIS_MM, NORMAL_NODE_MM = 10.0, 15.0, 10.0
RESPONSE, PROGRESSION, PROGRESSION_MM = 0.30, 0.20, 5.0
TOO_SMALL = ("size", "too small to measure")
"""Attribute of a lesion that is seen and cannot be measured: counted as 5 mm."""
TOO_SMALL_MM = 5.0
CONFIRMED_DAYS = 28
"""A response is confirmed by another at least 4 weeks later."""
ONLY_BASELINE = "the nadir is the baseline: no date lies between them"
CONTINUED = "a confirmed partial response continues until progression (EORTC clarification)"
MAY_BE_NEW = "may be new: a follow-up has to clarify it"
REAPPEARED = "disease seen after a complete response is progression"


class Response(StrEnum):
    """A category of tables 1 to 3. Of non-target disease NE means "not all evaluated"."""

    CR = "CR"
    PR = "PR"
    SD = "SD"
    PD = "PD"
    NON_CR_NON_PD = "non-CR/non-PD"
    NE = "NE"


_OF_TARGETS = (Response.CR, Response.PR, Response.SD, Response.PD, Response.NE)
_OF_NON_TARGETS = (Response.CR, Response.NON_CR_NON_PD, Response.PD, Response.NE)


@dataclass(frozen=True)
class Assessment:
    """The response at one date.

    Args:
        nadir: date of the smallest sum before this one; the earliest where several are.
        baseline_mm, nadir_mm, sum_mm: sums of diameters; None without target disease, ``sum_mm`` also
            where a target was not measured.
        target, non_target: None where there is no such disease.
        new: tracking UIDs of the new lesions so far.
        notes: what else the result rests on, or what it lacks.
    """

    day: date
    baseline: date
    nadir: date
    baseline_mm: float | None
    nadir_mm: float | None
    sum_mm: float | None
    target: Response | None
    non_target: Response | None
    new: tuple[str, ...]
    overall: Response
    notes: tuple[str, ...] = ()
    criterion: str = CRITERION

    @property
    def from_baseline(self) -> float | None:
        """Change of the sum since the baseline, as a share of it."""
        return _share(self.sum_mm, self.baseline_mm)

    @property
    def from_nadir(self) -> float | None:
        """Change of the sum since the nadir, as a share of it; None where the nadir is 0."""
        return _share(self.sum_mm, self.nadir_mm)


def _share(now: float | None, before: float | None) -> float | None:
    return None if now is None or not before else now / before - 1


def size_mm(lesion: Lesion, finding: Finding) -> tuple[float, Measurement | None] | None:
    """The diameter that counts: the short axis of a lymph node, else the long axis."""
    long, short, source = axes_mm(finding)
    counts = short if lesion.node else long
    if counts is not None and source is not None:
        return counts, source
    return (TOO_SMALL_MM, None) if TOO_SMALL in finding.attributes else None


def propose(ledger: Ledger, *, minimum_mm: float = LONG_AXIS_MM) -> Ledger:
    """Roles by size alone, for a person to confirm: the largest measurable lesion of every organ first,
    then the second of each, up to five targets; the rest of the baseline is non-target.

    Raises:
        Refused: no baseline was designated.
    """
    baseline = _baseline(ledger)
    sizes = {}
    for lesion in ledger.lesions:
        finding = lesion.on(baseline)
        sized = size_mm(lesion, finding) if finding is not None else None
        if sized and finding is not None and _measurable(lesion, finding, sized[0], minimum_mm):
            sizes[lesion.uid] = (sized[0], lesion.organ or "")
    ranked = sorted(sizes, key=lambda uid: (-sizes[uid][0], uid))
    place = {uid: [u for u in ranked if sizes[u][1] == sizes[uid][1]].index(uid) for uid in ranked}
    chosen = sorted((uid for uid in ranked if place[uid] < TARGETS_AN_ORGAN), key=lambda uid: place[uid])
    targets = set(chosen[:TARGETS])
    there = [lesion.uid for lesion in ledger.lesions if _present(lesion, baseline)]
    return assign(ledger, {uid: Role.TARGET if uid in targets else Role.NON_TARGET for uid in there})


def _present(lesion: Lesion, day: date) -> bool:
    finding = lesion.on(day)
    return finding is not None and finding.presence is Presence.PRESENT


def _measurable(lesion: Lesion, finding: Finding, mm: float, minimum_mm: float) -> bool:
    one = finding.presence is Presence.PRESENT and (finding.count or 1) == 1
    return one and mm >= (SHORT_AXIS_MM if lesion.node else minimum_mm)


def target_response(baseline_mm: float, nadir_mm: float, sum_mm: float, *, vanished: bool) -> Response:
    """The response of the target lesions from their sums.

    Args:
        vanished: all of them are gone (nodes: under 10 mm); their sum need not be 0.

    Raises:
        BadInput: the sums are none, or the nadir lies over the baseline.
    """
    if not 0 <= nadir_mm <= baseline_mm < float("inf") or not 0 <= sum_mm < float("inf") or not baseline_mm:
        raise BadInput(
            f"sums of {baseline_mm}, {nadir_mm}, {sum_mm} mm", "baseline over 0, nadir at most that"
        )
    if vanished:
        return Response.CR
    # Rounded: 0.7 times 100 is not 70 in binary, and a limit that is just reached counts.
    growth = round(sum_mm - nadir_mm, 6)
    if growth >= PROGRESSION_MM and growth >= round(PROGRESSION * nadir_mm, 6):
        return Response.PD
    if round(sum_mm, 6) <= round((1 - RESPONSE) * baseline_mm, 6):
        return Response.PR
    return Response.SD


def overall(target: Response | None, non_target: Response | None, *, new: bool) -> Response:
    """Tables 1 and 2: the response of the patient at one date.

    Args:
        target, non_target: None where the patient has no such disease.
        new: whether there are new lesions.

    Raises:
        BadInput: a category that the disease cannot have, or neither disease.
    """
    if target is None and non_target is None:
        raise BadInput("neither target nor non-target disease", "at least one of them")
    for given, possible in ((target, _OF_TARGETS), (non_target, _OF_NON_TARGETS)):
        if given is not None and given not in possible:
            raise BadInput(f"the response {given.value}", f"one of {', '.join(possible)}")
    if new or Response.PD in (target, non_target):
        return Response.PD
    if target is None:
        assert non_target is not None
        return non_target
    if target is Response.CR and non_target not in (None, Response.CR):
        return Response.PR
    return target


def assess(
    ledger: Ledger,
    non_target: Mapping[date, Response] | None = None,
    *,
    minimum_mm: float = LONG_AXIS_MM,
) -> tuple[Assessment, ...]:
    """The response at every date after the baseline, in order.

    Args:
        non_target: what the non-target disease did at each date, as a person stated it: CR,
            non-CR/non-PD, PD (unequivocal) or NE (not all evaluated).
        minimum_mm: long axis from which a lesion is measurable: 20 on chest radiographs, twice the
            thickness of slices over 5 mm.

    A target that was not measured makes a date not evaluable, unless those that were measured are
    already progression by themselves. A finding that may be one of several lesions leaves open whether
    it is new, so that only progression can then be stated; an uncertain one is noted (an equivocal new
    lesion is followed before it counts).

    Raises:
        Refused: there is no baseline, no later date, no role for a lesion, no size of a target at the
            baseline, or no statement on the non-target disease.
        BadInput: targets beyond the limits, or statements that the ledger contradicts.
    """
    baseline = _baseline(ledger)
    later = [day for day in ledger.days if day > baseline]
    if not later:
        raise Refused("RECIST 1.1 needs a date after the baseline", "a follow-up", f"only {baseline}")
    _check_roles(ledger, baseline)
    targets, rest = ledger.of(Role.TARGET), ledger.of(Role.NON_TARGET)
    _check_targets(targets, baseline, minimum_mm)
    stated = non_target or {}
    _check_stated(stated, rest, later)
    sums = [_sum(targets, day, baseline) for day in (baseline, *later)]
    if sums[0].total is None:
        raise Refused("RECIST 1.1 needs the size of every target at the baseline", "mm", sums[0].missing[0])
    done: list[Assessment] = []
    for number, day in enumerate(later, 1):
        done.append(_assess(ledger, day, sums[: number + 1], stated.get(day), done))
    return tuple(done)


def _sum(targets: Sequence[Lesion], day: date, baseline: date) -> Burden:
    return burden(targets, day, baseline, size_mm, normal_mm=NORMAL_NODE_MM)


def _assess(
    ledger: Ledger,
    day: date,
    sums: Sequence[Burden],
    non_target: Response | None,
    done: Sequence[Assessment],
) -> Assessment:
    """One date, from the sums up to it and the assessments before it."""
    whole = [(one.total, one.day) for one in sums[:-1] if one.total is not None]
    first, now = sums[0], sums[-1]
    low, nadir = min(whole)
    notes = [*now.missing]
    if nadir == first.day and len(sums) == 2:
        notes.append(ONLY_BASELINE)
    target = None
    if ledger.of(Role.TARGET):
        assert first.total is not None
        target = _target(first.total, low, now)
        if target is Response.SD and _confirmed(done):
            target = Response.PR
            notes.append(CONTINUED)
    new = tuple(lesion.uid for lesion in ledger.of(Role.NEW) if lesion.first <= day)
    result = overall(target, non_target, new=bool(new))
    unclear = [u for u in ledger.unclear if u.day == day]
    before = [a.overall for a in done if a.overall is not Response.NE]
    seen = target in (Response.PR, Response.SD) or non_target is Response.NON_CR_NON_PD
    if result is not Response.PD and seen and before[-1:] == [Response.CR]:
        result = Response.PD
        notes.append(REAPPEARED)
    for one in unclear:
        if one.reason == AMBIGUOUS and result is not Response.PD:
            result = Response.NE
        notes.append(f"{one.finding.observation.key} {MAY_BE_NEW} ({one.reason})")
    made = Assessment(day, first.day, nadir, None, None, None, target, non_target, new, result, tuple(notes))
    if target is None:
        return made
    return replace(made, baseline_mm=first.total, nadir_mm=low, sum_mm=now.total)


def _target(baseline_mm: float, nadir_mm: float, now: Burden) -> Response:
    if now.vanished:
        return Response.CR
    if now.total is not None:
        return target_response(baseline_mm, nadir_mm, now.total, vanished=False)
    # The targets not measured can only add to the sum: what is progression without them stays it.
    least = target_response(baseline_mm, nadir_mm, now.least, vanished=False)
    return Response.PD if least is Response.PD else Response.NE


def _confirmed(done: Sequence[Assessment]) -> bool:
    """Whether the targets have shown two partial responses four weeks apart and nothing worse since."""
    days: list[date] = []
    for one in done:
        if one.overall is Response.PD or one.target in (Response.PD, Response.SD):
            days = []
        elif one.target is Response.PR:
            days.append(one.day)
    return len(days) > 1 and (days[-1] - days[0]).days >= CONFIRMED_DAYS


def _baseline(ledger: Ledger) -> date:
    if ledger.baseline is None:
        raise Refused("RECIST 1.1 needs a designated baseline", "its date", "none: two dates cannot give it")
    return ledger.baseline


def _check_roles(ledger: Ledger, baseline: date) -> None:
    for lesion in ledger.of(Role.OPEN):
        what = f"{lesion.observation.key} {lesion.uid}, first named on {lesion.first}"
        if lesion.first > baseline:
            raise Refused(
                f"RECIST 1.1 needs to know whether a lesion is new: {what}, was not excluded before",
                "the role new or non-target",
                "neither",
            )
        raise Refused(f"RECIST 1.1 needs a role for every lesion: {what}", "target or non-target", "none")
    if not ledger.of(Role.TARGET) and not ledger.of(Role.NON_TARGET):
        raise Refused("RECIST 1.1 needs disease at the baseline", "a target or non-target lesion", "none")


def _check_targets(targets: Sequence[Lesion], baseline: date, minimum_mm: float) -> None:
    if len(targets) > TARGETS:
        raise BadInput(f"{len(targets)} target lesions", f"at most {TARGETS} (RECIST 1.1)")
    organs = [lesion.organ for lesion in targets]
    for organ in organs:
        if organs.count(organ) > TARGETS_AN_ORGAN:
            where = organ or "an organ that is not stated"
            raise BadInput(f"{organs.count(organ)} target lesions in {where}", f"at most {TARGETS_AN_ORGAN}")
    for lesion in targets:
        finding = lesion.on(baseline)
        sized = size_mm(lesion, finding) if finding is not None and _present(lesion, baseline) else None
        axis, least = ("short", SHORT_AXIS_MM) if lesion.node else ("long", minimum_mm)
        if finding is None or sized is None:
            raise Refused(
                f"RECIST 1.1 needs the {axis} axis of target {lesion.uid} at the baseline", "mm", "none"
            )
        if not _measurable(lesion, finding, sized[0], minimum_mm):
            got = f"{sized[0]:g} mm" if (finding.count or 1) == 1 else f"a group of {finding.count}"
            raise Refused(f"target {lesion.uid} is not measurable", f"{axis} axis of {least:g} mm", got)


def _check_stated(stated: Mapping[date, Response], rest: Sequence[Lesion], later: Sequence[date]) -> None:
    odd = sorted(set(stated) - set(later))
    if odd:
        raise BadInput(f"a statement on non-target disease of {odd[0]}", "a date after the baseline")
    if stated and not rest:
        raise BadInput("a statement on non-target disease, of which there is none", "no statement")
    for day in later if rest else ():
        if day not in stated:
            raise Refused(
                f"RECIST 1.1 needs a statement on the non-target disease of {day}",
                ", ".join(_OF_NON_TARGETS),
                "none",
            )
        if stated[day] is Response.CR:
            for lesion in rest:
                if _present(lesion, day) and not _normal(lesion, day):
                    raise BadInput(f"CR of non-target disease on {day}, where {lesion.uid} is present")


def _normal(lesion: Lesion, day: date) -> bool:
    """Whether it is a lymph node whose short axis is that of a normal one."""
    finding = lesion.on(day)
    short = axes_mm(finding)[1] if finding is not None else None
    return lesion.node and short is not None and short < NORMAL_NODE_MM

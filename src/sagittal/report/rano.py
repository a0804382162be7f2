"""RANO 2.0 for gliomas in adults (Wen et al., J Clin Oncol 2023;41:5187) over a ledger of all dates.

Enhancing disease by the sum of the products of two perpendicular diameters: progression is 25 % or more
over the smallest sum so far, partial response 50 % or more under the baseline, which is the MRI *after*
radiotherapy. Response needs confirmation; progression within 12 weeks after radiotherapy needs it too,
by a repeated MRI or by histology. Steroids and clinical state are part of every category, so nothing is
assessed without them, and images alone never tell progression from pseudoprogression: what is not yet
confirmed is "progression to be confirmed", what a later scan does not bear out is not given a name.

What each number rests on. From the article's abstract: the post-radiotherapy baseline, 12 weeks, repeat
MRI or histology, the two-dimensional measure, no confirmation after 12 weeks unless the treatment makes
pseudoprogression likely. From published code that implements it: 25 % and 50 %, a new measurable lesion,
a raised steroid dose alone being neither progression nor stable disease. RECALLED, NOT VERIFIED: at most
three targets, 10 x 10 mm, four weeks for both kinds of confirmation, that confirmation compares with the
same smallest sum, that clinical decline alone is not enough within 12 weeks (RANO 2010), no steroids for
CR and no more than at the baseline for PR, and what is said of steroids that were lowered.

Not covered: non-enhancing disease and minor response (IDH-mutant tumours, antiangiogenic treatment),
tumours assessed on both, and volumes. Assess these elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from sagittal.errors import BadInput, Refused
from sagittal.report.burden import Burden, burden
from sagittal.report.compare import AMBIGUOUS
from sagittal.report.finding import Finding, Measurement, Presence
from sagittal.report.lesions import Ledger, Lesion, Role, axes_mm

CRITERION = "RANO 2.0 (Wen et al., J Clin Oncol 2023;41:5187)"
TARGETS = 3
MEASURABLE_MM = 10.0
PROGRESSION, RESPONSE = 0.25, 0.50
RADIOTHERAPY_DAYS = 12 * 7
CONFIRMED_DAYS = 4 * 7
NEVER = "never"
"""Said of radiotherapy that was never given."""

GROWN = "25 % or more over the smallest sum"
CLINICAL = "clinically worse"
RECURRENCE = "recurrence in histology"
STEROIDS_RAISED = "steroids above the baseline's: neither stable nor progression, to be observed"
STEROIDS_LOWERED = "steroids were lowered since the smallest sum, which alone can raise enhancement"
EARLY = "within 12 weeks after radiotherapy: treatment effect and progression look alike"
NOT_BORNE_OUT = "the progression to be confirmed was not borne out"
SMALL = "every target is under 10 x 10 mm, where 25 % is within the scatter of measurement"


class Response(StrEnum):
    """The response at one date. What awaits a second scan says so."""

    CR = "CR"
    PR = "PR"
    SD = "SD"
    PD = "PD"
    NE = "NE"
    CR_UNCONFIRMED = "complete response to be confirmed"
    PR_UNCONFIRMED = "partial response to be confirmed"
    PD_UNCONFIRMED = "progression to be confirmed"


class Clinical(StrEnum):
    """Clinical state against the baseline; WORSE only where nothing but the tumour explains it."""

    IMPROVED = "improved"
    STABLE = "stable"
    WORSE = "worse"


class Rest(StrEnum):
    """Non-target and non-measurable disease, as a person stated it."""

    GONE = "gone"
    STABLE = "stable or better"
    WORSE = "unequivocally worse"
    NOT_EVALUATED = "not evaluated"


@dataclass(frozen=True)
class State:
    """What a person knows of one date beside the images.

    Args:
        clinical: against the baseline; of the baseline itself "stable".
        steroids_mg: dexamethasone-equivalent dose a day in mg; 0 for none or physiological replacement.
        rest: where there is non-target disease.
        recurrence: histology showed unequivocally recurrent tumour.
    """

    clinical: Clinical | None = None
    steroids_mg: float | None = None
    rest: Rest | None = None
    recurrence: bool = False


@dataclass(frozen=True)
class Assessment:
    """The response at one date.

    Args:
        baseline_mm2, smallest_mm2, sum_mm2: sums of products; ``sum_mm2`` None where a target was not
            measured.
        smallest: date of the smallest sum before this one.
        since: of a progression: the first date it was seen.
        why: what meets or hinders the category.
    """

    day: date
    baseline: date
    smallest: date
    baseline_mm2: float
    smallest_mm2: float
    sum_mm2: float | None
    response: Response
    since: date | None = None
    why: tuple[str, ...] = ()
    criterion: str = CRITERION


def product_mm2(lesion: Lesion, finding: Finding) -> tuple[float, Measurement | None] | None:
    """Product of the two perpendicular diameters; None where two are not stated."""
    long, short, source = axes_mm(finding)
    return None if long is None or short is None else (long * short, source)


def measurable(finding: Finding) -> bool:
    """Whether both diameters are 10 mm or more."""
    short = axes_mm(finding)[1]
    return finding.presence is Presence.PRESENT and short is not None and short >= MEASURABLE_MM


def assess(
    ledger: Ledger,
    states: Mapping[date, State],
    *,
    radiotherapy_end: date | Literal["never"] | None,
    confirm_progression: bool = False,
) -> tuple[Assessment, ...]:
    """The response at every date after the baseline, in order.

    Args:
        states: clinical state and steroids at the baseline and at every later date.
        radiotherapy_end: last day of the latest course; ``NEVER`` where there was none.
        confirm_progression: ask for confirmation at any time, as for treatments that are likely to
            cause pseudoprogression.

    Raises:
        Refused: the baseline, a later date, the end of radiotherapy, a clinical state, a steroid dose,
            a statement on non-target disease or a size at the baseline is missing; or the baseline is
            before the end of radiotherapy.
        BadInput: more targets than three, or a lesion without a role.
    """
    baseline, later = _days(ledger)
    if radiotherapy_end is None:
        raise Refused("RANO 2.0 needs the end of radiotherapy", "a date, or that there was none", "neither")
    if radiotherapy_end != NEVER and baseline < _day(radiotherapy_end):
        raise Refused(
            "the baseline of RANO 2.0 is the MRI after radiotherapy",
            f"one from {radiotherapy_end} on",
            str(baseline),
        )
    targets = _targets(ledger, baseline)
    for day in (baseline, *later):
        _check_state(states.get(day), day, bool(ledger.of(Role.NON_TARGET)) and day != baseline)
    sums = [burden(targets, day, baseline, product_mm2) for day in (baseline, *later)]
    if sums[0].total is None:
        raise Refused("RANO 2.0 needs both diameters of every target at the baseline", "mm", "none")
    done: list[Assessment] = []
    for number, day in enumerate(later, 1):
        early = radiotherapy_end != NEVER and (day - _day(radiotherapy_end)).days <= RADIOTHERAPY_DAYS
        doubt = early or confirm_progression
        done.append(_assess(ledger, states, sums[: number + 1], done, doubt=doubt, early=early))
    return tuple(done)


def _day(value: date | str) -> date:
    if not isinstance(value, date):
        raise BadInput(f"the end of radiotherapy {value!r}", f"a date or {NEVER!r}")
    return value


def _days(ledger: Ledger) -> tuple[date, list[date]]:
    if ledger.baseline is None:
        raise Refused("RANO 2.0 needs a designated baseline", "its date", "none: two dates cannot give it")
    later = [day for day in ledger.days if day > ledger.baseline]
    if not later:
        raise Refused("RANO 2.0 needs a date after the baseline", "a follow-up", f"only {ledger.baseline}")
    return ledger.baseline, later


def _targets(ledger: Ledger, baseline: date) -> tuple[Lesion, ...]:
    for lesion in ledger.of(Role.OPEN):
        raise Refused(
            f"RANO 2.0 needs a role for lesion {lesion.uid}, first named on {lesion.first}",
            "target, non-target or new",
            "none",
        )
    targets = ledger.of(Role.TARGET)
    if len(targets) > TARGETS:
        raise BadInput(f"{len(targets)} target lesions", f"at most {TARGETS} (RANO 2.0)")
    if not targets:
        raise Refused("RANO 2.0 by products needs measurable disease", "a target lesion", "none")
    for lesion in targets:
        finding = lesion.on(baseline)
        if finding is None or product_mm2(lesion, finding) is None:
            raise Refused(f"RANO 2.0 needs both diameters of {lesion.uid} at the baseline", "mm", "none")
        if not measurable(finding):
            raise Refused(f"target {lesion.uid} is not measurable", "10 x 10 mm", "less")
    return targets


def _check_state(state: State | None, day: date, has_rest: bool) -> None:
    if state is None or state.clinical is None:
        raise Refused(f"RANO 2.0 needs the clinical state of {day}", "improved, stable or worse", "none")
    if state.steroids_mg is None:
        raise Refused(f"RANO 2.0 needs the steroid dose of {day}", "mg a day, 0 for none", "none")
    if not 0 <= state.steroids_mg < float("inf"):
        raise BadInput(f"a steroid dose of {state.steroids_mg} mg on {day}", "0 or more")
    if has_rest and state.rest is None:
        raise Refused(
            f"RANO 2.0 needs a statement on the non-target disease of {day}", ", ".join(Rest), "none"
        )


def _assess(
    ledger: Ledger,
    states: Mapping[date, State],
    sums: Sequence[Burden],
    done: Sequence[Assessment],
    *,
    doubt: bool,
    early: bool,
) -> Assessment:
    """One date, from the sums up to it and the assessments before it."""
    first, now = sums[0], sums[-1]
    assert first.total is not None
    smallest, when = min((one.total, one.day) for one in sums[:-1] if one.total is not None)
    state = states[now.day]
    # What was not measured can only add to the sum.
    rose = now.least > smallest and round(now.least, 6) >= round((1 + PROGRESSION) * smallest, 6)
    small = not any(_measurable_on(lesion, now.day) for lesion in ledger.of(Role.TARGET))
    why = _worse(ledger, state, now.day, rose and not small)
    since = None
    if why:
        since = _since(now.day, done)
        if why == [GROWN] and _dose(state) < _dose(states[when]):
            doubt = True
            why.append(STEROIDS_LOWERED)
        response = Response.PD if not doubt or _sure(why, now.day, since, done) else Response.PD_UNCONFIRMED
        why += [EARLY] if early and response is Response.PD_UNCONFIRMED else []
    elif rose:
        response, why = Response.NE, [SMALL]
    else:
        response, why = _no_progression(ledger, state, states[first.day], first.total, now, done)
        before = [one.response for one in done if one.response is not Response.NE]
        if response is not Response.NE and before[-1:] == [Response.PD_UNCONFIRMED]:
            why.append(NOT_BORNE_OUT)
    unclear = any(u.day == now.day and u.reason == AMBIGUOUS for u in ledger.unclear)
    if unclear and response not in (Response.PD, Response.PD_UNCONFIRMED):
        response = Response.NE
        why.append(AMBIGUOUS)
    return Assessment(now.day, first.day, when, first.total, smallest, now.total, response, since, tuple(why))


def _dose(state: State) -> float:
    assert state.steroids_mg is not None, "checked before anything is assessed"
    return state.steroids_mg


def _measurable_on(lesion: Lesion, day: date) -> bool:
    """Whether it was measurable when it was last spoken of."""
    known = [entry.finding for entry in lesion.entries if entry.day <= day]
    return bool(known) and measurable(known[-1])


def _worse(ledger: Ledger, state: State, day: date, grown: bool) -> list[str]:
    """Everything that speaks for progression at that date."""
    found = [GROWN] if grown else []
    if any(_measurable_on(lesion, day) for lesion in ledger.of(Role.NEW)):
        found.append("a new measurable lesion")
    if state.rest is Rest.WORSE:
        found.append("non-target disease unequivocally worse")
    if state.clinical is Clinical.WORSE:
        found.append(CLINICAL)
    if state.recurrence:
        found.append(RECURRENCE)
    return found


def _since(day: date, done: Sequence[Assessment]) -> date:
    """When the progression of that date was first seen."""
    since = day
    for one in reversed(done):
        if one.response in (Response.PD, Response.PD_UNCONFIRMED):
            since = one.day
        elif one.response is not Response.NE:
            break
    return since


def _sure(why: Sequence[str], day: date, since: date, done: Sequence[Assessment]) -> bool:
    """Whether progression that needs confirmation has it: from histology, or on a later scan. Clinical
    decline alone never is."""
    known = any(one.response is Response.PD for one in done if one.day >= since)
    repeated = (day - since).days >= CONFIRMED_DAYS and list(why) != [CLINICAL]
    return RECURRENCE in why or known or repeated


def _no_progression(
    ledger: Ledger, state: State, first: State, baseline_mm2: float, now: Burden, done: Sequence[Assessment]
) -> tuple[Response, list[str]]:
    """CR, PR, SD or not evaluable, where nothing speaks for progression."""
    if now.total is None:
        return Response.NE, list(now.missing)
    if _dose(state) > _dose(first):
        return Response.NE, [STEROIDS_RAISED]
    if state.rest is Rest.NOT_EVALUATED:
        return Response.NE, ["non-target disease not evaluated"]
    new = [lesion for lesion in ledger.of(Role.NEW) if lesion.first <= now.day]
    why = ["a new lesion that is not measurable: to be followed"] if new else []
    rest_gone = not ledger.of(Role.NON_TARGET) or state.rest is Rest.GONE
    complete = now.vanished and rest_gone and not _dose(state) and not new
    partial = round(now.total, 6) <= round((1 - RESPONSE) * baseline_mm2, 6) and not new
    if now.vanished and not complete:
        why += ["steroids are still given"] if _dose(state) else []
        why += ["non-target disease is still there"] if not rest_gone else []
    if complete:
        sure = _held(done, now.day, {Response.CR, Response.CR_UNCONFIRMED})
        return Response.CR if sure else Response.CR_UNCONFIRMED, why
    if partial:
        sure = _held(done, now.day, set(_RESPONSES))
        return Response.PR if sure else Response.PR_UNCONFIRMED, why
    return Response.SD, why


_RESPONSES = (Response.CR, Response.CR_UNCONFIRMED, Response.PR, Response.PR_UNCONFIRMED)


def _held(done: Sequence[Assessment], day: date, responses: set[Response]) -> bool:
    """Whether the response was already there at least four weeks ago and has held since."""
    for one in reversed(done):
        if one.response is Response.NE:
            continue
        if one.response not in responses:
            return False
        if (day - one.day).days >= CONFIRMED_DAYS:
            return True
    return False

"""The lesion ledger: every lesion of one patient at every date, under one tracking UID.

Patient-level criteria (`recist`, `rano`) stand on it. It is built by pairing each date's findings with
what is known so far; what cannot be paired with certainty is kept apart as unclear, never guessed, and
a person settles it by giving both findings one tracking UID. Ledgers are written with `codec.dumps` and
read with ``codec.read_json(Ledger, path)``.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from itertools import pairwise

from sagittal.errors import BadInput, Refused
from sagittal.report.code import Concept
from sagittal.report.compare import AMBIGUOUS, DOUBTFUL, RULES, Repeatability, changed, covers, gone, of
from sagittal.report.finding import MM, ChangeKind, Finding, Measurement, Presence
from sagittal.report.pairing import NEAR_MM, Transform, carried, may_be, pair
from sagittal.report.vocabulary import site

LESIONS = frozenset(
    {
        "nodule",
        "mass",
        "lymphadenopathy",
        "intra_axial_mass",
        "extra_axial_mass",
        "contrast_enhancement",
        "metastasis",
        "glioma",
    }
)
"""Observations that a ledger follows unless it is told otherwise."""

NODES = frozenset({"lymphadenopathy"})
"""Observations that are lymph nodes: their short axis is what counts."""

# fmt: off
ORGANS = frozenset({
    "adrenal", "adrenal_gland", "aorta", "bladder", "bone", "bowel", "brain", "breast", "colon",
    "gallbladder", "heart", "kidney", "liver", "lung", "mediastinum", "meninges", "muscle",
    "oesophagus", "ovary", "pancreas", "pericardium", "peritoneum", "pleura", "prostate", "skin",
    "small_bowel", "spleen", "stomach", "thyroid", "uterus",
})
# fmt: on
"""Sites at which the way up the part-of tree ends: an upper lobe is lung. A paired organ is one organ
(EORTC RECIST clarifications)."""


class Role(StrEnum):
    """What a lesion is to the patient-level criteria.

    OPEN: no role yet. A lesion first named after the baseline stays open, too, unless it was said to be
    absent before or is called new: not to be named is no proof that it was not there.
    """

    TARGET = "target"
    NON_TARGET = "non-target"
    NEW = "new"
    OPEN = "open"


@dataclass(frozen=True)
class Entry:
    """A lesion at one date: the finding as stated then, with its change since it was last seen."""

    day: date
    finding: Finding


@dataclass(frozen=True)
class Lesion:
    """One lesion through time.

    Args:
        uid: the tracking UID that it keeps.
        organ: what the limit of targets an organ counts; None where no site is stated.
        entries: by date; a date without an entry is one on which it was not named.
    """

    uid: str
    observation: Concept
    role: Role
    organ: str | None
    entries: tuple[Entry, ...]

    @property
    def node(self) -> bool:
        return self.observation.key in NODES

    @property
    def first(self) -> date:
        return self.entries[0].day

    def on(self, day: date) -> Finding | None:
        """What was stated of it that day; None where it was not named."""
        return next((entry.finding for entry in self.entries if entry.day == day), None)


@dataclass(frozen=True)
class Unclear:
    """A finding that is no entry: which lesion it is, or whether it is one, is not certain."""

    day: date
    finding: Finding
    reason: str


@dataclass(frozen=True)
class Ledger:
    """All lesions of one patient.

    Args:
        days: every date examined, in order, with or without a lesion.
        baseline: the date that the criteria are measured from; None where none was designated.
    """

    patient: str
    days: tuple[date, ...]
    baseline: date | None
    lesions: tuple[Lesion, ...]
    unclear: tuple[Unclear, ...] = ()

    def __post_init__(self) -> None:
        if any(one >= other for one, other in pairwise(self.days)):
            raise ValueError("the days of a ledger must rise")
        if self.baseline is not None and self.baseline not in self.days:
            raise ValueError(f"the baseline {self.baseline} is no day of the ledger")
        uids = [lesion.uid for lesion in self.lesions]
        if len(set(uids)) < len(uids):
            raise ValueError("two lesions of a ledger have one tracking UID")
        if any(not lesion.entries for lesion in self.lesions):
            raise ValueError("a lesion of a ledger must have an entry")
        for lesion in self.of(Role.NEW):
            if self.baseline is None or lesion.first <= self.baseline:
                raise ValueError(f"lesion {lesion.uid} is not of after the baseline, so it cannot be new")

    def of(self, role: Role) -> tuple[Lesion, ...]:
        """The lesions of that role."""
        return tuple(lesion for lesion in self.lesions if lesion.role is role)


def build(
    patient: str,
    visits: Sequence[tuple[date | None, Sequence[Finding]]],
    *,
    baseline: date | None = None,
    registrations: Sequence[Transform | None] = (),
    lesions: Collection[str] = LESIONS,
    rule: Repeatability = RULES["fleischner"],
    near_mm: float = NEAR_MM,
) -> Ledger:
    """The ledger of a patient's findings, date by date.

    Args:
        visits: date and findings of each examination, in order of date, each date once.
        baseline: the date that is the baseline of the criteria.
        registrations: for each visit after the first, the transform from the visit before (LPS mm), or
            None where there is none; empty: nothing was registered.
        lesions: keys of the observations to follow.
        rule: what makes a nodule larger or smaller.

    Raises:
        Refused: a visit has no date.
        BadInput: the dates do not rise, the baseline is none of them, or the transforms are not one
            fewer than the visits.
    """
    days = [day for day, _ in visits if day is not None]
    if len(days) < len(visits):
        raise Refused("a lesion ledger needs the date of every study", "a date", "a study without one")
    if any(one >= other for one, other in pairwise(days)):
        raise BadInput("the visits of a lesion ledger", "each date once, in order")
    if baseline is not None and baseline not in days:
        raise BadInput(f"the baseline {baseline} is no date of the visits", ", ".join(map(str, days)))
    if registrations and len(registrations) != len(visits) - 1:
        raise BadInput(f"{len(registrations)} transforms for {len(visits)} visits", "one between each two")
    moves = registrations or [None] * (len(visits) - 1)
    book = _Book(patient, baseline, frozenset(lesions), rule, near_mm)
    for day, (_, findings), move in zip(days, visits, [None, *moves], strict=True):
        book.enter(day, findings, move)
    kept = tuple(Lesion(o.uid, o.concept, o.role, o.organ, tuple(o.entries)) for o in book.open)
    return Ledger(patient, tuple(days), baseline, kept, tuple(book.unclear))


@dataclass
class _Open:
    """A lesion while the ledger is written; ``latest`` in the coordinates of the current date."""

    uid: str
    concept: Concept
    role: Role
    organ: str | None
    latest: Finding
    seen: date
    entries: list[Entry]


class _Book:
    """The ledger while it is written."""

    def __init__(
        self,
        patient: str,
        baseline: date | None,
        keys: frozenset[str],
        rule: Repeatability,
        near_mm: float,
    ) -> None:
        self.patient, self.baseline, self.keys = patient, baseline, keys
        self.rule, self.near_mm = rule, near_mm
        self.open: list[_Open] = []
        self.unclear: list[Unclear] = []
        self.absent: list[Finding] = []

    def enter(self, day: date, findings: Sequence[Finding], move: Transform | None) -> None:
        """Enter one date, whose coordinates ``move`` leads to from the date before."""
        for lesion in self.open:
            lesion.latest = carried(lesion.latest, move)
        known = list(self.open)
        spoken = self._there(day, [f for f in of(findings, Presence.PRESENT) if self._follows(f)], known)
        rest = [lesion for lesion in known if lesion.uid not in spoken]
        spoken |= self._doubtful(day, [f for f in of(findings, Presence.UNCERTAIN) if self._follows(f)], rest)
        absent = [f for f in of(findings, Presence.ABSENT) if self._follows(f)]
        for lesion in known:
            if lesion.uid not in spoken and any(covers(f, lesion.latest) for f in absent):
                lesion.entries.append(Entry(day, gone(lesion.latest, lesion.seen)))
        self.absent += absent

    def _follows(self, finding: Finding) -> bool:
        return finding.observation.key in self.keys

    def _there(self, day: date, found: Sequence[Finding], known: Sequence[_Open]) -> set[str]:
        """Enter what is seen; the UIDs of the lesions that it is or may be."""
        pairing = pair([lesion.latest for lesion in known], found, self.near_mm)
        for i, finding in enumerate(found):
            if i in pairing.unsure:
                self.unclear.append(Unclear(day, finding, AMBIGUOUS))
            elif i in pairing.pairs:
                lesion = known[pairing.pairs[i]]
                change = changed(lesion.latest, finding, lesion.seen, rule=self.rule, until=day)
                self._write(lesion, day, replace(finding, change=change, tracking_uid=lesion.uid))
            else:
                self._begin(day, finding)
        return {known[j].uid for j in pairing.spoken}

    def _doubtful(self, day: date, found: Sequence[Finding], rest: Sequence[_Open]) -> set[str]:
        """Enter what may be there; whatever else it could be is unclear."""
        pairing = pair([lesion.latest for lesion in rest], found, self.near_mm)
        for i, finding in enumerate(found):
            if i in pairing.pairs:
                lesion = rest[pairing.pairs[i]]
                lesion.entries.append(Entry(day, replace(finding, tracking_uid=lesion.uid)))
            else:
                self.unclear.append(Unclear(day, finding, DOUBTFUL))
        return {rest[j].uid for j in pairing.spoken}

    def _write(self, lesion: _Open, day: date, finding: Finding) -> None:
        lesion.entries.append(Entry(day, finding))
        lesion.latest, lesion.seen = finding, day
        lesion.organ = lesion.organ or organ(finding)

    def _begin(self, day: date, finding: Finding) -> None:
        uid, used = finding.tracking_uid, {lesion.uid for lesion in self.open}
        if uid is None or uid in used:
            uid = _fresh(f"{self.patient}/{day.isoformat()}/{len(self.open)}")
        finding = replace(finding, tracking_uid=uid)
        role = Role.NEW if self._is_new(day, finding) else Role.OPEN
        lesion = _Open(uid, finding.observation, role, organ(finding), finding, day, [Entry(day, finding)])
        self.open.append(lesion)

    def _is_new(self, day: date, finding: Finding) -> bool:
        """Whether a lesion first named after the baseline was not there before: somebody says so."""
        if self.baseline is None or day <= self.baseline:
            return False
        # Their boxes are in the coordinates of another date, so place alone speaks.
        if any(u.day < day and may_be(carried(u.finding, None), finding) for u in self.unclear):
            return False
        called = finding.change is not None and finding.change.kind is ChangeKind.NEW
        return called or any(covers(f, finding) for f in self.absent)


def _fresh(name: str) -> str:
    """A UID that is the same each time the ledger is built (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, 'sagittal lesion ' + name).int}"


def assign(ledger: Ledger, roles: Mapping[str, Role]) -> Ledger:
    """The ledger with those lesions (by tracking UID) given a role.

    Raises:
        BadInput: no lesion has that UID, or one of the baseline is to be new.
    """
    unknown = sorted(set(roles) - {lesion.uid for lesion in ledger.lesions})
    if unknown:
        raise BadInput(f"no lesion of the ledger has the tracking UID {unknown[0]}")
    lesions = tuple(replace(one, role=roles.get(one.uid, one.role)) for one in ledger.lesions)
    try:
        return replace(ledger, lesions=lesions)
    except ValueError as error:
        raise BadInput(str(error)) from None


def organ(finding: Finding) -> str | None:
    """The organ that a lesion counts to: all lymph nodes are one, both lungs are one (EORTC RECIST
    clarifications). None where no site is stated; never guessed from what the lesion is."""
    if finding.observation.key in NODES:
        return "lymph_nodes"
    key = finding.site.key if finding.site is not None else None
    top = key
    while key is not None:
        if key in ORGANS:
            return key
        top, key = key, site(key).part_of
    return top


def axes_mm(finding: Finding) -> tuple[float | None, float | None, Measurement | None]:
    """Long and short axis in mm, and the measurement that the long one is from.

    "diameter" has one to three values; the short axis is known from two of them (from three it is not:
    which of them lie in one plane is not said), or from "long axis" and "short axis". None where it is
    not stated in mm or cm, is no number, or is not above 0.
    """
    long = short = None
    source = None
    for measurement in finding.measurements:
        scale = MM.get(measurement.unit)
        values = measurement.values
        if scale is None or not values or not all(math.isfinite(v) and v > 0 for v in values):
            continue
        if measurement.quantity == "diameter" and long is None:
            long, source = scale * max(values), measurement
            short = scale * min(values) if len(values) == 2 else short
        elif measurement.quantity == "long axis" and long is None:
            long, source = scale * values[0], measurement
        elif measurement.quantity == "short axis" and short is None:
            short, source = scale * values[0], source or measurement
    return long, short, source

"""What of a report is scored: its statements, and the facets in which two of them can agree.

Findings are first brought to a normal form, so that saying the same in other words scores the same:

- Only what is said of now counts; history, questions, family and "not assessed" are left out.
- A statement is *affirmed* (present or uncertain), *gone* (resolved) or *denied* (absent).
- "Bilateral" is a statement for the right and one for the left. Where the vocabulary expects no side
  (pulmonary oedema, emphysema), "bilateral" and "midline" say nothing.
- A site that holds every usual site of the observation says nothing (an effusion "in the pleural
  space", a large heart "of the heart").
- The size is the longest length in mm; distances, areas, volumes and ratios are not sizes.
- A statement that says no more than another of the same report is a repetition and counts once, unless
  both carry tracking UIDs that differ. A count ("three nodules") is one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from sagittal.errors import BadInput
from sagittal.report.finding import (
    MM,
    ChangeKind,
    Finding,
    Laterality,
    Presence,
    Severity,
    Temporality,
)
from sagittal.report.stated import stated
from sagittal.report.vocabulary import observation, within

SIZE_MM, SIZE_SHARE = 2.0, 0.2
"""Two sizes agree within 2 mm or 20 % of the reference's, whichever is more. 2 mm is what two readers of
a nodule differ by (Fleischner 2017); the share, for large lesions, is our own choice."""

PART_OF = 0.5
"""Credit of a site that holds the other one ("right lung" for "right upper lobe"), either way round."""

MAX_ALIKE = 200
"""Most different statements of one observation in one report."""

_NO_SIZE = frozenset({"distance"})


@dataclass(frozen=True)
class Statement:
    """A finding as it is scored; ``half`` marks one side of a bilateral finding."""

    finding: Finding
    key: str
    presence: Presence
    side: Laterality | None
    site: str | None
    size_mm: float | None
    severity: Severity | None
    change: ChangeKind | None
    half: bool = False

    @property
    def critical(self) -> bool:
        """Whether it is present and of actionable category 1 or 2 (minutes, hours)."""
        category = self.finding.actionable or observation(self.key).actionable
        return self.presence is Presence.PRESENT and category in (1, 2)


@dataclass(frozen=True)
class Statements:
    """The statements of one report."""

    affirmed: tuple[Statement, ...] = ()
    gone: tuple[Statement, ...] = ()
    denied: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Facet:
    """One thing a statement may say.

    Args:
        says: whether a statement says it at all.
        credit: (candidate, reference), both saying it -> 0 (no), 1 (agree), or part of it.
    """

    name: str
    about: str
    says: Callable[[Statement], bool]
    credit: Callable[[Statement, Statement], float]


def _site_credit(candidate: Statement, reference: Statement) -> float:
    a, b = candidate.site, reference.site
    if a is None or b is None:
        return 0.0
    return 1.0 if a == b else PART_OF if within(a, b) or within(b, a) else 0.0


def _size_credit(candidate: Statement, reference: Statement) -> float:
    a, b = candidate.size_mm, reference.size_mm
    if a is None or b is None:
        return 0.0
    # A hair of slack, so that 2 mm written in cm is not more than 2 mm.
    return float(abs(a - b) <= max(SIZE_MM, SIZE_SHARE * b) + 1e-9)


FACETS = (
    Facet("observation", "what is there, surely or not", lambda s: True, lambda c, r: 1.0),
    Facet("presence", "and said as surely", lambda s: True, lambda c, r: float(c.presence is r.presence)),
    Facet("laterality", "the side", lambda s: s.side is not None, lambda c, r: float(c.side is r.side)),
    Facet("site", f"the place; {PART_OF} where one holds the other", lambda s: bool(s.site), _site_credit),
    Facet("size", "the longest length", lambda s: s.size_mm is not None, _size_credit),
    Facet("severity", "the grade", lambda s: bool(s.severity), lambda c, r: float(c.severity is r.severity)),
    Facet("change", "new, larger ...", lambda s: bool(s.change), lambda c, r: float(c.change is r.change)),
)
"""In the order of the counts."""


@cache
def _unsaid(key: str, place: str) -> bool:
    """Whether the place goes without saying."""
    usual = observation(key).sites
    return bool(usual) and all(within(site, place) for site in usual)


@cache
def _sideless(key: str) -> bool:
    return observation(key).laterality != "sided"


def _size_mm(finding: Finding) -> float | None:
    lengths = [
        value * MM[m.unit]
        for m in finding.measurements
        if m.unit in MM and m.quantity not in _NO_SIZE
        for value in m.values
    ]
    return round(max(lengths), 3) if lengths else None


def _statement(finding: Finding) -> Statement:
    try:
        said = stated(finding)
    except KeyError as error:
        raise BadInput(
            f"{error.args[0]!r} is not of the vocabulary", "observations and sites by key"
        ) from None
    key, side = said.observation.key, said.laterality
    place = said.site.key if said.site is not None else None
    if side in (Laterality.BILATERAL, Laterality.MIDLINE) and _sideless(key):
        side = None
    change = said.change.kind if said.change is not None else None
    return Statement(
        finding,
        key,
        said.presence,
        side,
        None if place is None or _unsaid(key, place) else place,
        _size_mm(said),
        said.severity,
        None if change is ChangeKind.NOT_COMPARABLE else change,
    )


def _halves(statement: Statement) -> tuple[Statement, ...]:
    if statement.side is not Laterality.BILATERAL:
        return (statement,)
    sides = (Laterality.RIGHT, Laterality.LEFT)
    return tuple(replace(statement, side=side, half=True) for side in sides)


def _identity(s: Statement) -> tuple[object, ...]:
    return s.key, s.presence, s.side, s.site, s.size_mm, s.severity, s.change, s.finding.tracking_uid


def _repeats(one: Statement, other: Statement) -> bool:
    """Whether ``one`` says nothing that ``other`` does not say as well."""
    mine, theirs = one.finding.tracking_uid, other.finding.tracking_uid
    return (
        (mine is None or theirs is None or mine == theirs)
        and (one.presence is other.presence or other.presence is Presence.PRESENT)
        and one.side in (None, other.side)
        and (one.site is None or (other.site is not None and within(other.site, one.site)))
        and one.size_mm in (None, other.size_mm)
        and one.severity in (None, other.severity)
        and one.change in (None, other.change)
    )


def _distinct(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """Without repetitions, in order."""
    by_key: dict[str, dict[tuple[object, ...], Statement]] = {}
    for statement in statements:
        by_key.setdefault(statement.key, {}).setdefault(_identity(statement), statement)
    kept: list[Statement] = []
    for key, group in by_key.items():
        if len(group) > MAX_ALIKE:
            raise BadInput(
                f"{len(group)} different statements of {key}", f"at most {MAX_ALIKE} in one report"
            )
        alike = list(group.values())
        kept += (one for one in alike if not any(_superfluous(one, other) for other in alike))
    return tuple(kept)


def _superfluous(one: Statement, other: Statement) -> bool:
    """Whether ``one`` repeats ``other``; of two that repeat each other the tracked one stays."""
    if one is other or not _repeats(one, other):
        return False
    return not _repeats(other, one) or one.finding.tracking_uid is None


def statements(findings: Sequence[Finding]) -> Statements:
    """The statements of a report's findings.

    Raises:
        BadInput: a finding is not of the vocabulary, or there are too many of one observation.
    """
    now = [
        _statement(f)
        for f in findings
        if f.temporality is Temporality.CURRENT and f.presence is not Presence.NOT_ASSESSED
    ]
    gone = [s for s in now if s.presence is Presence.ABSENT and s.change is ChangeKind.RESOLVED]
    return Statements(
        _distinct(half for s in now if s.presence is not Presence.ABSENT for half in _halves(s)),
        _distinct(half for s in gone for half in _halves(s)),
        tuple(s for s in now if s.presence is Presence.ABSENT),
    )


def denies(denial: Statement, statement: Statement) -> bool:
    """Whether a denial speaks of where the statement says something is."""
    return (
        denial.key == statement.key
        and denial.side in (None, Laterality.BILATERAL, statement.side)
        and (denial.site is None or (statement.site is not None and within(statement.site, denial.site)))
    )

"""Which statement of a candidate is which of the reference, and how they compare.

Statements are paired within one observation and one class (affirmed, or gone), never across. As many
as possible are paired, each once; among all such pairings the one is taken in which most sides agree,
then most sites, sizes, presences, grades and changes, then fewest sides contradict. Where that leaves a
choice, what the statements say decides and not where they stand, so nothing depends on their order. One
addition: a statement without a side ("effusions") may
answer both halves of a bilateral one, and then counts twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sagittal.report.facets import FACETS, Facet, Statement, Statements, denies
from sagittal.report.finding import Presence

Floats = NDArray[np.float64]
_BY_NAME = {facet.name: facet for facet in FACETS}
_FIRST = tuple(_BY_NAME[n] for n in ("laterality", "site", "size", "presence", "severity", "change"))
_EXACT = 2.0**53
"""Floating point counts exactly up to here, which is enough for 29 statements of one observation; the
ranking of facets is approximate where there are more."""


@dataclass(frozen=True)
class Pair:
    """A candidate's statement and the reference's that it answers; ``differs``: facets that both state
    and in which they do not agree in full."""

    candidate: Statement
    reference: Statement
    differs: tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """Two reports side by side.

    Args:
        pairs: affirmed statements that answer each other.
        missed: affirmed in the reference only; extra: affirmed in the candidate only.
        denied: those of ``missed`` that the candidate says are absent.
        contradicted: those of ``extra`` that the reference says are absent.
        counts: observation -> (facets, 4): candidate stated, credited; reference stated, credited.
        critical: affirmed critical statements of the reference.
        present: statements of the candidate that something is present.
    """

    pairs: tuple[Pair, ...]
    missed: tuple[Statement, ...]
    extra: tuple[Statement, ...]
    denied: tuple[Statement, ...]
    contradicted: tuple[Statement, ...]
    counts: dict[str, Floats]
    critical: int
    present: int

    @property
    def missed_critical(self) -> tuple[Statement, ...]:
        return tuple(s for s in self.missed if s.critical)

    @property
    def unsupported(self) -> tuple[Statement, ...]:
        """Hallucinations: said to be present, and not affirmed in the reference."""
        return tuple(s for s in self.extra if s.presence is Presence.PRESENT)


def _credit(facet: Facet, candidate: Statement, reference: Statement) -> float:
    both = facet.says(candidate) and facet.says(reference)
    return facet.credit(candidate, reference) if both else 0.0


def _contradict(candidate: Statement, reference: Statement) -> bool:
    sides = (candidate.side, reference.side)
    return None not in sides and sides[0] is not sides[1]


@dataclass(frozen=True)
class _Placed:
    """A statement in an assignment; ``again``: its second use, by a half of a bilateral one only."""

    said: Statement
    again: bool = False


def _placed(mine: Sequence[Statement], others: Sequence[Statement]) -> list[_Placed]:
    halves = any(other.half for other in others)
    twice = [_Placed(s, again=True) for s in mine if halves and s.side is None]
    return [*map(_Placed, mine), *twice]


def _worth(candidate: _Placed, reference: _Placed, base: float) -> float:
    """What pairing the two is worth; 0 where they may not be paired."""
    c, r = candidate.said, reference.said
    if (candidate.again and not r.half) or (reference.again and not c.half):
        return 0.0
    # Digits of one number, so that no amount of a later one outweighs an earlier; half credits count.
    # First come statements answered, where a second use answers only the other one; then first uses.
    first = not (candidate.again or reference.again)
    worth = (1 + first) * base + first
    for facet in _FIRST:
        worth = worth * base + 2 * _credit(facet, c, r)
    return worth * base + (not _contradict(c, r))


def _assigned(candidates: Sequence[_Placed], references: Sequence[_Placed]) -> list[tuple[_Placed, _Placed]]:
    if len(candidates) == len(references) == 1:
        return [(candidates[0], references[0])]
    most = min(len(candidates), len(references))
    base = min(2.0 * most + 1, (_EXACT / max(most, 1)) ** (1 / (len(_FIRST) + 3)))
    worth = np.array([[_worth(c, r, base) for r in references] for c in candidates])
    worth = worth.reshape(len(candidates), len(references))
    rows, columns = linear_sum_assignment(worth, maximize=True)
    chosen = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(candidates[i], references[j]) for i, j in chosen if worth[i, j] > 0]


def _compared(
    candidates: Sequence[Statement], references: Sequence[Statement], only: frozenset[str]
) -> tuple[list[tuple[Statement, Statement]], Floats]:
    """Pairs of statements of one observation, and its counts (facets, 4); ``only``: these facets."""
    placed = _assigned(_placed(candidates, references), _placed(references, candidates))
    ours = [*candidates, *(c.said for c, _ in placed if c.again)]
    theirs = [*references, *(r.said for _, r in placed if r.again)]
    pairs = [(c.said, r.said) for c, r in placed]
    counts = np.zeros((len(FACETS), 4))
    for row, facet in zip(counts, FACETS, strict=True):
        if not only or facet.name in only:
            credit = sum(_credit(facet, c, r) for c, r in pairs)
            row[:] = sum(map(facet.says, ours)), credit, sum(map(facet.says, theirs)), credit
    return pairs, counts


def _content(s: Statement) -> str:
    """What a statement says, for sorting."""
    said = (s.side, s.site, s.size_mm, s.presence, s.severity, s.change, s.half, s.critical)
    return repr((*said, s.finding.tracking_uid))


def _grouped(statements: Sequence[Statement]) -> dict[str, list[Statement]]:
    groups: dict[str, list[Statement]] = {}
    # In an order of content: pairings of equal worth may leave different statements over.
    for statement in sorted(statements, key=_content):
        groups.setdefault(statement.key, []).append(statement)
    return groups


def _differs(candidate: Statement, reference: Statement) -> tuple[str, ...]:
    return tuple(
        f.name
        for f in FACETS
        if f.says(candidate) and f.says(reference) and f.credit(candidate, reference) < 1.0
    )


def match(candidate: Statements, reference: Statements) -> Match:
    """Pair the statements of two reports and count, per observation and facet."""
    counts: dict[str, Floats] = {}
    pairs: list[tuple[Statement, Statement]] = []
    sides = (
        (candidate.affirmed, reference.affirmed, frozenset[str]()),
        (candidate.gone, reference.gone, frozenset({"change"})),
    )
    for mine, theirs, only in sides:
        ours, others = _grouped(mine), _grouped(theirs)
        for key in dict.fromkeys((*ours, *others)):
            a, b = ours.get(key, []), others.get(key, [])
            found, table = _compared(a, b, only)
            counts[key] = counts.get(key, 0.0) + table
            if not only:
                pairs += found
    answered = {id(s) for pair in pairs for s in pair}
    missed = tuple(s for s in reference.affirmed if id(s) not in answered)
    extra = tuple(s for s in candidate.affirmed if id(s) not in answered)
    return Match(
        tuple(Pair(c, r, _differs(c, r)) for c, r in pairs),
        missed,
        extra,
        tuple(s for s in missed if any(denies(d, s) for d in candidate.denied)),
        tuple(s for s in extra if any(denies(d, s) for d in reference.denied)),
        counts,
        sum(s.critical for s in reference.affirmed),
        sum(s.presence is Presence.PRESENT for s in candidate.affirmed),
    )

"""One sentence at a time: the observations and places it names, and the findings it states.

What a sentence says depends on its words, its section, the language and the region of the body that
the report is about, and on nothing else; reports repeat their sentences, so both steps are kept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from sagittal.report import sizes
from sagittal.report.attach import Clause, Marks, attach, gathered, near
from sagittal.report.finding import MM, Change, ChangeKind, Finding, Measurement, Presence
from sagittal.report.language import Language
from sagittal.report.lexicon import Hit, find_observations, find_sites, tokens, votes
from sagittal.report.memory import remembered
from sagittal.report.scope import assertion, normal
from sagittal.report.segment import Piece, clauses
from sagittal.report.stated import CRITERION, stated
from sagittal.report.vocabulary import concept, regions, site

KEPT = 4096
"""Sentences kept in memory."""


class _Placed(Protocol):
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


T = TypeVar("T", bound=_Placed)


def _blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with the spans replaced by spaces, so that places stay what they are."""
    pieces, at = [], 0
    for start, end in spans:
        if (start := max(start, at)) < end:
            pieces += [text[at:start], " " * (end - start)]
            at = end
    return "".join([*pieces, text[at:]])


def _between(items: Sequence[T], piece: Piece) -> Sequence[T]:
    """The items (in order of place) that begin inside the piece."""
    low = bisect_left(items, piece.start, key=lambda item: item.start)
    return items[low : bisect_left(items, piece.end, key=lambda item: item.start)]


@dataclass(frozen=True)
class Words:
    """A text whose parentheses, dates and sizes were taken out of ``text`` and kept aside."""

    text: str
    details: tuple[sizes.Details, ...]
    dates: tuple[sizes.Dated, ...]
    measured: tuple[sizes.Measured, ...]

    @classmethod
    def of(cls, text: str, language: Language) -> Words:
        details = tuple(sizes.details(text, language))
        words = _blank(text, ((d.start, d.end) for d in details))
        if not any(map(str.isdecimal, words)):
            return cls(words, details, (), ())
        dates = tuple(sizes.dates(words, language))
        words = _blank(words, ((d.start, d.end) for d in dates))
        measured = tuple(sizes.measurements(words, language))
        words = _blank(words, ((m.mask, m.end) for m in measured))
        return cls(words, details, dates, measured)


def fits(hit: Hit, region: str | None) -> Hit | None:
    """The hit as it reads in this kind of report; None for a general word of another one."""
    if len(hit.keys) > 1 and not hit.weak and not frozenset.intersection(*map(regions, hit.keys)):
        # "Parenchymal mass" names one thing in the chest and another in the head.
        fitting = [key for key in hit.keys if region is None or region in regions(key)] or hit.keys
        return replace(hit, keys=(fitting[0],))
    if not hit.weak or region is None:
        return replace(hit, keys=hit.keys[:1]) if hit.weak else hit
    keys = [key for key in hit.keys if region in regions(key)]
    return replace(hit, keys=tuple(keys[:1])) if keys else None


def _owner(clause: Clause, start: int) -> int:
    """Index of the observation that a measurement or parenthesis belongs to; -1 for none."""
    before = clause.before(start)
    return before if before >= 0 else (0 if clause.hits else -1)


def _sizes(
    clause: Clause, measured: Sequence[sizes.Measured]
) -> tuple[dict[int, list[Measurement]], dict[int, sizes.Measured]]:
    """Current and earlier measurements by observation."""
    now: dict[int, list[Measurement]] = {}
    earlier: dict[int, sizes.Measured] = {}
    for found in measured:
        after = clause.before(found.start) + 1
        adjoins = after < len(clause.hits) and near(clause, found.end, clause.hits[after].start)
        i = after if adjoins else _owner(clause, found.start)
        if i < 0:
            continue
        what = found.measurement
        if found.plain and clause.hits[i].keys[0] == "midline_shift":
            what = replace(what, quantity="shift")
        if found.plain and found.distance:
            what = replace(what, quantity="distance")
        if found.prior:
            earlier.setdefault(i, replace(found, measurement=what))
        else:
            now.setdefault(i, []).append(what)
    return now, earlier


def _change(
    mark: Marks,
    dates: Sequence[sizes.Dated],
    criterion: str | None,
    prior: sizes.Measured | None,
    now: Sequence[Measurement],
) -> Change | None:
    earlier = prior.measurement if prior is not None else None
    if mark.change is None:
        # "12 mm, previously 8 mm" says it in figures.
        kind = _grown(earlier, now[0]) if earlier is not None and now else None
        if kind is None or prior is None:
            return None
        since = next((d.day for d in dates if 0 <= d.start - prior.end <= 20), None)
        return Change(kind, since, criterion, earlier)
    since = next((d.day for d in dates if 0 <= d.start - mark.change_end <= 60), None)
    return Change(mark.change, since, criterion, earlier)


def _grown(earlier: Measurement, now: Measurement) -> ChangeKind | None:
    """Which way a size went, by its largest value; None where the two are no lengths of one kind."""
    if earlier.quantity != now.quantity or not {earlier.unit, now.unit} <= MM.keys():
        return None
    before, after = (max(m.values) * MM[m.unit] for m in (earlier, now))
    if abs(before - after) < 1e-6:
        return ChangeKind.STABLE
    return ChangeKind.LARGER if after > before else ChangeKind.SMALLER


def _clause(
    words: Words, piece: Piece, hits: tuple[Hit, ...], places: tuple[Hit, ...], language: Language
) -> list[tuple[int, Finding]]:
    """Findings of one clause with the place each begins."""
    clause = Clause(words.text, piece.start, piece.end, hits, language, places)
    found: list[tuple[int, Finding]] = [
        (hit.start, Finding(concept(hit.keys[0]), presence=Presence.ABSENT, laterality=hit.side))
        for hit in normal(clause)
        if piece.section != "indication"
    ]
    if not hits:
        return found
    marks = attach(clause)
    now, earlier = _sizes(clause, _between(words.measured, piece))
    dates = _between(words.dates, piece)
    attributes: dict[int, list[tuple[str, str]]] = {}
    criteria: dict[int, str] = {}
    for detail in _between(words.details, piece):
        i = _owner(clause, detail.start)
        for name, value in detail.items if i >= 0 else ():
            if name == CRITERION:
                criteria.setdefault(i, value)
            else:
                attributes.setdefault(i, []).append((name, value))
    for i, (hit, mark) in enumerate(zip(hits, marks, strict=True)):
        said = assertion(clause, hit, piece.section)
        named = gathered(mark.places) or [(None, None)]
        several = said.presence is Presence.PRESENT and len(named) > 1
        for place, side in named if several else named[:1]:
            for key in hit.keys:
                finding = Finding(
                    concept(key),
                    presence=said.presence,
                    certainty=said.certainty,
                    temporality=said.temporality,
                    site=site(place).concept if place else None,
                    laterality=side,
                    severity=mark.severity,
                    count=None if several else mark.count,
                    attributes=(*mark.attributes, *attributes.get(i, ())),
                    measurements=tuple(now.get(i, ())),
                    change=_change(mark, dates, criteria.get(i), earlier.get(i), now.get(i, ())),
                )
                found.append((hit.start, finding))
    return found


@dataclass(frozen=True)
class Heard:
    """A sentence with what it names.

    Args:
        clauses: each with its observations and places.
        votes: regions of the body that it speaks of, one a word.
        open: some of its words mean what the region of the report decides.
    """

    words: Words
    clauses: tuple[tuple[Piece, tuple[Hit, ...], tuple[Hit, ...]], ...]
    votes: tuple[str, ...]
    open: bool


@remembered(KEPT)
def heard(text: str, section: str, language: Language) -> Heard:
    """The sentence ``text`` of a section."""
    words = Words.of(text, language)
    found: list[tuple[Piece, tuple[Hit, ...], tuple[Hit, ...]]] = []
    for piece in clauses(text, Piece(0, len(text), section), language):
        named = tokens(words.text, piece.start, piece.end, language)
        places = find_sites(words.text, named, language)
        hits = find_observations(words.text, named, language, places)
        if not hits and found and found[-1][1]:
            # "No effusion on the right but a large one on the left."
            again = language.cues.anaphora.search(words.text, piece.start, piece.end)
            last = replace(found[-1][1][-1], pattern=True)
            hits = [replace(last, start=again.start(), end=again.end())] if again else []
        found.append((piece, tuple(hits), tuple(places)))
    every = [hit for _, hits, _ in found for hit in hits]
    return Heard(
        words,
        tuple(found),
        tuple(votes(every, [place for _, _, places in found for place in places])),
        any(hit.weak or len(hit.keys) > 1 for hit in every),
    )


@remembered(KEPT)
def findings(
    text: str, section: str, language: Language, region: str | None
) -> tuple[tuple[int, int, Finding], ...]:
    """What the sentence states, in order, with the start and end of the clause that states it."""
    whole = heard(text, section, language)
    found: list[tuple[int, int, Finding]] = []
    for piece, hits, places in whole.clauses:
        kept = tuple(fit for hit in hits if (fit := fits(hit, region)) is not None)
        each = sorted(_clause(whole.words, piece, kept, places, language), key=lambda item: item[0])
        found += [(piece.start, piece.end, stated(finding)) for _, finding in each]
    return tuple(found)

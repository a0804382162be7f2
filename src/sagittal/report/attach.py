"""Which place, size, grade, number and change belongs to which observation of a clause.

A word right before an observation belongs to it ("left basal effusion"); otherwise it belongs to the
one before it, where a preposition or the order says so ("effusion at the left base"); a place that
opens the clause belongs to all that follow ("In the right lung there is …").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sagittal.report.finding import ChangeKind, Laterality, Severity
from sagittal.report.language import Language
from sagittal.report.lexicon import Hit
from sagittal.report.literals import may_match
from sagittal.report.sizes import counts
from sagittal.report.stated import ADJECTIVES, DESCRIBED, SPECIFIC
from sagittal.report.vocabulary import observation, root, site, within

_MAX_WORDS = 8
NEAREST = 3
"""How many cues of a kind are looked at on either side; the nearest nearly always decides."""


@dataclass(frozen=True)
class Place:
    """A site, a side, or a side of a site."""

    start: int
    end: int
    site: str | None
    side: Laterality | None


@dataclass
class Marks:
    """What belongs to one observation of the clause."""

    places: list[Place]
    severity: Severity | None = None
    count: int | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    change: ChangeKind | None = None
    change_end: int = -1


@dataclass(frozen=True)
class Clause:
    """A clause: ``text`` is the whole text with sizes, dates and parentheses blanked; ``hits`` are its
    observations, ``places`` the sites for `attach` to give them."""

    text: str
    start: int
    end: int
    hits: tuple[Hit, ...]
    language: Language
    places: tuple[Hit, ...] = ()
    lowered: str = field(init=False, compare=False, repr=False)
    _found: dict[int, tuple[re.Match[str], ...]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lowered", self.text[self.start : self.end].lower())

    def found(self, pattern: re.Pattern[str]) -> tuple[re.Match[str], ...]:
        """All matches in the clause, in order; searched for once."""
        known = self._found.get(id(pattern))
        if known is None:
            possible = may_match(pattern, self.lowered)
            known = tuple(pattern.finditer(self.text, self.start, self.end)) if possible else ()
            self._found[id(pattern)] = known
        return known

    def leading(self, pattern: re.Pattern[str], position: int) -> list[re.Match[str]]:
        """The nearest matches that end by ``position``, the nearest first."""
        found = self.found(pattern)
        return [m for m in reversed(found) if m.end() <= position][:NEAREST] if found else []

    def trailing(self, pattern: re.Pattern[str], position: int) -> list[re.Match[str]]:
        """The nearest matches that begin at ``position`` or later, the nearest first."""
        found = self.found(pattern)
        return [m for m in found if m.start() >= position][:NEAREST] if found else []

    def before(self, position: int) -> int:
        """Index of the last observation that ends by ``position``; -1 for none."""
        return sum(hit.end <= position for hit in self.hits) - 1

    def inside(self, start: int, end: int) -> Hit | None:
        """The observation whose words these are."""
        return next((h for h in self.hits if h.start < end and start < h.end), None)


def near(clause: Clause, start: int, end: int) -> bool:
    """Whether the words between two marks only describe what follows."""
    gap = clause.text[start:end]
    return not clause.language.cues.apart.search(gap) and len(gap.split()) <= _MAX_WORDS


def _following(clause: Clause, start: int, end: int) -> int | None:
    """Index of the observation that a word right before it describes."""
    for i, hit in enumerate(clause.hits):
        if hit.start >= end:
            return i if near(clause, end, hit.start) else None
    return None


def _described(clause: Clause, match: re.Match[str]) -> int | None:
    """Index of the observation that an adjective describes: the one that follows, or in languages
    whose adjectives follow the noun the one before, with nothing but adjectives between."""
    i = clause.before(match.start()) if clause.language.adjectives_follow else -1
    if i >= 0:
        gap = _bare(clause, clause.hits[i].end, match.start())
        if clause.language.cues.is_.fullmatch(gap):
            return i
    return _following(clause, *match.span())


def _bare(clause: Clause, start: int, end: int) -> str:
    """The text without the adjectives of the noun before it, where they follow it."""
    gap = clause.text[start:end]
    if clause.language.adjectives_follow:
        for pattern in (clause.language.cues.severity.pattern, clause.language.cues.adjective.pattern):
            gap = pattern.sub(" ", gap)
    return gap


def _places(clause: Clause) -> list[Place]:
    """Places of the clause in order, a side joined to the site it stands before."""
    cues = clause.language.cues
    free = [h for h in clause.places if (over := clause.inside(h.start, h.end)) is None or over.pattern]
    sides = []
    for match in clause.found(cues.side.pattern):
        over = clause.inside(*match.span())
        taken = any(h.start < match.end() and match.start() < h.end for h in free)
        if not taken and (over is None or over.pattern):
            sides.append(Place(match.start(), match.end(), None, cues.side.value(match)))
    found = []
    for hit in free:
        joined = None if hit.side is not None else _side_of(clause, hit, sides)
        if joined is not None:
            sides.remove(joined)
            hit = replace(hit, start=min(hit.start, joined.start), end=max(hit.end, joined.end))
        found.append(Place(hit.start, hit.end, hit.keys[0], joined.side if joined else hit.side))
    return _one_side(clause, sorted([*found, *sides], key=lambda p: p.start))


_SINGLE = (Laterality.RIGHT, Laterality.LEFT)


def _one_side(clause: Clause, places: list[Place]) -> list[Place]:
    """In "the right middle and lower lobes", "left lower lobe and hilum" the side is said once."""
    for i in range(1, len(places)):
        last, place = places[i - 1], places[i]
        if last.site is None or last.side not in _SINGLE or not _may_lie(place, last.side):
            continue
        if clause.language.cues.and_.fullmatch(clause.text[last.end : place.start]):
            places[i] = replace(place, side=last.side)
    return places


def _may_lie(place: Place, side: Laterality | None) -> bool:
    """Whether a place says no side, and there is one of its kind, or tissue, on that side."""
    if place.side is not None or place.site is None:
        return False
    kind = site(place.site)
    return kind.implies in (None, side) and (kind.paired or root(place.site) == "body")


def _side_of(clause: Clause, hit: Hit, sides: list[Place]) -> Place | None:
    """The side that belongs to a site: before it, or after it where the language puts it there."""
    for place in sides:
        first, last = (hit.end, place.start) if clause.language.side_follows else (place.end, hit.start)
        close = first <= last and len(clause.text[first:last].split()) <= 3
        if close and near(clause, first, last) and not clause.inside(first, last):
            return place
    return None


def _give_places(clause: Clause, marks: list[Marks]) -> None:
    cues, leading = clause.language.cues, []
    ends: dict[int, int] = {}
    for place in _places(clause):
        over = clause.inside(place.start, place.end)
        if over is not None:
            i = clause.hits.index(over)
        elif (after := _following(clause, place.start, place.end)) is not None:
            i = after
        else:
            i = clause.before(place.start)
            if i < 0:
                leading.append(place)
                continue
            gap = _bare(clause, max(ends.get(i, 0), clause.hits[i].end), place.start)
            linked = (
                cues.preposition.search(gap) is not None
                or (ends.get(i, 0) >= clause.hits[i].end and cues.and_.fullmatch(gap) is not None)
                or (place.site is None and cues.loose.fullmatch(gap) is not None)
                or (i not in ends and _beside(clause, gap, place))
            )
            if not linked:
                i += 1
                if i == len(clause.hits) or not _described_twice(clause, place.end, clause.hits[i].start):
                    continue
        marks[i].places.append(place)
        ends[i] = place.end
    _share(clause, marks, leading)


def _beside(clause: Clause, gap: str, place: Place) -> bool:
    """Whether a place stands right after its noun ("granuloma, left base"): not where a verb after a
    comma says something else of it ("no effusion, left lung is clear")."""
    cues = clause.language.cues
    if place.site is None or place.side is None or not cues.beside.fullmatch(gap):
        return False
    return "," not in gap or not cues.is_firmly.match(clause.text, place.end, clause.end)


def _share(clause: Clause, marks: list[Marks], leading: list[Place]) -> None:
    """Places at the head go to every observation without one; at the tail, to the list before it."""
    cues = clause.language.cues
    if leading and clause.hits:
        head = clause.text[clause.start : leading[0].start + 1]
        gap = clause.text[leading[-1].end : clause.hits[0].start]
        subject = cues.is_firmly.fullmatch(gap) is not None and any(place.side for place in leading)
        twice = _described_twice(clause, leading[-1].end, clause.hits[0].start)
        if not marks[0].places and (subject or twice):
            # "The right lung is hyperexpanded."
            marks[0].places = list(leading)
        opens = cues.opening.match(head) is not None
        named = any(pattern.search(gap) for _, pattern in cues.certainty)
        for mark in marks:
            if (opens or named or cues.shows.search(gap)) and not mark.places:
                # "Density in the left lung, consistent with a granuloma."
                mark.places = list(leading)
            elif (opens or (cues.shows.search(gap) and _parts(mark.places, leading[-1]))) and all(
                _may_lie(place, leading[0].side) for place in mark.places
            ):
                # "In the left lung, a nodule in the upper lobe"; "the left lung shows a nodule in …".
                mark.places = [*leading, *mark.places]
    for i in range(len(marks) - 2, -1, -1):
        here, there = clause.hits[i], clause.hits[i + 1]
        tail = [p for p in marks[i + 1].places if p.start >= there.end]
        if not marks[i].places and tail and cues.list_.fullmatch(clause.text[here.end : there.start]):
            marks[i].places = tail


def _parts(places: list[Place], whole: Place) -> bool:
    """Whether all places are parts of another one."""
    inside = (place.site and whole.site and within(place.site, whole.site) for place in places)
    return all(inside)


def _described_twice(clause: Clause, start: int, end: int) -> bool:
    """Whether only adjectives joined by "and" part a place from its noun ("left 5th and 6th rib …")."""
    cues = clause.language.cues
    gap = cues.joined.sub(" ", clause.text[start:end])
    return not (cues.apart.search(gap) or cues.side.pattern.search(gap)) and len(gap.split()) <= _MAX_WORDS


def _matches(clause: Clause, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    for match in clause.found(pattern):
        over = clause.inside(*match.span())
        if over is None or over.pattern:
            yield match


def _give_words(clause: Clause, marks: list[Marks]) -> None:
    text, cues = clause.text, clause.language.cues
    for match in _matches(clause, cues.severity.pattern):
        over = clause.inside(*match.span())
        # "The heart is mildly enlarged": the grade stands inside the words of the observation.
        i = clause.hits.index(over) if over else _described(clause, match)
        if i is None:
            i = clause.before(match.start())
            if i < 0 or not cues.is_.fullmatch(text[clause.hits[i].end : match.start()]):
                continue
        grade, by_size = cues.severity.value(match)
        if not by_size or observation(clause.hits[i].keys[0]).graded_by_size:
            marks[i].severity = marks[i].severity or grade
    counting = counts(clause.language)
    for match in _matches(clause, counting.pattern):
        i = _following(clause, *match.span())
        if i is None and match["areas"]:
            # "… an 3 Stellen": places are counted after the noun.
            i = clause.before(match.start())
        if i is None or i < 0:
            continue
        number = counting.number(match)
        if (
            number == 1
            or match["areas"]
            or counting.plural.search(text, clause.hits[i].start, clause.hits[i].end)
        ):
            marks[i].count = number
    for match in _matches(clause, cues.adjective.pattern):
        i = _described(clause, match)
        pair = cues.adjective.value(match)
        if i is None or pair in marks[i].attributes:
            continue
        key = clause.hits[i].keys[0]
        if (key, pair) in SPECIFIC or (key in DESCRIBED and pair[0] in ADJECTIVES.values()):
            marks[i].attributes = (*marks[i].attributes, pair)


_VAGUE = frozenset({"opacity", "interstitial_pattern", "reticulation", "ground_glass_opacity"})


def _give_changes(clause: Clause, marks: list[Marks]) -> None:
    text, cues = clause.text, clause.language.cues
    for match in _matches(clause, cues.change.pattern):
        kind = cues.change.value(match)
        i = _following(clause, *match.span())
        after = clause.before(match.start()) + 1
        if i is None and after < len(clause.hits):
            gap = text[match.end() : clause.hits[after].start]
            if cues.into.fullmatch(gap) or match[0].lower().split()[-1] in cues.of:
                i = after
        elif i is not None and clause.hits[i].keys[0] in _VAGUE and kind in _GROWN:
            # "Increased opacity" says denser than lung, not more than before.
            continue
        i = clause.before(match.start()) if i is None else i
        if i >= 0 and marks[i].change is None:
            marks[i].change, marks[i].change_end = kind, match.end()
            if kind is ChangeKind.RESOLVED and match[0].lower().split()[-1] in cues.of:
                _share_resolution(clause, marks, i)


def _share_resolution(clause: Clause, marks: list[Marks], first: int) -> None:
    """ "Removal of the central line and feeding tube" removes both."""
    for i in range(first + 1, len(marks)):
        gap = clause.text[clause.hits[i - 1].end : clause.hits[i].start]
        if not clause.language.cues.list_.fullmatch(gap) or marks[i].change is not None:
            return
        marks[i].change, marks[i].change_end = marks[first].change, clause.hits[i].start


_GROWN = (ChangeKind.LARGER, ChangeKind.SMALLER)


def attach(clause: Clause) -> list[Marks]:
    """The marks of every observation of the clause, in its order."""
    marks = [Marks([]) for _ in clause.hits]
    _give_places(clause, marks)
    _give_words(clause, marks)
    _give_changes(clause, marks)
    return marks


def changes(clause: Clause) -> list[Marks]:
    """The marks of every phrase of the clause with no more than its change."""
    marks = [Marks([]) for _ in clause.hits]
    _give_changes(clause, marks)
    return marks


def gathered(places: list[Place]) -> list[tuple[str | None, Laterality | None]]:
    """Places of one observation as (site, side); a part and its whole are one, both sides bilateral."""
    found: list[tuple[str | None, Laterality | None]] = []
    for place in sorted(places, key=lambda p: p.start):
        if not found:
            found.append((place.site, place.side))
            continue
        site, side = found[-1]
        if site is None and place.site is not None:
            found[-1] = place.site, place.side or side
        elif site is None or place.site is None or site == place.site:
            found[-1] = site or place.site, _both(side, place.side)
        elif within(place.site, site):
            found[-1] = place.site, place.side or side
        elif within(site, place.site):
            found[-1] = site, side or place.side
        else:
            found.append((place.site, place.side))
    return found


def _both(one: Laterality | None, other: Laterality | None) -> Laterality | None:
    if one is None or other is None or one is other:
        return one or other
    opposite = {one, other} == {Laterality.RIGHT, Laterality.LEFT}
    return Laterality.BILATERAL if opposite or Laterality.BILATERAL in (one, other) else one

"""Report text into findings, in every language of ``languages/``.

Text is cut into sections, sentences and clauses; in a clause every observation of the vocabulary
gets the places, sizes, grades, numbers and changes that belong to it, and the negation, certainty
and time that reach it. What `sagittal.report.render` writes comes back exactly:
``parse(render(findings)) == [stated(f) for f in findings]``.

The scope rules follow NegEx (Chapman et al., J Biomed Inform 2001;34:301) with a certainty scale.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from sagittal.errors import BadInput
from sagittal.report import sizes
from sagittal.report.attach import Clause, Marks, attach, changes, gathered, near
from sagittal.report.finding import Change, Evidence, Finding, Measurement, Presence
from sagittal.report.language import Language, detect
from sagittal.report.language import language as _language
from sagittal.report.lexicon import Hit, find_observations, find_sites, region_of, tokens
from sagittal.report.names import DEFAULT
from sagittal.report.report import Report, Sentence
from sagittal.report.scope import Said, assertion, normal
from sagittal.report.segment import Piece, clauses, sentences
from sagittal.report.stated import CRITERION, settled, stated
from sagittal.report.vocabulary import concept, regions, site

SILENT = frozenset({"technique", "comparison", "limitations", "recommendation"})
"""Sections that state no finding of this study."""


@dataclass(frozen=True)
class Parsed:
    """What was read out of a text, and what was not.

    Args:
        findings: in order; ``evidence.span`` is the (start, end) of the clause each was read from.
        unparsed: spans of sentences in which no finding of the vocabulary was recognised.
        language: in which the text was read.
    """

    findings: tuple[Finding, ...]
    unparsed: tuple[tuple[int, int], ...]
    language: str = DEFAULT


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
class _Text:
    """A text whose parentheses, dates and sizes were taken out of ``words`` and kept aside."""

    words: str
    details: tuple[sizes.Details, ...]
    dates: tuple[sizes.Dated, ...]
    measured: tuple[sizes.Measured, ...]

    @classmethod
    def of(cls, text: str, language: Language) -> _Text:
        details = tuple(sizes.details(text, language))
        words = _blank(text, ((d.start, d.end) for d in details))
        dates = tuple(sizes.dates(words, language))
        words = _blank(words, ((d.start, d.end) for d in dates))
        measured = tuple(sizes.measurements(words, language))
        words = _blank(words, ((m.mask, m.end) for m in measured))
        return cls(words, details, dates, measured)


def _fits(hit: Hit, region: str | None) -> Hit | None:
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
) -> tuple[dict[int, list[Measurement]], dict[int, Measurement]]:
    """Current and earlier measurements by observation."""
    now: dict[int, list[Measurement]] = {}
    earlier: dict[int, Measurement] = {}
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
            earlier.setdefault(i, what)
        else:
            now.setdefault(i, []).append(what)
    return now, earlier


def _change(
    mark: Marks, dates: Sequence[sizes.Dated], criterion: str | None, prior: Measurement | None
) -> Change | None:
    if mark.change is None:
        return None
    since = next((d.day for d in dates if 0 <= d.start - mark.change_end <= 60), None)
    return Change(mark.change, since, criterion, prior)


def _clause(
    text: _Text, piece: Piece, hits: tuple[Hit, ...], language: Language
) -> list[tuple[int, Finding]]:
    """Findings of one clause with the place each begins."""
    clause = Clause(text.words, piece.start, piece.end, hits, language)
    found: list[tuple[int, Finding]] = [
        (hit.start, Finding(concept(hit.keys[0]), presence=Presence.ABSENT, laterality=hit.side))
        for hit in normal(clause)
        if piece.section != "indication"
    ]
    if not hits:
        return found
    marks = attach(clause)
    now, earlier = _sizes(clause, _between(text.measured, piece))
    dates = _between(text.dates, piece)
    attributes: dict[int, list[tuple[str, str]]] = {}
    criteria: dict[int, str] = {}
    for detail in _between(text.details, piece):
        i = _owner(clause, detail.start)
        for name, value in detail.items if i >= 0 else ():
            if name == CRITERION:
                criteria.setdefault(i, value)
            else:
                attributes.setdefault(i, []).append((name, value))
    for i, (hit, mark) in enumerate(zip(hits, marks, strict=True)):
        said = assertion(clause, hit, piece.section)
        places = gathered(mark.places) or [(None, None)]
        several = said.presence is Presence.PRESENT and len(places) > 1
        for place, side in places if several else places[:1]:
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
                    change=_change(mark, dates, criteria.get(i), earlier.get(i)),
                )
                found.append((hit.start, finding))
    return found


def parse_document(text: str, language: str | None = None) -> Parsed:
    """Findings with the span each was read from, and the sentences that named none.

    Never raises on any text; time grows linearly with its length.

    Args:
        language: its ISO 639-1 code; None: the likeliest of those that are there.

    Raises:
        BadInput: a language that is not there.
    """
    spoken = _language(language or detect(text))
    prepared = _Text.of(text, spoken)
    words = prepared.words
    pieces = [
        (sentence, clause)
        for sentence in sentences(text, spoken)
        if sentence.section not in SILENT
        for clause in clauses(text, sentence, spoken)
    ]
    hits = []
    places: list[Hit] = []
    for _, clause in pieces:
        named = tokens(words, clause.start, clause.end, spoken)
        hits.append(find_observations(words, named, spoken))
        places += find_sites(words, named, spoken)
    region = region_of([hit for each in hits for hit in each], places)
    findings: list[Finding] = []
    read: set[tuple[int, int]] = set()
    for (sentence, clause), each in zip(pieces, hits, strict=True):
        kept = tuple(fit for hit in each if (fit := _fits(hit, region)) is not None)
        for _, finding in sorted(_clause(prepared, clause, kept, spoken), key=lambda item: item[0]):
            evidence = Evidence(span=(clause.start, clause.end))
            findings.append(replace(stated(finding), evidence=evidence))
            read.add((sentence.start, sentence.end))
    spans = dict.fromkeys((s.start, s.end) for s, _ in pieces)
    return Parsed(tuple(findings), tuple(span for span in spans if span not in read), spoken.code)


def presence(text: str, span: tuple[int, int], language: str | None = None) -> Said:
    """What a text says of the phrase at ``span``, whether or not the vocabulary knows it.

    The rules are those of `parse`: for the words of an observation both say the same. `Said.word` sums
    it up as present, absent, uncertain or historical.

    Args:
        span: (start, end) of the phrase, in characters; part of a word stands for the whole of it.
        language: its ISO 639-1 code; None: the likeliest.

    Raises:
        BadInput: a language that is not there, or a span that is empty or not inside the text.
    """
    start, end = span
    if not 0 <= start < end <= len(text):
        raise BadInput(f"span {span} in a text of {len(text)} characters", "0 <= start < end <= its length")
    spoken = _language(language or detect(text))
    words = _Text.of(text, spoken).words
    if words[start:end] != text[start:end]:
        words = text  # The phrase stands in a note or a size that is read as such.
    piece = next(
        (
            clause
            for sentence in sentences(text, spoken)
            for clause in clauses(text, sentence, spoken)
            if clause.end > start
        ),
        Piece(start, end, ""),
    )
    piece = replace(piece, start=min(piece.start, start), end=max(piece.end, end))
    others = find_observations(words, tokens(words, piece.start, piece.end, spoken), spoken)
    hit = next((h for h in others if (h.start, h.end) == span), Hit(start, end, ("",)))
    apart = [h for h in others if h.end <= start or end <= h.start]
    hits = tuple(sorted([*apart, hit], key=lambda h: h.start))
    clause = Clause(words, piece.start, piece.end, hits, spoken)
    said = assertion(clause, hit, piece.section)
    kind = changes(clause)[hits.index(hit)].change
    change = Change(kind) if kind is not None else None
    return Said(*settled(said.presence, said.certainty, said.temporality, change)[:3])


def parse(text: str | Report | Iterable[Sentence | str], language: str | None = None) -> list[Finding]:
    """Findings stated by a text, a report, or sentences, in order.

    Args:
        text: report text, a `Report`, or what `render` returned.
        language: its ISO 639-1 code; None: that of the report, or the likeliest.
    """
    if isinstance(text, Report):
        language = language or text.language
        text = text.text
    if isinstance(text, str):
        found = parse_document(text, language).findings
        return [replace(finding, evidence=None) for finding in found]
    lines = (line.text if isinstance(line, Sentence) else line for line in text)
    return [finding for line in lines for finding in parse(line, language)]

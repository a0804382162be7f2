"""Report text into findings, in every language of ``languages/``.

Text is cut into sections, sentences and clauses; in a clause every observation of the vocabulary
gets the places, sizes, grades, numbers and changes that belong to it, and the negation, certainty
and time that reach it. What `sagittal.report.render` writes comes back exactly:
``parse(render(findings)) == [stated(f) for f in findings]``.

The scope rules follow NegEx (Chapman et al., J Biomed Inform 2001;34:301) with a certainty scale.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sagittal.errors import BadInput
from sagittal.report.attach import Clause, changes
from sagittal.report.finding import Change, Evidence, Finding
from sagittal.report.language import detect
from sagittal.report.language import language as _language
from sagittal.report.lexicon import Hit, elected, find_observations, tokens
from sagittal.report.names import DEFAULT
from sagittal.report.report import Report, Sentence
from sagittal.report.scope import Said, assertion
from sagittal.report.segment import Piece, clauses, sentences, undictated
from sagittal.report.sentence import Words, findings, heard
from sagittal.report.stated import settled

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


def parse_document(text: str, language: str | None = None) -> Parsed:
    """Findings with the span each was read from, and the sentences that named none.

    Never raises on any text; time grows linearly with its length.

    Args:
        language: its ISO 639-1 code; None: the likeliest of those that are there.

    Raises:
        BadInput: a language that is not there.
    """
    spoken = _language(language or detect(text))
    text = undictated(text, spoken)
    pieces = [piece for piece in sentences(text, spoken) if piece.section not in SILENT]
    said = [text[piece.start : piece.end] for piece in pieces]
    whole = [heard(each, piece.section, spoken) for each, piece in zip(said, pieces, strict=True)]
    region = elected(vote for each in whole for vote in each.votes)
    found: list[Finding] = []
    unparsed: list[tuple[int, int]] = []
    for each, piece, sentence in zip(said, pieces, whole, strict=True):
        read = findings(each, piece.section, spoken, region if sentence.open else None)
        for start, end, finding in read:
            found.append(replace(finding, evidence=Evidence(span=(piece.start + start, piece.start + end))))
        if not read:
            unparsed.append((piece.start, piece.end))
    return Parsed(tuple(found), tuple(unparsed), spoken.code)


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
    text = undictated(text, spoken)
    sentence = next((s for s in sentences(text, spoken) if s.end > start), Piece(start, end, ""))
    origin = min(sentence.start, start)
    start, end = start - origin, end - origin
    text = text[origin : max(sentence.end, end + origin)]
    words = Words.of(text, spoken).text
    if words[start:end] != text[start:end]:
        words = text  # The phrase stands in a note or a size that is read as such.
    pieces = clauses(text, Piece(0, len(text), sentence.section), spoken)
    piece = next((clause for clause in pieces if clause.end > start), Piece(start, end, sentence.section))
    piece = replace(piece, start=min(piece.start, start), end=max(piece.end, end))
    others = find_observations(words, tokens(words, piece.start, piece.end, spoken), spoken)
    hit = next((h for h in others if (h.start, h.end) == (start, end)), Hit(start, end, ("",)))
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

"""What a text says of any phrase, whether or not the vocabulary knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sagittal.errors import BadInput
from sagittal.report.attach import Clause, changes
from sagittal.report.finding import Change
from sagittal.report.language import Language, detect
from sagittal.report.language import language as _language
from sagittal.report.lexicon import Hit, find_observations, tokens
from sagittal.report.scope import Said, assertion
from sagittal.report.segment import Piece, clauses, sentences, undictated
from sagittal.report.sentence import Words
from sagittal.report.stated import settled


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
    text = text[origin : max(sentence.end, end)]
    return said_of(text, [(start - origin, end - origin)], sentence.section, spoken)[0]


def said_of(text: str, spans: Sequence[tuple[int, int]], section: str, language: Language) -> list[Said]:
    """What one sentence says of each of the phrases in it; ``section``: where the sentence stands."""
    read = Words.of(text, language).text
    pieces = clauses(text, Piece(0, len(text), section), language)
    return [_said(text, read, span, pieces, language) for span in spans]


def _said(text: str, read: str, span: tuple[int, int], pieces: Sequence[Piece], language: Language) -> Said:
    start, end = span
    # A phrase in a note or a size that is read as such is blank in ``read``.
    words = read if read[start:end] == text[start:end] else text
    piece = next((clause for clause in pieces if clause.end > start), Piece(start, end, pieces[0].section))
    piece = replace(piece, start=min(piece.start, start), end=max(piece.end, end))
    others = find_observations(words, tokens(words, piece.start, piece.end, language), language)
    hit = next((h for h in others if (h.start, h.end) == (start, end)), Hit(start, end, ("",)))
    apart = [h for h in others if h.end <= start or end <= h.start]
    hits = tuple(sorted([*apart, hit], key=lambda h: h.start))
    clause = Clause(words, piece.start, piece.end, hits, language)
    said = assertion(clause, hit, piece.section)
    kind = changes(clause)[hits.index(hit)].change
    change = Change(kind) if kind is not None else None
    return Said(*settled(said.presence, said.certainty, said.temporality, change)[:3])

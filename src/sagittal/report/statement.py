"""A draft read once for all checks: what each sentence states, and in which section."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from sagittal.report.cues import one_of
from sagittal.report.finding import Finding, Laterality, Presence, Temporality
from sagittal.report.language import language
from sagittal.report.names import DEFAULT, document
from sagittal.report.parse import SILENT, parse_document
from sagittal.report.segment import Piece, sentences
from sagittal.report.stated import stated

BODY = frozenset({"", "findings", "impression"})
"""Sections whose sentences are claims about this study."""


@dataclass(frozen=True)
class Statement:
    """What one clause says: the finding in its stated form, its place, its sentence and section."""

    finding: Finding
    span: tuple[int, int]
    sentence: tuple[int, int]
    section: str

    @property
    def key(self) -> str:
        return self.finding.observation.key


@dataclass(frozen=True)
class Draft:
    """A draft's text, sentences and statements, in order; ``code`` is its language's."""

    text: str
    sentences: tuple[Piece, ...]
    statements: tuple[Statement, ...]
    code: str = DEFAULT

    def qualified(self, statement: Statement) -> bool:
        """Whether a denial has a word ("no large X") with which it does not deny every X."""
        return bool(listed(self.code, "qualified").search(self.words(statement.span)))

    def words(self, span: tuple[int, int]) -> str:
        return self.text[span[0] : span[1]]

    def body(self) -> tuple[Piece, ...]:
        """The sentences of findings and impression."""
        return tuple(s for s in self.sentences if s.section in BODY)

    def section(self, *names: str) -> str:
        """All text of those sections."""
        return " ".join(self.text[s.start : s.end] for s in self.sentences if s.section in names)

    def end(self, *names: str) -> int:
        """Where the last of those sections ends; the end of the text where there is none."""
        return max((s.end for s in self.sentences if s.section in names), default=len(self.text))


def read(text: str, code: str = DEFAULT) -> Draft:
    """The draft of a text in the language of that code; never raises on text."""
    pieces = tuple(sentences(text, language(code)))
    starts = [piece.start for piece in pieces]
    found = []
    for finding in parse_document(text, language=code).findings:
        span = finding.evidence.span if finding.evidence and finding.evidence.span else (0, 0)
        piece = pieces[max(bisect_right(starts, span[0]) - 1, 0)]
        if piece.section not in SILENT:
            found.append(Statement(stated(finding), span, (piece.start, piece.end), piece.section))
    return Draft(text, pieces, tuple(found), code)


@cache
def listed(code: str, name: str) -> re.Pattern[str]:
    """One of the words that the language's table ``check`` lists under a name."""
    return re.compile(rf"\b(?:{one_of(document(code)['check'][name])})\b", re.IGNORECASE)


RIGHT_LEFT = frozenset({Laterality.RIGHT, Laterality.LEFT})


def sides(finding: Finding) -> frozenset[Laterality]:
    """Sides that a finding is on; empty where none is stated."""
    side = finding.laterality
    if side is Laterality.BILATERAL:
        return RIGHT_LEFT
    return frozenset() if side is None else frozenset({side})


def current(finding: Finding) -> bool:
    """Whether it is said of the study itself, not of history, family or a question."""
    return finding.temporality is Temporality.CURRENT


def positive(finding: Finding) -> bool:
    """Whether it is said to be there, surely or perhaps."""
    return current(finding) and finding.presence in (Presence.PRESENT, Presence.UNCERTAIN)


def negative(finding: Finding) -> bool:
    """Whether it is said not to be there."""
    return current(finding) and finding.presence is Presence.ABSENT

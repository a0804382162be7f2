"""Report text cut into sections, sentences and clauses, every piece by its place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SECTION_NAMES = {
    "indication": "indication",
    "indications": "indication",
    "clinical indication": "indication",
    "history": "indication",
    "clinical history": "indication",
    "clinical information": "indication",
    "reason for exam": "indication",
    "reason for examination": "indication",
    "clinical question": "indication",
    "technique": "technique",
    "procedure": "technique",
    "protocol": "technique",
    "examination": "technique",
    "exam": "technique",
    "comparison": "comparison",
    "comparisons": "comparison",
    "findings": "findings",
    "finding": "findings",
    "report": "findings",
    "impression": "impression",
    "impressions": "impression",
    "conclusion": "impression",
    "conclusions": "impression",
    "opinion": "impression",
    "limitations": "limitations",
    "limitation": "limitations",
    "not assessed": "not assessed",
    "recommendation": "recommendation",
    "recommendations": "recommendation",
    "disclosure": "limitations",
}
"""Headings as written -> the section they open."""

MAX_SENTENCE = 2000
"""Longest stretch read as one sentence; longer ones are cut at a space, so that time stays linear."""

_NAMES = "|".join(sorted((re.escape(name).replace(r"\ ", r"[ ]+") for name in SECTION_NAMES), key=len)[::-1])
_HEADING = re.compile(
    rf"(?:^|(?<=[.!?])[ \t]+)[ \t]*(?P<name>{_NAMES})[ \t]*(?::|(?=[ \t]*$))", re.IGNORECASE | re.MULTILINE
)
_PARENTHESIS = re.compile(r"\([^()\n]{0,400}\)")
_STOP = re.compile(
    r"(?P<end>[.!?]+)(?=[\"'”’)\]]*(?:\s|$))|(?P<blank>\n[ \t]*\n)|(?P<line>\n)(?=[ \t]*[^a-z\s])"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|approx|dr|cf|incl|ca|fig|resp|st|prof|mr|mrs)|[\n.]\s{0,3}\d{1,2})$",
    re.IGNORECASE,
)
_BREAK = re.compile(
    r"\s*;\s*|,?\s+(?:but|however|although|though|whereas)\b,?\s*|,\s+(?=there\s+(?:is|are)\b)"
    r"|\s+and\s+(?=there\s+(?:is|are)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Piece:
    """Text from ``start`` to ``end`` (exclusive), in ``section`` ("" before the first heading)."""

    start: int
    end: int
    section: str


_BODY = ("findings", "impression")
_BRIEF = ("comparison", "technique")


def _sections(text: str) -> Iterator[Piece]:
    """Sections; one that opens with a remark on comparison or technique and has no heading for its
    findings is a remark of one sentence and then the findings."""
    parts = list(_headed(text))
    bare = all(part.section not in _BODY for part in parts)
    for part in parts:
        stop = _STOP.search(text, part.start, part.end) if bare and part.section in _BRIEF else None
        if stop is None:
            yield part
        else:
            yield Piece(part.start, stop.end(), part.section)
            yield Piece(stop.end(), part.end, "")


def _headed(text: str) -> Iterator[Piece]:
    start, name = 0, ""
    for heading in _HEADING.finditer(text):
        yield Piece(start, heading.start(), name)
        start, name = heading.end(), SECTION_NAMES[" ".join(heading["name"].lower().split())]
    yield Piece(start, len(text), name)


def _inside(spans: list[tuple[int, int]], positions: list[int]) -> set[int]:
    """Those of the sorted positions that lie inside one of the sorted spans."""
    found: set[int] = set()
    i = 0
    for position in positions:
        while i < len(spans) and spans[i][1] <= position:
            i += 1
        if i < len(spans) and spans[i][0] <= position:
            found.add(position)
    return found


def _trimmed(text: str, start: int, end: int, section: str) -> Iterator[Piece]:
    while end - start > MAX_SENTENCE:
        cut = text.rfind(" ", start + 1, start + MAX_SENTENCE)
        cut = cut if cut > start else start + MAX_SENTENCE
        yield from _trimmed(text, start, cut, section)
        start = cut
    while start < end and (text[start].isspace() or text[start] in "-•*"):
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if any(c.isalnum() for c in text[start:end]):
        yield Piece(start, end, section)


def sentences(text: str) -> list[Piece]:
    """Sentences in order, headings left out; points in numbers and parentheses do not end one."""
    found: list[Piece] = []
    for part in _sections(text):
        stops = list(_STOP.finditer(text, part.start, part.end))
        brackets = [m.span() for m in _PARENTHESIS.finditer(text, part.start, part.end)]
        hidden = _inside(brackets, [stop.start() for stop in stops])
        start = part.start
        for stop in stops:
            if stop.start() in hidden:
                continue
            before = text[max(start, stop.start() - 12) : stop.start()]
            if stop["end"] and (_ABBREVIATION.search(before) or before.strip().isdigit()):
                continue
            found.extend(_trimmed(text, start, stop.end(), part.section))
            start = stop.end()
        found.extend(_trimmed(text, start, part.end, part.section))
    return found


def clauses(text: str, piece: Piece) -> list[Piece]:
    """A sentence cut where negation, certainty and places stop reaching: ";", "but", "there is"."""
    brackets = [m.span() for m in _PARENTHESIS.finditer(text, piece.start, piece.end)]
    breaks = list(_BREAK.finditer(text, piece.start, piece.end))
    hidden = _inside(brackets, [b.start() for b in breaks])
    found, start = [], piece.start
    for b in breaks:
        if b.start() not in hidden:
            found.append(Piece(start, b.start(), piece.section))
            start = b.end()
    found.append(Piece(start, piece.end, piece.section))
    return [p for p in found if p.end > p.start]

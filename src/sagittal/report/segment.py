"""Report text cut into sections, sentences and clauses, every piece by its place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from sagittal.report.cues import one_of
from sagittal.report.language import Language, plain
from sagittal.report.literals import compiled, may_match
from sagittal.report.names import DEFAULT, document

MAX_SENTENCE = 2000
"""Longest stretch read as one sentence; longer ones are cut at a space, so that time stays linear."""

_PARENTHESIS = re.compile(r"\([^()\n]{0,400}\)")
_STOP = re.compile(
    r"(?P<end>[.!?]+)(?=[\"'”’)\]]*(?:\s|$))|(?P<bullet>(?<=\s)[\"“”•·](?=\s))"
    r"|(?P<blank>\n[ \t]*\n)|(?P<line>\n)(?=[ \t]*[^a-z\s])"
)


_CAPITALS = r"[A-ZÀ-ÖØ-Þ][A-ZÀ-ÖØ-Þ /,&()-]{2,58}"
"""A line's beginning in capitals and a colon is a heading too: of findings, since the others are known."""


@dataclass(frozen=True, eq=False)
class _Cuts:
    """Where a language cuts its text. English headings are known everywhere."""

    sections: dict[str, str]
    heading: re.Pattern[str]
    abbreviation: re.Pattern[str]
    breaks: re.Pattern[str]


@cache
def _cuts(language: Language) -> _Cuts:
    tables = document(DEFAULT)["sections"], language.file["sections"]
    headings = {plain(name): section for table in tables for section, all_ in table.items() for name in all_}
    written = {name.lower() for table in tables for all_ in table.values() for name in all_}
    names = "|".join(sorted((re.escape(n).replace(r"\ ", r"[ ]+") for n in written), key=len)[::-1])
    segment = language.file["segment"]
    short = "|".join(map(re.escape, segment["abbreviations"]))
    spaced = one_of(segment["breaks"])
    opened = one_of(segment["openings"])
    coordinating = "|".join(language.file["cues"]["attach"]["and"][:1])
    return _Cuts(
        headings,
        re.compile(
            rf"(?:^|(?<=[.!?])[ \t]+)[ \t]*(?P<name>{names})[ \t]*(?::|(?=[ \t]*$))"
            rf"|^[ \t]*(?-i:{_CAPITALS}):",
            re.IGNORECASE | re.MULTILINE,
        ),
        re.compile(rf"(?:\b(?:{short})|[\n.]\s{{0,3}}\d{{1,2}})$", re.IGNORECASE),
        re.compile(
            rf"\s*;\s*|,?\s+(?:{spaced})\b,?\s*|,\s+(?=(?:{opened})\b)"
            rf"|\s+(?:{coordinating})\s+(?=(?:{opened})\b)",
            re.IGNORECASE,
        ),
    )


@cache
def _dictated(language: Language) -> tuple[re.Pattern[str], dict[str, str]]:
    """The pattern of punctuation marks that are written out, and the mark of each word."""
    marks = language.file["segment"].get("dictated", {})
    words = {word: mark for mark, all_ in marks.items() for word in all_}
    not_after = "".join(rf"(?<!\b{word} )" for word in language.file["segment"].get("not_dictated", ()))
    named = one_of(words)
    return compiled(rf"(?<=[ \t]){not_after}(?:{named})(?=[\s.,;]|$)(?! of\b)"), words


def undictated(text: str, language: Language) -> str:
    """The text with marks in place of their names ("no effusion period"), every place kept.

    One such word in a text may be meant as it stands ("follow-up period"), unless it ends the text or a
    capital follows; two or more are dictation.
    """
    pattern, words = _dictated(language)
    if not may_match(pattern, text.lower()):
        return text
    found = list(pattern.finditer(text))
    pieces, at = [], 0
    for match in found:
        rest = text[match.end() : match.end() + 20].lstrip(" .,;")
        if len(found) > 1 or not rest or rest[0].isupper() or rest[0] == "\n":
            start = match.start()
            while start > at and text[start - 1] in " \t":
                start -= 1
            # The mark stands at the word before it.
            mark = words[" ".join(match[0].lower().split())]
            pieces += [text[at:start], mark.ljust(match.end() - start)]
            at = match.end()
    return "".join([*pieces, text[at:]])


@dataclass(frozen=True)
class Piece:
    """Text from ``start`` to ``end`` (exclusive), in ``section`` ("" before the first heading)."""

    start: int
    end: int
    section: str


_PARAGRAPH = re.compile(r"(?<=\S)\s*?\n[ \t]*\n")
_BODY = ("findings", "impression")
_BRIEF = ("comparison", "technique")


def _sections(text: str, cuts: _Cuts) -> Iterator[Piece]:
    """Sections. Where findings have no heading, they begin after the first paragraph of an indication or
    of a remark on comparison or technique; without an impression after its first sentence."""
    parts = list(_headed(text, cuts))
    there = {part.section for part in parts}
    brief = _STOP if there.isdisjoint(_BODY) else _PARAGRAPH
    ends = {"indication": _PARAGRAPH, **dict.fromkeys(_BRIEF, brief)}
    for part in parts:
        end = ends.get(part.section) if "findings" not in there else None
        stop = end.search(text, part.start, part.end) if end is not None else None
        if stop is None:
            yield part
        else:
            yield Piece(part.start, stop.end(), part.section)
            yield Piece(stop.end(), part.end, "")


def _headed(text: str, cuts: _Cuts) -> Iterator[Piece]:
    start, name = 0, ""
    for heading in cuts.heading.finditer(text):
        yield Piece(start, heading.start(), name)
        named = heading["name"]
        start = heading.end()
        name = cuts.sections[" ".join(plain(named).split())] if named is not None else ""
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
    if any(map(str.isalnum, text[start:end])):
        yield Piece(start, end, section)


def sentences(text: str, language: Language) -> list[Piece]:
    """Sentences in order, headings left out; points in numbers and parentheses do not end one."""
    cuts = _cuts(language)
    found: list[Piece] = []
    for part in _sections(text, cuts):
        stops = list(_STOP.finditer(text, part.start, part.end))
        brackets = [m.span() for m in _PARENTHESIS.finditer(text, part.start, part.end)]
        hidden = _inside(brackets, [stop.start() for stop in stops])
        start = part.start
        for stop in stops:
            if stop.start() in hidden:
                continue
            before = text[max(start, stop.start() - 12) : stop.start()]
            if stop["end"] and (cuts.abbreviation.search(before) or before.strip().isdigit()):
                continue
            found.extend(_trimmed(text, start, stop.end(), part.section))
            start = stop.end()
        found.extend(_trimmed(text, start, part.end, part.section))
    return found


def clauses(text: str, piece: Piece, language: Language) -> list[Piece]:
    """A sentence cut where negation, certainty and places stop reaching: ";", "but", "there is"; not
    after a place that opens it ("In the left lung, there is …")."""
    brackets = [m.span() for m in _PARENTHESIS.finditer(text, piece.start, piece.end)]
    breaks = list(_cuts(language).breaks.finditer(text, piece.start, piece.end))
    hidden = _inside(brackets, [b.start() for b in breaks])
    found, start = [], piece.start
    for b in breaks:
        if b.start() not in hidden and not _only_a_place(text[start : b.start()], b[0], language):
            found.append(Piece(start, b.start(), piece.section))
            start = b.end()
    found.append(Piece(start, piece.end, piece.section))
    return [p for p in found if p.end > p.start]


def _only_a_place(words: str, mark: str, language: Language) -> bool:
    cues = language.cues
    if mark.strip() != "," or not cues.opening.match(words):
        return False
    return not cues.finite.search(words) and not cues.negation_before.search(words)

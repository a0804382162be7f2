"""Earlier studies that a report compares with, by the dates it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

from sagittal.report.cues import one_of
from sagittal.report.language import Language
from sagittal.report.segment import Piece
from sagittal.report.sizes import dates

_SECTION = "comparison"
_NUMERIC = re.compile(r"(?<![\w/.-])(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Prior:
    """An earlier study, named by the date at ``start``..``end``.

    Args:
        day: None where the text leaves open which number is the day and which the month.
    """

    start: int
    end: int
    day: date | None


@cache
def _compares(language: Language) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{one_of(language.file['comparing']['words'])})(?!\w)", re.IGNORECASE)


def named_priors(text: str, pieces: Sequence[Piece], language: Language) -> Iterator[Prior]:
    """The dates in the sentences that compare, in order of place, each place once."""
    settled = False
    day_first: bool | None = True if language.file["sizes"]["numeric_dates"] else None
    for piece in pieces:
        sentence = text[piece.start : piece.end]
        if not _DIGIT.search(sentence):
            continue
        if piece.section != _SECTION and not _compares(language).search(sentence):
            continue
        if day_first is None and not settled:
            day_first, settled = _order(text), True
        sure = [Prior(d.start, d.end, d.day) for d in dates(sentence, language)]
        figures = _numeric(sentence, day_first=day_first)
        found = [*sure, *(p for p in figures if not any(_overlap(p, s) for s in sure))]
        for prior in sorted(found, key=lambda each: each.start):
            yield Prior(piece.start + prior.start, piece.start + prior.end, prior.day)


def _overlap(one: Prior, other: Prior) -> bool:
    return one.start < other.end and other.start < one.end


def _order(text: str) -> bool | None:
    """Whether the dates of a text have the day first, by those that can be read one way only; None where
    none can, or they differ."""
    pairs = [(int(match[1]), int(match[3])) for match in _NUMERIC.finditer(text)]
    orders = {a > 12 for a, b in pairs if (a > 12) != (b > 12)}
    return orders.pop() if len(orders) == 1 else None


def _numeric(text: str, *, day_first: bool | None) -> Iterator[Prior]:
    """Days in figures; where the order is not known (None), read if only one is possible."""
    for match in _NUMERIC.finditer(text):
        a, b, year = int(match[1]), int(match[3]), int(match[4])
        year += 2000 if len(match[4]) == 2 else 0
        known = {True: [(b, a)], False: [(a, b)], None: [(a, b), (b, a)]}
        orders = known[day_first]
        possible = {day for month, of in orders if (day := _day(year, month, of)) is not None}
        if possible:
            yield Prior(*match.span(), possible.pop() if len(possible) == 1 else None)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None

"""Sizes, dates and notes in parentheses: what a report writes in figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sagittal.report.finding import Measurement
from sagittal.report.stated import CRITERION, QUANTITIES, UNITS, is_reserved

_UNIT_WORDS = {text: ucum for ucum, text in UNITS.items() if text} | {
    "millimeters": "mm",
    "millimetres": "mm",
    "millimeter": "mm",
    "millimetre": "mm",
    "centimeters": "cm",
    "centimetres": "cm",
    "centimeter": "cm",
    "centimetre": "cm",
    "ml": "mL",
    "cc": "mL",
    "hu": "[hnsf'U]",
    "pixel": "{pixel}",
}
_UNIT = "|".join(sorted((re.escape(u) for u in _UNIT_WORDS), key=len, reverse=True))
_NUMBER = r"\d{1,6}(?:[.,]\d{1,3})?"
_QUANTITY = "|".join(sorted((q.replace(" ", r"\s+") for q in (*QUANTITIES, "size")), key=len, reverse=True))
MEASUREMENT = re.compile(
    rf"(?P<head>\bmeasur(?:ing|es|ed|ement)\s+(?:up\s+to\s+|about\s+|approximately\s+)?"
    rf"|\bwith\s+an?\s+(?P<quantity>{_QUANTITY})\s+of\s+(?:up\s+to\s+|about\s+|approximately\s+)?"
    rf"|\b(?P<of>{_QUANTITY})\s+of\s+(?:up\s+to\s+|about\s+|approximately\s+)?)?"
    rf"(?<![\w.,/])(?P<a>-?{_NUMBER})(?:\s*(?:mm|cm)?\s*(?:x|×|by|\*)\s*(?P<b>{_NUMBER}))?"
    rf"(?:\s*(?:mm|cm)?\s*(?:x|×|by|\*)\s*(?P<c>{_NUMBER}))?(?:[\s-]*(?P<unit>{_UNIT})(?![\w'])|(?P<none>))"
    rf"(?:\s+in\s+(?:\w+\s+)?(?P<after>diameter|thickness|thick|length|width|height|depth)\b)?",
    re.IGNORECASE,
)
DETAIL = re.compile(r"\s*\(([^()\n]*)\)")
DISTANCE = re.compile(r"\s+(?:above|below|from|proximal|distal|cranial|caudal)\b", re.IGNORECASE)
BEFORE = re.compile(
    r"(?:previously|formerly|prior|compared\s+(?:to|with)|from)\s*(?:measured\s+)?[:(]?\s*$", re.IGNORECASE
)
THICK = re.compile(r"[\s-]+thick\b", re.IGNORECASE)


@dataclass(frozen=True)
class Measured:
    """A measurement in the text.

    Args:
        start, end: where it stands; ``mask``: from where its words belong to nothing else.
        prior: it is the earlier one ("previously 8 mm").
        distance: it says how far from something ("4 cm above the carina").
        plain: the text does not name the quantity.
    """

    start: int
    end: int
    mask: int
    measurement: Measurement
    prior: bool
    distance: bool
    plain: bool


def _value(text: str) -> float:
    return float(text.replace(",", "."))


def _details(inside: str) -> tuple[str | None, str | None, str | None]:
    """Method, plane and source of the scale from "(axial plane; by calliper; scale: …)"."""
    method = plane = source = None
    for part in (part.strip() for part in inside.split(";")):
        if part.startswith("by "):
            method = part.removeprefix("by ")
        elif part.startswith("scale: "):
            source = part.removeprefix("scale: ")
        elif part.endswith(" plane"):
            plane = part.removesuffix(" plane")
    return method, plane, source


def _quantity(match: re.Match[str], unit: str, thick: bool) -> str:
    named = match["quantity"] or match["of"]
    if named:
        named = " ".join(named.lower().split())
        return "diameter" if named == "size" else named
    after = (match["after"] or "").lower()
    if thick or after == "thick":
        return "thickness"
    if after:
        return after
    return {"mL": "volume", "[hnsf'U]": "density"}.get(unit, "diameter")


def measurements(text: str) -> Iterator[Measured]:
    """Measurements with a unit, and ratios, which have none."""
    at = 0
    while match := MEASUREMENT.search(text, at):
        at = match.end()
        named = match["quantity"] or match["of"]
        if match["unit"] is None and "ratio" not in (named or "").lower():
            continue
        word = match["unit"]
        unit = "1" if word is None else _UNIT_WORDS.get(word) or _UNIT_WORDS[word.lower()]
        thick = THICK.match(text, at) is not None
        quantity = _quantity(match, unit, thick)
        plain = not (named or match["head"] or match["after"] or thick)
        method = plane = source = None
        if detail := DETAIL.match(text, at):
            method, plane, source = _details(detail[1])
            at = detail.end() if method or plane or source else at
        values = tuple(_value(match[name]) for name in "abc" if match[name])
        yield Measured(
            match.start(),
            at,
            match.start("a") if match["of"] else match.start(),
            Measurement(quantity, values, unit, method, plane, source),
            BEFORE.search(text, max(0, match.start() - 40), match.start()) is not None,
            DISTANCE.match(text, match.end()) is not None,
            plain,
        )


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?:" + "|".join(_MONTHS) + r")[a-z]*"
DATE = re.compile(
    rf"\b(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})\b|\b(?P<d>\d{{1,2}})\s+(?P<m>{_MONTH})\.?,?\s+(?P<y>\d{{4}})\b"
    rf"|\b(?P<m2>{_MONTH})\.?\s+(?P<d2>\d{{1,2}}),?\s+(?P<y2>\d{{4}})\b",
    re.IGNORECASE,
)


def date_of(match: re.Match[str]) -> date | None:
    """The day a match of `DATE` names; None where there is no such day."""
    try:
        if match["iso"]:
            return date.fromisoformat(match["iso"])
        day, month, year = match["d"] or match["d2"], match["m"] or match["m2"], match["y"] or match["y2"]
        return date(int(year), _MONTHS.index(month[:3].lower()) + 1, int(day))
    except ValueError:
        return None


@dataclass(frozen=True)
class Details:
    """What stands in parentheses as "(name: value; name: value)"."""

    start: int
    end: int
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Dated:
    """A day in the text."""

    start: int
    end: int
    day: date


_PARENTHESIS = re.compile(r"\(([^()\n]{1,400})\)")
_ITEM = re.compile(r"\s*([a-z][a-z ]{0,29}): ([^;]{1,120}?)\s*")


def details(text: str) -> Iterator[Details]:
    """Attributes and criteria in parentheses; notes on a measurement stay with it."""
    for match in _PARENTHESIS.finditer(text):
        items = [_ITEM.fullmatch(part) for part in match[1].split(";")]
        pairs = tuple((m[1], m[2]) for m in items if m is not None)
        if len(pairs) == len(items) and all(name == CRITERION or not is_reserved(name) for name, _ in pairs):
            yield Details(match.start(), match.end(), pairs)


def dates(text: str) -> Iterator[Dated]:
    """Days written so that they can be read in one way only."""
    for match in DATE.finditer(text):
        day = date_of(match)
        if day is not None:
            yield Dated(match.start(), match.end(), day)

"""Sizes, dates and notes in parentheses: what a report writes in figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

from sagittal.report.cues import one_of, spelled
from sagittal.report.finding import Measurement
from sagittal.report.language import Language
from sagittal.report.stated import CRITERION, UNITS, is_reserved

_NUMBER = r"\d{1,6}(?:[.,]\d{1,3})?"
DETAIL = re.compile(r"\s*\(([^()\n]*)\)")


@dataclass(frozen=True, eq=False)
class _Sizes:
    """How a language writes sizes.

    Args:
        units: word in lower case -> UCUM; ``quantities``: word -> the house's English word.
        after: patterns after a number -> quantity.
        details: patterns of the notes in parentheses -> method, plane, source.
    """

    pattern: re.Pattern[str]
    units: dict[str, str]
    quantities: dict[str, str]
    after: tuple[tuple[re.Pattern[str], str], ...]
    distance: re.Pattern[str]
    before: re.Pattern[str]
    earlier: re.Pattern[str]
    details: tuple[tuple[str, re.Pattern[str]], ...]


@cache
def _sizes(language: Language) -> _Sizes:
    file, table = language.file, language.file["sizes"]
    units = {text.lower(): ucum for ucum, text in UNITS.items() if text}
    units |= {word: ucum for ucum, word in file["units"].items()} | table["units"]
    units = {word.lower(): ucum for word, ucum in units.items()}
    quantities = {word.lower(): name for name, word in file["quantities"].items()}
    quantities |= table["synonyms"]
    unit = "|".join(sorted(map(re.escape, units), key=len, reverse=True))
    quantity = "|".join(sorted((one_of([q]) for q in quantities), key=len, reverse=True))
    with_, of = map(spelled, table["named"])
    about = rf"(?:(?:{one_of(table['about'])})\s+)?"
    by = rf"(?:\s*(?:mm|cm)?\s*(?:{one_of(table['by'])})\s*"
    after = tuple((p, name) for p, name in table["after"].items())
    pattern = re.compile(
        rf"(?P<head>\b(?:{one_of(table['head'])})\s+{about}"
        rf"|\b{with_.replace('@quantity', f'(?P<quantity>{quantity})')}\s+{about}"
        rf"|\b{of.replace('@quantity', f'(?P<of>{quantity})')}\s+{about})?"
        rf"(?<![\w.,/])(?:(?P<low>{_NUMBER})\s*(?:-|–|{one_of(file['recommending']['to'][:1])})\s*(?=\d))?"
        rf"(?P<a>-?{_NUMBER}){by}(?P<b>{_NUMBER}))?{by}(?P<c>{_NUMBER}))?"
        rf"(?:[\s-]*(?P<unit>{unit})(?![\w'])|(?P<none>))",
        re.IGNORECASE,
    )
    notes = {"method": "method", "plane": "plane", "scale": "source"}
    return _Sizes(
        pattern,
        units,
        quantities,
        tuple((re.compile(rf"[\s-]+(?:{one_of([p])})\b", re.IGNORECASE), name) for p, name in after),
        re.compile(rf"\s+(?:{one_of(table['distance'])})\b", re.IGNORECASE),
        re.compile(
            rf"(?:{one_of(table['before'])})\s*(?:(?:{one_of(table['head'])})\s+)?[:(]?\s*$", re.IGNORECASE
        ),
        re.compile(rf"\s+(?:{one_of(table['earlier'])})(?!\w)", re.IGNORECASE),
        tuple((name, _inverse(file["measure"][name], slot)) for name, slot in notes.items()),
    )


def _inverse(template: str, slot: str) -> re.Pattern[str]:
    """What reads back a sentence that was written by a template with one slot."""
    head, tail = template.split("{" + slot + "}")
    return re.compile(rf"{re.escape(head)}(.+){re.escape(tail)}")


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


def _details(inside: str, sizes: _Sizes) -> tuple[str | None, str | None, str | None]:
    """Method, plane and source of the scale from "(axial plane; by calliper; scale: …)"."""
    found: dict[str, str] = {}
    for part in (part.strip() for part in inside.split(";")):
        for name, pattern in sizes.details:
            if match := pattern.fullmatch(part):
                found.setdefault(name, match[1])
                break
    return found.get("method"), found.get("plane"), found.get("scale")


def measurements(text: str, language: Language) -> Iterator[Measured]:
    """Measurements with a unit, and ratios, which have none."""
    sizes, at = _sizes(language), 0
    while match := sizes.pattern.search(text, at):
        at = match.end()
        written = match["quantity"] or match["of"]
        named = sizes.quantities[" ".join(written.lower().split())] if written else None
        if match["unit"] is None and "ratio" not in (named or ""):
            continue
        unit = "1" if match["unit"] is None else sizes.units[match["unit"].lower()]
        quantity = named or {"mL": "volume", "[hnsf'U]": "density"}.get(unit, "diameter")
        after = None
        if written is None:
            after = next(((m, q) for p, q in sizes.after if (m := p.match(text, at))), None)
            if after is not None:
                at, quantity = after[0].end(), after[1]
        end = at
        plain = not (written or match["head"] or after)
        method = plane = source = None
        if detail := DETAIL.match(text, at):
            method, plane, source = _details(detail[1], sizes)
            at = detail.end() if method or plane or source else at
        values = tuple(_value(match[name]) for name in "abc" if match[name])
        mask = match.start("low" if match["low"] else "a") if match["of"] else match.start()
        what = Measurement(quantity, values, unit, method, plane, source)
        distance = sizes.distance.match(text, end) is not None
        prior = sizes.before.search(text, max(0, match.start() - 40), match.start()) is not None
        if match["low"]:
            # "3-5 mm" is two sizes, the smaller first; "from 3 to 5 mm" what was and what is.
            low = replace(what, values=(_value(match["low"]),))
            yield Measured(match.start(), match.end("low"), mask, low, prior, distance, plain)
            yield Measured(match.start("a"), at, match.end("low"), what, False, distance, plain)
            continue
        prior = prior or sizes.earlier.match(text, end) is not None
        yield Measured(match.start(), at, mask, what, prior, distance, plain)


@dataclass(frozen=True, eq=False)
class _Counts:
    """How a language counts: ``pattern`` with the groups n and areas; ``plural`` ends a plural noun."""

    pattern: re.Pattern[str]
    words: tuple[str, ...]
    single: re.Pattern[str]
    plural: re.Pattern[str]

    def number(self, match: re.Match[str]) -> int:
        """The number that a match names."""
        word = match["n"].lower()
        if word.isdecimal():
            return int(word)
        return self.words.index(word) + 1 if word in self.words else 1


@cache
def counts(language: Language) -> _Counts:
    """What reads the numbers of lesions."""
    table = language.file["sizes"]
    words = tuple(table["numbers"])
    single = one_of(table["single"])
    # "her iki" is both, not two.
    both = "".join(f"(?<!{re.escape(word)})" for word in table.get("not_before", ()))
    return _Counts(
        re.compile(
            rf"(?<![\w.,/-]){both}(?P<n>\d{{1,3}}|{'|'.join(words)}|{single})"
            rf"(?!\s*(?:mm|cm|ml|x|×|%|{one_of(table['not_counted'])})\b|[.,/-]?\d|\s*[-×/%.])"
            rf"(?P<areas>\s+(?:{one_of(table['areas'])}))?\b",
            re.IGNORECASE,
        ),
        words,
        re.compile(single, re.IGNORECASE),
        re.compile(rf"{table['plural']}$", re.IGNORECASE),
    )


_ISO = r"\b(?P<iso>\d{4}-\d{2}-\d{2})\b"


@cache
def _dates(language: Language) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """The pattern of days, and the beginnings of the months' names."""
    months = tuple(language.file["sizes"]["months"])
    month = r"(?:" + "|".join(months) + r")\w*"
    pattern = (
        rf"{_ISO}|\b(?P<d>\d{{1,2}})\.?\s+(?:de\s+)?(?P<m>{month})\.?,?\s+(?:de\s+|del\s+)?(?P<y>\d{{4}})\b"
        rf"|\b(?P<m2>{month})\.?\s+(?P<d2>\d{{1,2}}),?\s+(?P<y2>\d{{4}})\b"
    )
    if language.file["sizes"]["numeric_dates"]:
        # Day first, as everybody writes it in that language.
        pattern += r"|\b(?P<d3>\d{1,2})[./-](?P<m3>\d{1,2})[./-](?P<y3>\d{4})\b"
    else:
        pattern += r"|(?P<d3>(?!))(?P<m3>(?!))(?P<y3>(?!))"
    return re.compile(pattern, re.IGNORECASE), months


def _date_of(match: re.Match[str], months: tuple[str, ...]) -> date | None:
    """The day a match names; None where there is no such day."""
    try:
        if match["iso"]:
            return date.fromisoformat(match["iso"])
        if match["y3"]:
            return date(int(match["y3"]), int(match["m3"]), int(match["d3"]))
        day, month, year = match["d"] or match["d2"], match["m"] or match["m2"], match["y"] or match["y2"]
        which = next(i for i, name in enumerate(months, 1) if month.lower().startswith(name))
        return date(int(year), which, int(day))
    except (ValueError, StopIteration):
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
_ITEM = re.compile(r"\s*([^\W\d_][^\W\d_ ]*(?: [^\W\d_]+)*): ([^;]{1,120}?)\s*")


@cache
def _attribute_words(language: Language) -> tuple[dict[str, str], dict[str, str]]:
    """The language's words for attributes and their values -> the house's English words."""
    criterion, _ = language.file["measure"]["criterion"].split(": ")
    known = {word: name for name, word in language.file["attributes"].items()} | {criterion: CRITERION}
    values = language.file["attribute_values"] | language.file.get("criteria", {})
    return known, {word: value for value, word in values.items()}


def details(text: str, language: Language) -> Iterator[Details]:
    """Attributes and criteria in parentheses; notes on a measurement stay with it."""
    known, values = _attribute_words(language)
    reserved = [pattern for _, pattern in _sizes(language).details]
    for match in _PARENTHESIS.finditer(text):
        items = [_ITEM.fullmatch(part) for part in match[1].split(";")]
        if any(item is None or any(p.fullmatch(item[0].strip()) for p in reserved) for item in items):
            continue
        pairs = ((m[1], m[2]) for m in items if m is not None)
        named = tuple((known.get(name, name), values.get(value, value)) for name, value in pairs)
        if all(name == CRITERION or not is_reserved(name) for name, _ in named):
            yield Details(match.start(), match.end(), named)


def dates(text: str, language: Language) -> Iterator[Dated]:
    """Days written so that they can be read in one way only."""
    pattern, months = _dates(language)
    for match in pattern.finditer(text):
        day = _date_of(match, months)
        if day is not None:
            yield Dated(match.start(), match.end(), day)

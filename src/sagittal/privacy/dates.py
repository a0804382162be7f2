"""Dates as six languages write them, and the ones that stand in their place.

All dates of a text move by the same whole number of weeks, so that intervals and weekdays stay true.
Years alone and times of day stay: neither names a day (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C), keeps
the year). An age over 89 is taken out by the same rule.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sagittal.privacy.found import Found
from sagittal.privacy.words import fold

_MONTH_NAMES = {
    "en": (
        "january february march april may june july august september october november december",
        "jan feb mar apr may jun jul aug sep oct nov dec",
        "jan feb mar apr may jun jul aug sept oct nov dec",
    ),
    "de": (
        "januar februar märz april mai juni juli august september oktober november dezember",
        "jan feb mär apr mai jun jul aug sep okt nov dez",
        "jänner feber maerz apr mai juni juli aug sept okt nov dez",
    ),
    "fr": (
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "janv févr mars avr mai juin juil août sept oct nov déc",
    ),
    "es": (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene feb mar abr may jun jul ago sep oct nov dic",
        "enero febrero marzo abril mayo junio julio agosto setiembre octubre noviembre diciembre",
    ),
    "it": (
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "gen feb mar apr mag giu lug ago set ott nov dic",
    ),
    "tr": (
        "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
        "oca şub mar nis may haz tem ağu eyl eki kas ara",
    ),
}
"""Language -> the twelve months, in full and shortened."""


@dataclass(frozen=True)
class _Month:
    number: int
    names: tuple[str, ...]
    """The twelve months in its language and form."""
    full: bool


def _months() -> dict[str, dict[str, _Month]]:
    found: dict[str, dict[str, _Month]] = {}
    for language, rows in _MONTH_NAMES.items():
        for row in rows:
            for number, name in enumerate(row.split(), 1):
                # A rarer spelling moves to the usual names of the other months.
                full = row is rows[0] or len(name) > 4 or name in rows[0].split()
                names = tuple(rows[0 if full else 1].split())
                month = _Month(number, names, full)
                found.setdefault(fold(name), {}).setdefault(language, month)
    return found


_MONTHS = _months()
_ALL = sorted({n for rows in _MONTH_NAMES.values() for row in rows for n in row.split()}, key=len)[::-1]
# Headers and old systems drop the marks ("fevrier", "Agustos").
_SPELT = sorted({*_ALL, *(fold(name) for name in _ALL)}, key=len, reverse=True)
_NAME = rf"(?P<name>{'|'.join(_SPELT)})"
_YEAR = r"(?P<year>(?:19|20)\d{2})"
_YEAR_2 = r"(?P<year>(?:19|20)\d{2}|(?:(?<=[-/])|(?<=[^\W\d_])['’]?|(?<=\s)['’])\d{2}(?![\d:]))"
_BEFORE = r"(?<![\w/])(?<!\d[.,\-])"
_AFTER = r"(?![\w/]|[.,\-]\d|\s{0,2}(?:mm|cm|ml|mg|mgy|hu|kg|%|x|×)(?![\w]))"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_MON = r"(?P<month>0?[1-9]|1[0-2])"
# 12/03/2024, 12.3.2024, 12. 03. 2024, 12-03-24
_NUMBERS = (
    rf"{_BEFORE}(?P<first>\d{{1,2}})(?:(?P<sign>[-/.])|\s?(?P<point>\.)\s)(?P<second>\d{{1,2}})"
    rf"(?:(?P=sign)|\.\s?)(?:{_YEAR}(?!\d)|(?P<short>\d{{2}}){_AFTER})"
)
_FORMS = (
    # 12 March 2024, 12th of March, 12. März 2024, 1er mars, 12 de marzo de 2024, 12-Mar-24, 12MAR2024
    rf"{_BEFORE}{_DAY}(?P<ordinal>st|nd|rd|th|er|°|º|ª)?\.?(?:[ \t\u00a0]{{0,2}}|[-/])"
    rf"(?:(?:of|de|di|del|d['’])\s{{0,2}})?{_NAME}(?!['’]?[^\W\d_]{{3}})"
    rf"(?:\.?,?(?:[ \t\u00a0]{{0,2}}|[-/])(?:(?:de|del|of)\s{{1,2}})?{_YEAR_2})?(?!\d)",
    # March 12, 2024, Mar. 12th
    rf"(?<![\w/-]){_NAME}\.?\s{{1,2}}{_DAY}(?P<ordinal>st|nd|rd|th)?(?:,?\s{{1,2}}{_YEAR})?{_AFTER}",
    # March 2024, mars 2024, marzo de 2024, Mar-2024
    rf"(?<![\w/-]){_NAME}(?:\.?,?\s{{1,2}}|[-/])(?:(?:of|de|del)\s{{1,2}})?{_YEAR}(?!\d|[.,]\d)",
    # 2024-03-12, 2024/3/12, 2024.03.12, 20240312
    rf"{_BEFORE}{_YEAR}(?P<sign>[-/.]){_MON}(?P=sign){_DAY}(?![\d/])",
    rf"(?<![\w.,/-]){_YEAR}(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])(?![\w]|[.,-]\d)",
    _NUMBERS,
    # 03/2024, 2024-03
    rf"{_BEFORE}(?P<month>0[1-9]|1[0-2]|[1-9](?=/))[-/.]{_YEAR}{_AFTER}",
    rf"{_BEFORE}{_YEAR}-(?P<month>0[1-9]|1[0-2]){_AFTER}",
)
_DATES = tuple(re.compile(form, re.IGNORECASE) for form in _FORMS)
# A day and a month without a year look like an image number ("3/12"): something must say that it is a day.
_SAYS_DATE = (
    r"dated|since|as\s+of|performed\s+on|(?:exam|examination|study|scan|radiograph|ct|mri?|film)s?\s+(?:of|from|on|dated)"
    r"|(?:vom|seit|bis)(?:\s+zum)?|am|du|depuis\s+le|le|del|desde\s+el|el|dal|il|al"
)
_SHORT = re.compile(
    rf"\b(?P<lead>{_SAYS_DATE})\s{{1,2}}(?P<first>\d{{1,2}})(?P<sign>[/.])(?P<second>\d{{1,2}})(?P<stop>\.)?{_AFTER}"
    rf"|{_BEFORE}(?P<first_tr>\d{{1,2}})(?P<sign_tr>[/.])(?P<second_tr>\d{{1,2}})(?=\s+tarih)",
    re.IGNORECASE,
)
_WORDS = frozenset({"may", "march", "mar", "set", "ara", "kas", "tem", "gen", "ago"})
_AGE = r"(?P<age>9\d|1[0-2]\d)"
_AGES = re.compile(
    rf"(?<![\w.,/-]){_AGE}(?=[\s-]{{0,2}}(?:(?:years?|yrs?)[\s-]{{0,2}}old|y/?o\b|y\.o\.|yrs?\b|Jahre\s+alt|jährig|jaehrig"
    r"|\.?\s?Lj\b|ans\b|años\b|anni\b|yaş))"
    rf"|\b(?:aged?|alter|âgée?\s+de|edad(?:\s+de)?|età(?:\s+di)?|yaş[ıi]?)\s{{0,2}}:?\s{{0,2}}(?P<said>9\d|1[0-2]\d)(?![\w.,]\d|\d)",
    re.IGNORECASE,
)
_FEWEST_WEEKS, _MOST_WEEKS = 8, 104


def shift_of(seed: int) -> timedelta:
    """How far the dates of a text move: 8 to 104 weeks back, drawn from the seed.

    Whoever knows the seed can undo it: take another one for every study that leaves the house.
    """
    weeks = random.Random(f"sagittal dates {seed}").randint(_FEWEST_WEEKS, _MOST_WEEKS)
    return timedelta(weeks=-weeks)


def _month_first(text: str, known: frozenset[date], language: str) -> bool:
    """Whether 3/4/2024 is the 4th of March here: by dates that can be read in one way, or that are known,
    and else by the language."""
    votes = 0
    for match in re.finditer(_NUMBERS, text):
        if match["sign"] == "/":
            first, second = int(match["first"]), int(match["second"])
            year = _year(match["year"] or match["short"])
            votes += (first <= 12 < second) - (second <= 12 < first)
            votes += 3 * ((_day(year, first, second) in known) - (_day(year, second, first) in known))
    return votes > 0 or (votes == 0 and language == "en")


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _year(text: str) -> int:
    digits = text.lstrip("'’")
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (2000 if int(digits) < 50 else 1900)


def _case(like: str, word: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[0].upper() + word[1:] if like[0].isupper() else word


def _number(like: str, value: int, *, pad: bool) -> str:
    return f"{value:0{2 if pad else 1}d}" if len(like) <= 2 else f"{value:04d}"


def _ordinal(like: str, day: int) -> str:
    if like.lower() in ("st", "nd", "rd", "th"):
        return "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return "" if like.lower() == "er" and day != 1 else like


def _moved(match: re.Match[str], groups: dict[str, str]) -> str:
    """The matched text with some of its groups replaced."""
    spans = sorted((match.start(name), match.end(name), new) for name, new in groups.items())
    pieces, at = [], match.start()
    for start, end, new in spans:
        pieces += [match.string[at:start], new]
        at = end
    return "".join([*pieces, match.string[at : match.end()]])


@dataclass(frozen=True)
class _Reader:
    """How the dates of one text are read and moved."""

    language: str
    month_first: bool
    year: int
    shift: timedelta

    def of(self, match: re.Match[str]) -> Found | None:
        """The date that a match of one of `_DATES` names, and the one in its place."""
        groups = match.groupdict()
        if groups.get("name"):
            return self._named(match, groups)
        if groups.get("first"):
            return self._numbered(match, "first", "second", groups.get("sign") or ".")
        month, day = int(groups["month"]), int(groups.get("day") or 15)
        this = _day(_year(groups["year"]), month, day)
        if this is None:
            return None
        parts = [name for name in ("year", "month", "day") if groups.get(name)]
        return self._found(match, this, parts)

    def _named(self, match: re.Match[str], groups: dict[str, str | None]) -> Found | None:
        name = groups["name"] or ""
        known = _MONTHS.get(fold(name))
        if known is None:
            return None
        month = known.get(self.language) or next(iter(known.values()))
        day, year = groups.get("day"), groups["year"]
        # "Set", "gen", "may" are words too: a capital, the language, or a day and a year make them months.
        word = fold(name) in _WORDS and not name[0].isupper()
        if (word or (not month.full and self.language not in known)) and not (day and year):
            return None
        this = _day(_year(year) if year else self.year, month.number, int(day) if day else 15)
        if this is None:
            return None
        return self._found(match, this, [n for n in ("day", "name", "year") if groups.get(n)], month)

    def short(self, match: re.Match[str]) -> Found | None:
        """A day and a month without a year."""
        if match["first"]:
            needs_stop = match["lead"].lower() in ("vom", "am", "seit", "bis", "bis zum", "al")
            if match["sign"] == "." and needs_stop and not match["stop"]:
                return None
            found = self._numbered(match, "first", "second", match["sign"])
            lead = match.end("lead") - match.start()
            return found and _trimmed(found, match, lead)
        return self._numbered(match, "first_tr", "second_tr", match["sign_tr"])

    def _numbered(self, match: re.Match[str], first: str, second: str, sign: str) -> Found | None:
        groups = match.groupdict()
        a, b = int(match[first]), int(match[second])
        text = groups.get("year") or groups.get("short")
        year = _year(text) if text else self.year
        month_first = b > 12 or (a <= 12 and sign != "." and self.month_first)
        month, day = (first, second) if month_first else (second, first)
        this = _day(year, int(match[month]), int(match[day]))
        if this is None:
            return None
        parts = [name for name in ("year", "short") if groups.get(name)]
        return self._found(match, this, parts, places={month: "month", day: "day"})

    def _found(
        self,
        match: re.Match[str],
        this: date,
        parts: Sequence[str],
        month: _Month | None = None,
        places: dict[str, str] | None = None,
    ) -> Found:
        meaning = {name: name for name in parts} | (places or {})
        key = " ".join(str(getattr(this, what)) for what in ("year", "month", "day"))
        try:
            moved = this + self.shift
        except OverflowError:
            return Found(match.start(), match.end(), "DATE", key)
        numbers = [match[name] for name, what in meaning.items() if what in ("day", "month")]
        pad = all(len(n) == 2 for n in numbers)
        new: dict[str, str] = {}
        for name, what in meaning.items():
            like = match[name]
            if what == "name" and month is not None:
                new[name] = _case(like, month.names[moved.month - 1])
            elif what in ("year", "short"):
                digits = like.lstrip("'’")
                mark = like[: len(like) - len(digits)]
                new[name] = mark + (f"{moved.year:04d}" if len(digits) == 4 else f"{moved.year % 100:02d}")
            else:
                new[name] = _number(like, getattr(moved, what), pad=pad)
        if match.groupdict().get("ordinal"):
            new["ordinal"] = _ordinal(match["ordinal"], moved.day)
        return Found(match.start(), match.end(), "DATE", key, _moved(match, new))


def _trimmed(found: Found, match: re.Match[str], lead: int) -> Found:
    """Without the word that said it was a date."""
    gap = len(match.string[match.start() + lead : match.start("first")])
    instead = None if found.instead is None else found.instead[lead + gap :]
    return Found(found.start + lead + gap, found.end, found.kind, found.key, instead)


def dates(
    text: str, known: Sequence[date] = (), language: str = "en", shift: timedelta | None = None
) -> Iterator[Found]:
    """Every date that names a day or a month of a year, with the one that takes its place.

    Args:
        known: dates of the header; they settle whether the day or the month stands first, and the year of
            dates that have none.
        language: ISO 639-1 code of the text.
        shift: how far dates move; None: as `shift_of(0)`.
    """
    moves = shift_of(0) if shift is None else shift
    here = frozenset(known)
    year = max(here).year if here else 2024
    reader = _Reader(language, _month_first(text, here, language), year, moves)
    for form in _DATES:
        for match in form.finditer(text):
            if (found := reader.of(match)) is not None:
                yield found
    for match in _SHORT.finditer(text):
        if (found := reader.short(match)) is not None:
            yield found


def ages(text: str) -> Iterator[Found]:
    """Ages over 89."""
    for match in _AGES.finditer(text):
        name = "age" if match["age"] else "said"
        yield Found(match.start(name), match.end(name), "AGE", match[name])

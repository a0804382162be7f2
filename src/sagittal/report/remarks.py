"""What a report says beside its findings: what limited the examination, and what to do next.

The list is ``concepts/phrases.toml``; the words are the tables [limitations], [recommendations] and
[recommending] of ``languages/*.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import chain, pairwise
from typing import Literal

from sagittal.report.cues import one_of
from sagittal.report.finding import Presence
from sagittal.report.language import Language
from sagittal.report.language import language as _language
from sagittal.report.literals import compiled, may_match
from sagittal.report.memory import remembered
from sagittal.report.names import DEFAULT, Name, document
from sagittal.report.presence import said_of
from sagittal.report.segment import Piece, sentences
from sagittal.report.sentence import KEPT

RemarkKind = Literal["limitation", "recommendation"]
_TABLES: dict[RemarkKind, str] = {"limitation": "limitations", "recommendation": "recommendations"}
_SECTION = "recommendation"


@dataclass(frozen=True)
class Remark:
    """A limitation or a recommendation.

    Args:
        key, meaning: its name in this house, and in English.
        exams: where it occurs; empty for anywhere.
        technique: how an examination is done: where a sentence recommends, it is what is asked for.
        forbidden: the house does not write it (CLINICAL: never "correlate clinically").
    """

    key: str
    kind: RemarkKind
    meaning: str
    exams: tuple[str, ...] = ()
    technique: bool = False
    forbidden: bool = False

    def name(self, language: str = DEFAULT) -> Name:
        """Its words in a language."""
        return _names(language, self.kind)[self.key]


@dataclass(frozen=True)
class Interval:
    """How long to wait: from ``low`` to ``high`` in a UCUM unit (d, wk, mo, a)."""

    low: int
    high: int
    unit: str


@dataclass(frozen=True)
class Remarked:
    """A remark that a text makes with the words at ``start``..``end``.

    Args:
        interval: of a recommendation: when.
        denied: the text says that it is not so ("no motion artefact", "no follow-up is needed").
    """

    remark: Remark
    start: int
    end: int
    interval: Interval | None = None
    denied: bool = False


@cache
def remarks(kind: RemarkKind) -> tuple[Remark, ...]:
    """All limitations, or all recommendations."""
    path = resources.files("sagittal.report").joinpath("concepts", "phrases.toml")
    rows = tomllib.loads(path.read_text("utf-8"))[_TABLES[kind]]
    return tuple(
        Remark(
            key,
            kind,
            row["meaning"],
            tuple(row.get("exams", ())),
            row.get("technique", False),
            row.get("forbidden", False),
        )
        for key, row in rows.items()
    )


@cache
def _names(language: str, kind: RemarkKind) -> dict[str, Name]:
    rows = document(language)[_TABLES[kind]]
    return {
        key: Name(
            row["term"], synonyms=tuple(row.get("synonyms", ())), patterns=tuple(row.get("patterns", ()))
        )
        for key, row in rows.items()
    }


def _literal(phrase: str) -> str:
    """A phrase as a pattern: any white space or hyphens between its words, and an ending after it."""
    words = r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", phrase)))
    return words + ("(?:e?s)?" if len(phrase) > 3 else "")


@dataclass(frozen=True, eq=False)
class _Reader:
    """How a language makes its remarks.

    Args:
        ahead: an interval to come ("in 3 months"); ``yearly``: every year; either asks for what is named
            beside it, where no word of ``past`` says that it was.
        joins: stands between things that share no interval.
    """

    limitations: tuple[tuple[Remark, re.Pattern[str]], ...]
    recommendations: tuple[tuple[Remark, re.Pattern[str]], ...]
    asks: re.Pattern[str]
    declines: re.Pattern[str]
    ahead: re.Pattern[str]
    yearly: re.Pattern[str]
    past: re.Pattern[str]
    spelled: re.Pattern[str]
    interval: re.Pattern[str]
    numbers: dict[str, int]
    units: dict[str, re.Pattern[str]]
    joins: re.Pattern[str]


def _words(remark: Remark, language: Language) -> re.Pattern[str]:
    name = remark.name(language.code)
    phrases = sorted({name.term, *name.synonyms}, key=len, reverse=True)
    parts = [*map(_literal, phrases), *(p.replace(" ", r"\s+") for p in name.patterns)]
    return compiled(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)")


def _long(unit: str) -> bool:
    """Whether it is no mere abbreviation ("mo"), which other words hold too."""
    return len(re.sub(r"\W", "", unit)) > 3


@cache
def _reader(language: Language) -> _Reader:
    table = language.file["recommending"]
    words = language.file["sizes"]["numbers"]
    number = rf"\d{{1,3}}|{'|'.join(words)}"
    units = "|".join(one_of(names) for names in table["units"].values())
    interval = (
        rf"(?<![\w.,/])(?P<low>{number})(?:\s*(?:-|–|{one_of(table['to'])})\s*(?P<high>{number}))?"
        rf"[\s-]*(?P<unit>{units})(?!\w)"
    )
    bare = re.sub(r"\?P<\w+>", "?:", interval)
    return _Reader(
        tuple((remark, _words(remark, language)) for remark in remarks("limitation")),
        tuple((remark, _words(remark, language)) for remark in remarks("recommendation")),
        compiled(rf"(?<!\w)(?:{one_of(table['asks'])})(?!\w)"),
        compiled(rf"(?<!\w)(?:{one_of(table['declines'])})(?!\w)"),
        compiled(rf"(?<!\w)(?:{one_of(table['ahead']).replace('@interval', bare)})(?!\w)"),
        compiled(rf"(?<!\w)(?:{one_of(table['yearly'])})(?!\w)"),
        compiled(rf"(?<!\w)(?:{one_of(table['past'])})(?!\w)"),
        compiled(one_of([*filter(_long, chain(*table["units"].values())), *table["yearly"]])),
        re.compile(interval, re.IGNORECASE),
        {word: n for n, word in enumerate(words, 1)},
        {unit: re.compile(one_of(names), re.IGNORECASE) for unit, names in table["units"].items()},
        re.compile(rf",|\b(?:{one_of(language.file['cues']['attach']['and'][:1])})\b", re.IGNORECASE),
    )


def read_remarks(text: str, language: str = DEFAULT) -> tuple[Remarked, ...]:
    """Limitations and recommendations that a text names, in order of place.

    A recommendation needs a word that asks for it in the same sentence ("CT is recommended"), or stands
    under that heading: "CT of the chest" alone says what was done. Where one phrase stands inside
    another of the same kind, the longer counts.
    """
    spoken = _language(language)
    return tuple(remarked(text, sentences(text, spoken), spoken))


def remarked(text: str, pieces: Sequence[Piece], language: Language) -> Iterator[Remarked]:
    """The remarks of a text's sentences, in order of place."""
    for piece in pieces:
        for each in _in_sentence(text[piece.start : piece.end], piece.section, language):
            yield replace(each, start=each.start + piece.start, end=each.end + piece.start)


@remembered(KEPT)
def _in_sentence(text: str, section: str, language: Language) -> tuple[Remarked, ...]:
    reader, lowered = _reader(language), text.lower()
    declined = may_match(reader.declines, lowered) and reader.declines.search(text) is not None
    asked = declined or section == _SECTION
    asked = asked or (may_match(reader.asks, lowered) and reader.asks.search(text) is not None)
    asked = asked or _ahead(text, lowered, section, reader, language)
    hits = [
        Remarked(remark, *match.span())
        for remark, pattern in (*reader.limitations, *(reader.recommendations if asked else ()))
        if may_match(pattern, lowered) and not (asked and remark.technique)
        for match in pattern.finditer(text)
    ]
    if not hits:
        return ()
    hits = [hit for hit in hits if not any(_inside(hit, other) for other in hits)]
    # Once a sentence: who repeats a word in it recommends nothing twice.
    hits = sorted({hit.remark: hit for hit in reversed(hits)}.values(), key=lambda hit: (hit.start, hit.end))
    said = said_of(text, [(hit.start, hit.end) for hit in hits], section, language)
    when = _intervals(text, hits, reader)
    if not any(when) and reader.yearly.search(text):
        when = [Interval(1, 1, "a") if hit.remark.kind == "recommendation" else None for hit in hits]
    return tuple(
        replace(
            hit,
            interval=interval,
            denied=each.presence is Presence.ABSENT or (declined and hit.remark.kind == "recommendation"),
        )
        for hit, each, interval in zip(hits, said, when, strict=True)
    )


_DIGIT = re.compile(r"\d")
_SILENT = ("technique", "comparison", "indication")


def _ahead(text: str, lowered: str, section: str, reader: _Reader, language: Language) -> bool:
    """Whether it speaks of a time to come: "CT in 3 months", not "CT 3 months ago showed …"."""
    if section in _SILENT:
        return False
    # A figure, or a unit spelled out: few sentences have one.
    if not (_DIGIT.search(text) or may_match(reader.spelled, lowered)):
        return False
    if not (reader.ahead.search(text) or reader.yearly.search(text)):
        return False
    return reader.past.search(text) is None and language.cues.change.pattern.search(text) is None


def _inside(hit: Remarked, other: Remarked) -> bool:
    longer = other.end - other.start > hit.end - hit.start
    return (
        hit.remark.kind == other.remark.kind and longer and other.start <= hit.start and hit.end <= other.end
    )


def _intervals(text: str, hits: Sequence[Remarked], reader: _Reader) -> list[Interval | None]:
    """The interval of each recommendation: what stands after it, or before all of them.

    "CT or MR in 3 months" gives both the same; "biopsy, and CT in 3 months" only the CT.
    """
    found: dict[int, Interval | None] = {}
    asked = [i for i, hit in enumerate(hits) if hit.remark.kind == "recommendation"]
    for match in reader.interval.finditer(text):
        before = [i for i in asked if hits[i].start < match.start()]
        group = before[-1:] or asked[:1]
        chain = list(reversed(before)) if before else asked
        for last, i in pairwise(chain):
            left, right = sorted((hits[last], hits[i]), key=lambda hit: hit.start)
            if reader.joins.search(text, left.end, right.start):
                break
            group.append(i)
        for i in group:
            found.setdefault(i, _interval(match, reader))
    return [found.get(i) for i in range(len(hits))]


def _interval(match: re.Match[str], reader: _Reader) -> Interval:
    low, high = (_number(match[name], reader) for name in ("low", "high"))
    unit = next(unit for unit, pattern in reader.units.items() if pattern.fullmatch(match["unit"]))
    return Interval(low or 0, max(low or 0, high or low or 0), unit)


def _number(word: str | None, reader: _Reader) -> int | None:
    if word is None:
        return None
    return int(word) if word.isdecimal() else reader.numbers.get(word.lower())

"""What a report says beside its findings: what limited the examination, and what to do next.

The list is ``concepts/phrases.toml``; the words are the tables [limitations], [recommendations] and
[recommending] of ``languages/*.toml``.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from sagittal.report.names import DEFAULT, Name, document

RemarkKind = Literal["limitation", "recommendation"]
_TABLES: dict[RemarkKind, str] = {"limitation": "limitations", "recommendation": "recommendations"}
_SENTENCE_END = re.compile(r"(?<!\bi\.v)[.!?](?=\s|$)|\n\s*\n|;")


@dataclass(frozen=True)
class Remark:
    """A limitation or a recommendation.

    Args:
        key, meaning: its name in this house, and in English.
        exams: where it occurs; empty for anywhere.
        forbidden: the house does not write it (CLINICAL: never "correlate clinically").
    """

    key: str
    kind: RemarkKind
    meaning: str
    exams: tuple[str, ...] = ()
    forbidden: bool = False

    def name(self, language: str = DEFAULT) -> Name:
        """Its words in a language."""
        return _names(language, self.kind)[self.key]


@dataclass(frozen=True)
class Remarked:
    """A remark that a text makes with the words at ``start``..``end``."""

    remark: Remark
    start: int
    end: int


@cache
def remarks(kind: RemarkKind) -> tuple[Remark, ...]:
    """All limitations, or all recommendations."""
    path = resources.files("sagittal.report").joinpath("concepts", "phrases.toml")
    rows = tomllib.loads(path.read_text("utf-8"))[_TABLES[kind]]
    return tuple(
        Remark(key, kind, row["meaning"], tuple(row.get("exams", ())), row.get("forbidden", False))
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


@cache
def _patterns(language: str, kind: RemarkKind) -> tuple[tuple[Remark, re.Pattern[str]], ...]:
    found = []
    for remark in remarks(kind):
        name = remark.name(language)
        phrases = sorted({name.term, *name.synonyms}, key=len, reverse=True)
        parts = [*map(_literal, phrases), *(p.replace(" ", r"\s+") for p in name.patterns)]
        found.append((remark, re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE)))
    return tuple(found)


@cache
def _asks(language: str) -> re.Pattern[str]:
    words = (p.replace(" ", r"\s+") for p in document(language)["recommending"]["asks"])
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def read_remarks(text: str, language: str = DEFAULT) -> tuple[Remarked, ...]:
    """Limitations and recommendations that a text names, in order of place.

    A recommendation needs a word that asks for it in the same sentence ("CT is recommended"): "CT of the
    chest" alone says what was done. Whether the words are denied is not judged here; see
    `sagittal.report.parse.presence`. Where one phrase stands inside another of the same kind, the longer
    counts.
    """
    found = []
    start = 0
    for end in [*(m.end() for m in _SENTENCE_END.finditer(text)), len(text)]:
        kinds: list[RemarkKind] = ["limitation"]
        if _asks(language).search(text, start, end):
            kinds.append("recommendation")
        for kind in kinds:
            hits = [
                Remarked(remark, m.start(), m.end())
                for remark, pattern in _patterns(language, kind)
                for m in pattern.finditer(text, start, end)
            ]
            found += [hit for hit in hits if not any(_inside(hit, other) for other in hits)]
        start = end
    return tuple(sorted(found, key=lambda hit: (hit.start, hit.end)))


def _inside(hit: Remarked, other: Remarked) -> bool:
    longer = other.end - other.start > hit.end - hit.start
    return longer and other.start <= hit.start and hit.end <= other.end

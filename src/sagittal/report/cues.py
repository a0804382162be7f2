"""The small words that decide what a sentence says of a finding: negation, certainty, time, side,
number, severity, change. Compiled from a language's file; no state.

In a file a space in a pattern stands for any white space, ’ for any apostrophe, and ``@name`` for the
fragment of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sagittal.report.finding import Certainty, ChangeKind, Laterality, Severity, Temporality
from sagittal.report.literals import compiled

V = TypeVar("V")
_LOOK_BEHIND = re.compile(r"(\(\?<[!=][^)]*\))")
_END = r"(?:(?<=['’])|(?!\w))"
"""The end of a word; an elision ("d'") ends at its apostrophe."""
_FRAGMENT = re.compile(r"@(\w+)")


def spelled(pattern: str) -> str:
    """A pattern of a file as a regular expression: a space is any white space, ’ any apostrophe."""
    parts = _LOOK_BEHIND.split(pattern.replace("’", "['’]"))
    return "".join(p.replace(" ", r"\s" if p.startswith("(?<") else r"\s+") for p in parts)


def one_of(patterns: Iterable[str]) -> str:
    """One of the patterns of a file, without brackets; where there are none, what never matches."""
    return "|".join(map(spelled, patterns)) or "(?!)"


@dataclass(frozen=True, eq=False)
class Table(Generic[V]):
    """Patterns that each mean a value; where several fit at a place, the first of the file counts."""

    pattern: re.Pattern[str]
    values: tuple[V, ...]

    def value(self, match: re.Match[str]) -> V:
        """What a match of ``pattern`` means."""
        return self.values[int(str(match.lastgroup)[1:])]


@dataclass(frozen=True, eq=False)
class Cues:
    """The patterns of one language. Those named alike in English and elsewhere mean the same:
    see the comments in ``languages/en.toml``."""

    negation_before: re.Pattern[str]
    negation_near: re.Pattern[str]
    negation_pseudo: re.Pattern[str]
    negation_after: re.Pattern[str]
    negation_end: re.Pattern[str]
    cause: re.Pattern[str]
    negation_inside: re.Pattern[str]
    absence: re.Pattern[str]
    finite: re.Pattern[str]
    coordinated: re.Pattern[str]
    joined: re.Pattern[str]
    with_: re.Pattern[str]
    partly: re.Pattern[str]
    glue: re.Pattern[str]
    or_: re.Pattern[str]
    not_assessed_before: re.Pattern[str]
    not_assessed_after: re.Pattern[str]
    not_assessed_colon: re.Pattern[str]
    certainty_after: re.Pattern[str]
    always_after: re.Pattern[str]
    anaphora: re.Pattern[str]
    family: re.Pattern[str]
    historical: re.Pattern[str]
    later: Table[Temporality]
    done: re.Pattern[str]
    formerly: re.Pattern[str]
    placed: re.Pattern[str]
    hypothetical: re.Pattern[str]
    certainty: tuple[tuple[Certainty | None, re.Pattern[str]], ...]
    side: Table[Laterality]
    severity: Table[tuple[Severity, bool]]
    change: Table[ChangeKind]
    adjective: Table[tuple[str, str]]
    subjects: tuple[tuple[str, re.Pattern[str]], ...]
    normal_after: re.Pattern[str]
    normal_before: re.Pattern[str]
    normal_part: re.Pattern[str]
    one_side: re.Pattern[str]
    apart: re.Pattern[str]
    preposition: re.Pattern[str]
    opening: re.Pattern[str]
    shows: re.Pattern[str]
    and_: re.Pattern[str]
    loose: re.Pattern[str]
    beside: re.Pattern[str]
    list_: re.Pattern[str]
    is_: re.Pattern[str]
    is_firmly: re.Pattern[str]
    into: re.Pattern[str]
    of: frozenset[str]


@dataclass(frozen=True)
class _Writer:
    fragments: Mapping[str, str]

    def raw(self, pattern: str) -> str:
        """The pattern with its fragments and white space spelled out."""
        pattern = _FRAGMENT.sub(lambda m: f"(?:{self.raw(self.fragments[m[1]])})", pattern)
        return spelled(pattern)

    def any(self, patterns: Iterable[str]) -> str:
        """One of the patterns; without any, what never matches."""
        return "(?:" + ("|".join(map(self.raw, patterns)) or r"(?!)") + ")"

    def whole(self, patterns: Iterable[str]) -> re.Pattern[str]:
        """One of the patterns, as whole words."""
        return compiled(rf"(?<!\w){self.any(patterns)}{_END}")

    def table(self, rows: Iterable[tuple[V, list[str]]]) -> Table[V]:
        kept = [(value, patterns) for value, patterns in rows if patterns]
        named = "|".join(f"(?P<v{i}>{self.any(patterns)})" for i, (_, patterns) in enumerate(kept))
        pattern = rf"(?<!\w)(?:{named or '(?!)'})(?!\w)"
        return Table(compiled(pattern), tuple(value for value, _ in kept))


_SEVERITIES = {
    "moderate_span": (Severity.MODERATE, False),
    "severe_span": (Severity.SEVERE, False),
    "mild": (Severity.MILD, False),
    "moderate": (Severity.MODERATE, False),
    "severe": (Severity.SEVERE, False),
    "mild_size": (Severity.MILD, True),
    "severe_size": (Severity.SEVERE, True),
}
"""Name in the file -> grade, and whether it grades only what is graded by size."""


def read_cues(file: Mapping[str, Any], adjectives: Mapping[str, tuple[str, str]]) -> Cues:
    """The cues of a language's file.

    Args:
        adjectives: pattern of an adjective as the house writes it -> attribute name and value.
    """
    write = _Writer(file["fragments"])
    cues, normal, attach = file["cues"], file["cues"]["normal"], file["cues"]["attach"]
    ignored = re.IGNORECASE
    and_ = write.any(attach["and"])
    spoken = [*cues["adjective"].items()]
    return Cues(
        **{
            name: write.whole(cues[name])
            for name in (
                *("negation_before", "negation_after", "negation_end", "negation_inside", "absence"),
                *("finite", "partly", "always_after", "family", "historical", "hypothetical"),
                *("not_assessed_before", "not_assessed_after", "not_assessed_colon"),
            )
        },
        **{
            name: write.whole(cues.get(name, ()))
            for name in (
                "cause",
                "negation_near",
                "negation_pseudo",
                "done",
                "formerly",
                "placed",
                "anaphora",
            )
        },
        with_=write.whole(cues["with"]),
        coordinated=re.compile(rf"^\s*(?:,\s*)?{write.any(cues['coordinated'])}(?!\w)", ignored),
        joined=write.whole(cues["coordinated"]),
        glue=re.compile(rf"(?:\W|(?<!\w){write.any(cues['glue'])}(?!\w))*", ignored),
        or_=re.compile(rf"\s*{write.any(cues['or'])}(?!\w)", ignored),
        certainty_after=re.compile(rf"(?<!\w){write.any(cues['certainty_after'])}\s*$", ignored),
        certainty=tuple(
            (None if word == "uncertain" else Certainty(word), write.whole(patterns))
            for word, patterns in cues["certainty"].items()
        ),
        later=write.table(
            [
                (Temporality.FAMILY, cues["family_after"]),
                (Temporality.HISTORICAL, cues["historical_after"]),
            ]
        ),
        side=write.table((Laterality(side), patterns) for side, patterns in cues["side"].items()),
        severity=write.table((_SEVERITIES[grade], patterns) for grade, patterns in cues["severity"].items()),
        change=write.table((ChangeKind(kind), patterns) for kind, patterns in cues["change"].items()),
        adjective=write.table(
            [((name, value), [pattern]) for pattern, (name, value) in adjectives.items()]
            + [(tuple(value.split(" ", 1)), patterns) for value, patterns in spoken]
        ),
        subjects=tuple((key, write.whole(patterns)) for key, patterns in cues["subject"].items()),
        normal_after=re.compile(write.any(normal["after"]), ignored),
        normal_before=re.compile(rf"(?<!\w){write.any(normal['before'])}", ignored),
        normal_part=re.compile(rf"{write.any(normal['part'])}(?!\w)", ignored),
        one_side=re.compile(rf"(?<!\w){write.any(normal['one_side'])}", ignored),
        apart=re.compile(rf"[,:;()]|(?<!\w){write.any(attach['apart'])}(?!\w)", ignored),
        preposition=re.compile(
            rf"(?<!\w){write.any(attach['preposition'])}(?:\s+|(?<=['’]))(?:[\w'’-]+\s+){{0,3}}$", ignored
        ),
        opening=re.compile(rf"^\W*{write.any(attach['opening'])}(?!\w)", ignored),
        shows=re.compile(rf"(?<!\w){write.any(attach['shows'])}(?!\w)|:", ignored),
        and_=re.compile(rf"\s*(?:,|,?\s*{and_}|/|&)?\s*(?:{write.any(attach['and_at'])}\s+)?", ignored),
        loose=re.compile(rf"[\s,]*(?:{write.any(attach['more'])})?", ignored),
        beside=re.compile(rf"\s*,?\s*{write.any(attach.get('beside', ()))}\s*", ignored),
        list_=re.compile(rf"[\s,]*{and_}?[\s,]*", ignored),
        is_=re.compile(rf"[\s,]*{write.any(attach['is'])}?\s*", ignored),
        is_firmly=re.compile(rf"\s+{write.any(attach['is_firmly'])}", ignored),
        into=re.compile(write.any(attach["into"]), ignored),
        of=frozenset(attach["of"]),
    )

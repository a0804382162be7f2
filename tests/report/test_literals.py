"""A pattern that may be skipped is one that matches nowhere."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.report.language import language
from sagittal.report.lexicon import _patterns
from sagittal.report.literals import Sieve, compiled, may_match, needed
from sagittal.report.names import languages


@pytest.mark.parametrize(
    ("source", "pieces"),
    [
        ("no|without", ("no", "without")),
        (r"(?<!\w)(?:no|without)(?!\w)", ("no", "without")),
        (r"blunt\w*\s+(?:of\s+)?the", ("blunt",)),
        (r"(?:is|are)\s+not\s+(?:\w+\s+)?(?:an?|any)", ("not",)),
        ("foo?", ("fo",)),
        ("colou?rs", ("colo",)),
        ("ab*c", None),
        ("[ab]cd", ("cd",)),
        ("[]]cd[^]x]", ("cd",)),
        (r"a\sbc{2,3}d", ("bc",)),
        ("(?:ab)?c", None),
        ("(?:ab){0,2}c", None),
        ("(?P<v1>abc)|(?P<v2>bcd)", ("abc", "bcd")),
        ("unchanged|changed", ("changed",)),
        (r"x\|yz", ("yz",)),
        ("(?!no)", None),
        ("é", None),
    ],
)
def test_what_a_pattern_needs(source: str, pieces: tuple[str, ...] | None) -> None:
    assert needed(source) == pieces


def every_pattern() -> list[re.Pattern[str]]:
    found = [pattern for code in languages() for _, pattern in _patterns(language(code))]
    for code in languages():
        cues = language(code).cues
        for each in fields(cues):
            value = getattr(cues, each.name)
            for one in value if isinstance(value, tuple) else (value,):
                one = one[1] if isinstance(one, tuple) else getattr(one, "pattern", one)
                found += [one] if isinstance(one, re.Pattern) else []
    return found


PATTERNS = every_pattern()
SIEVE = Sieve(PATTERNS)
WORDS = sorted({w for p in PATTERNS for w in re.findall(r"[a-zA-Z]{2,}", p.pattern)})


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(list(",;:.-/'’ "))), max_size=12))
def test_nothing_that_matches_is_skipped(words: list[str]) -> None:
    text = " ".join(words)
    lowered = text.lower()
    for pattern in PATTERNS:
        assert pattern.search(text) is None or may_match(pattern, lowered)


@given(st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(list(",;:.-/'’ "))), max_size=12))
def test_a_sieve_keeps_what_may_match(words: list[str]) -> None:
    lowered = " ".join(words).lower()
    kept = [i for i, pattern in enumerate(PATTERNS) if may_match(pattern, lowered)]
    assert SIEVE(lowered) == kept


def test_most_patterns_are_skipped_in_a_plain_sentence() -> None:
    lowered = "the bones are osteopenic"
    tried = sum(may_match(pattern, lowered) for pattern in PATTERNS)
    assert tried < len(PATTERNS) / 3


def test_a_text_beyond_ascii_is_always_looked_at() -> None:
    assert may_match(compiled("straight"), "ſtraight")
    assert not may_match(compiled("straight"), "curved")

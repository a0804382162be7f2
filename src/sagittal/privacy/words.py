"""Words that look like names and are none, or not always."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from sagittal.report.memory import remembered
from sagittal.report.names import document, languages

_SPECIAL = str.maketrans({"ı": "i", "ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d"})
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_LETTERS = re.compile(r"[^\W\d_]{2,}")


@remembered(65536)
def fold(word: str) -> str:
    """Lower case, Latin letters without their marks: "MÜLLER", "Müller" and "Muller" are one word."""
    word = word.lower()
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(c for c in decomposed if c.isalpha() and not unicodedata.combining(c)).translate(_SPECIAL)


@remembered(65536)
def spelt_out(word: str) -> str:
    """`fold` with the umlauts as two letters, as headers without umlauts have them ("MUELLER")."""
    return fold(unicodedata.normalize("NFC", word.lower()).translate(_UMLAUTS))


def _lines(name: str) -> frozenset[str]:
    text = resources.files("sagittal.privacy").joinpath(name).read_text("utf-8")
    kept = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(fold(word) for line in kept for word in line.split())


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


@cache
def clinical() -> frozenset[str]:
    """Words of the report vocabulary in every language that is there, folded."""
    tables = (_strings(document(code)) for code in languages())
    found = {fold(m[0]) for table in tables for text in table for m in _LETTERS.finditer(text)}
    return frozenset(found - eponyms())


@cache
def eponyms() -> frozenset[str]:
    """Names that stand for signs, diseases, devices, scales; folded."""
    return _lines("eponyms.txt")


@cache
def double() -> frozenset[str]:
    """Words of reports that are names of people as well ("Short", "Stein"); folded."""
    return _lines("common_words.txt")


@cache
def common() -> frozenset[str]:
    """Words that a report may use without meaning a person; folded."""
    return double() | clinical()

"""One language: its grammar for writing and its cues for reading, from ``languages/*.toml``."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from sagittal.errors import BadInput
from sagittal.report.cues import Cues, read_cues
from sagittal.report.memory import remembered
from sagittal.report.names import DEFAULT, Name, SiteName, document, languages, names, site_names
from sagittal.report.stated import ADJECTIVES

Forms = str | Mapping[str, str]
"""A word, or its forms by gender ("m", "f", "n") and number ("p", or "mp", "fp", "np")."""

_MARKS = {ord("ı"): "i", ord("ß"): "ss", ord("œ"): "oe", ord("æ"): "ae"}


def form(word: Forms, gender: str = "", plural: bool = False) -> str:
    """The form of a word that agrees with a gender and number."""
    if isinstance(word, str):
        return word
    wanted = (f"{gender}p", "p") if plural else (gender,)
    return next((word[key] for key in wanted if key in word), next(iter(word.values())))


def forms(word: Forms) -> tuple[str, ...]:
    """All forms of a word."""
    return (word,) if isinstance(word, str) else tuple(dict.fromkeys(word.values()))


@dataclass(frozen=True, eq=False)
class Language:
    """A language by its ISO 639-1 code; ``file`` holds the tables of its file."""

    code: str
    file: Mapping[str, Any]

    @property
    def grammar(self) -> Mapping[str, Any]:
        """How a noun phrase is put together: order, agreement, numbers, dates, articles."""
        table: Mapping[str, Any] = self.file["grammar"]
        return table

    @cached_property
    def names(self) -> Mapping[str, Name]:
        return names(self.code)

    @cached_property
    def sites(self) -> Mapping[str, SiteName]:
        return site_names(self.code)

    @cached_property
    def cues(self) -> Cues:
        adjectives = {}
        for value, word in self.grammar["adjectives"].items():
            for one in forms(word):
                pattern = r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", one)))
                adjectives[pattern] = ADJECTIVES[value], value
        longest = dict(sorted(adjectives.items(), key=lambda item: -len(item[0])))
        return read_cues(self.file, longest)

    @cached_property
    def norm(self) -> Callable[[str], str]:
        """A word in lower case, without accents, in one spelling and without its ending."""
        table = self.file["text"]
        spelling = [(one, other) for one, other in table["spelling"]]
        endings = [(ending, instead) for ending, instead in table["endings"]]
        shortest, kept = table["shortest"], frozenset(table["kept"])

        @remembered(65536)
        def norm(word: str) -> str:
            # Before the accents go, where a spelling needs them ("côté" is no "côte"), and after.
            word = word.lower()
            for one, other in spelling:
                word = word.replace(one, other)
            word = plain(word)
            for one, other in spelling:
                word = word.replace(one, other)
            if len(word) < shortest or word in kept:
                return word
            for ending, instead in endings:
                if word.endswith(ending) and len(word) > len(ending) + 1:
                    return word[: len(word) - len(ending)] + instead
            return word

        return norm

    @cached_property
    def weak(self) -> frozenset[str]:
        """Words too general to be taken in a report about another part of the body."""
        return frozenset(map(self.norm, self.file["text"]["weak"]))

    @property
    def adjectives_follow(self) -> bool:
        """Whether adjectives stand after the noun ("nodule solide")."""
        return bool(self.file["text"]["adjectives_follow"])

    @property
    def side_follows(self) -> bool:
        """Whether the side stands after the place ("lobe inférieur droit")."""
        return bool(self.file["text"]["side_follows"])


def plain(word: str) -> str:
    """Lower case without accents."""
    word = word.lower()
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFD", word)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_MARKS)


@cache
def language(code: str = DEFAULT) -> Language:
    """The language of that code.

    Raises:
        BadInput: there is no such language; the message lists those that are there.
    """
    if code not in languages():
        raise BadInput(f"language {code!r} is not available", f"one of {', '.join(languages())}")
    return Language(code, document(code))


_WORD = re.compile(r"[^\W\d_]+")
_SAMPLE = 4000


@cache
def _speakers() -> dict[str, tuple[str, ...]]:
    """Common word -> the languages that it is common in."""
    found: dict[str, tuple[str, ...]] = {}
    for code in languages():
        for word in frozenset(map(plain, document(code)["text"]["common"])):
            found[word] = (*found.get(word, ()), code)
    return found


def detect(text: str) -> str:
    """The likeliest language of a text by its common words; English where nothing speaks for another."""
    speakers, sample = _speakers(), text[:_SAMPLE]
    words = _WORD.findall(sample.lower()) if sample.isascii() else map(plain, _WORD.findall(sample))
    counts = Counter(code for word in words if word in speakers for code in speakers[word])
    best, most = DEFAULT, 0
    for code in languages():
        # One word is no language: "bilateral" and "normal" are everywhere.
        if counts[code] > most and (code == DEFAULT or counts[code] > 1):
            best, most = code, counts[code]
    return best

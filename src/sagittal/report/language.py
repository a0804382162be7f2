"""One language: its grammar for writing and its cues for reading, from ``languages/*.toml``."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
_FIRST, _SURE, _CLOSE = 160, 5.0, 0.5
"""Characters looked at first, by how much one language then has to lead to be told already, and by how
little it leads where the words are looked at once more."""


def _strings(value: Any) -> Iterator[str]:
    """All texts in a table of a language's file."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _telling(code: str) -> set[str]:
    """Words, in lower case, that a text in that language may have: common ones and its vocabulary."""
    file = document(code)
    said = [file["text"]["common"], file["patient"]["months"], file["sections"], file["segment"]["breaks"]]
    said += [file["grammar"]["severity"], file["grammar"]["adjectives"], file["grammar"]["sides"]]
    for table in ("observations", "sites", *("limitations", "recommendations")):
        said += [[row.get(key) for key in _NAMED] for row in file[table].values()]
    words = {word.lower() for text in _strings(said) for word in _WORD.findall(text)}
    # Who types without accents writes the same words; "à" is no "a".
    return words | {bare for word in words if len(bare := plain(word)) > 2}


_NAMED = ("term", "plural", "synonyms")


@cache
def _speakers() -> tuple[dict[str, str], dict[str, str]]:
    """Each word, and each letter with an accent -> the languages that have it, as in "de es"."""
    words: dict[str, str] = {}
    letters: dict[str, str] = {}
    for code in languages():
        telling = _telling(code)
        for table, found in (words, telling), (letters, {c for word in telling for c in word if c > "\x7f"}):
            for each in found:
                table[each] = f"{table[each]} {code}" if each in table else code
    return words, letters


def detect(text: str) -> str:
    """The likeliest language of a text by its words and letters; English where nothing speaks for another.

    A word of several languages speaks for each a little. Of equals English is taken, if it is among them.
    """
    sample = text[:_FIRST]
    spoken, lead = _best(scores := _scored(sample))
    if lead < _SURE and len(text) > _FIRST:
        sample = text[:_SAMPLE]
        spoken, lead = _best(scores := _scored(sample))
    if lead < _CLOSE:
        # Too near: a word counts in any of its forms ("Dystelektasen").
        words = frozenset(word for word in _WORD.findall(sample) if len(word) > 4)
        for code in languages():
            norm, known = language(code).norm, _stems(code)
            scores[code] += sum(norm(word) in known for word in words)
        spoken, _ = _best(scores)
    return spoken


@cache
def _stems(code: str) -> frozenset[str]:
    return frozenset(map(language(code).norm, _telling(code)))


def _best(scores: Mapping[str, float]) -> tuple[str, float]:
    """The language with the highest score, and by how much; of equals the first, English."""
    # A third and two thirds are to equal one.
    ranked = sorted(((round(score, 6), code) for code, score in scores.items()), key=lambda each: -each[0])
    return ranked[0][1], ranked[0][0] - ranked[1][0]


def _scored(sample: str) -> dict[str, float]:
    """What the words and letters say for each language, English first."""
    words, letters = _speakers()
    scores = dict.fromkeys(languages(), 0.0)
    if sample.isascii():
        found = list(map(words.get, _WORD.findall(sample.lower())))
    else:
        found = [words.get(w.lower()) or words.get(plain(w)) for w in _WORD.findall(sample)]
        found += map(letters.get, frozenset(sample.lower()))
    # Few sets of languages share words: each is counted before it is added, a share for each language.
    for shared, times in Counter(filter(None, found)).items():
        for code in (codes := shared.split()):
            scores[code] += times / len(codes)
    return scores

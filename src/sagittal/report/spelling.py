"""Misspelt words of an English report.

A word is misspelt when no list knows it and it is one slip (a letter dropped, doubled, swapped with its
neighbour, or mistaken) from a word that reports use. An unknown word that is near to nothing is left
alone: names and rare terms are not errors. General English comes from pyspellchecker (extra ``check``),
the medical words from the house's vocabulary, pydicom's concept dictionary and ``spelling.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import ascii_lowercase
from typing import Any

from sagittal.errors import MissingExtra
from sagittal.optional import needs
from sagittal.report.memory import remembered
from sagittal.report.names import DEFAULT, document, names, site_names

_WORD = re.compile(r"(?<![\w@/.])[A-Za-z]{4,30}(?![\w@]|\.\w|/\w)")
_LETTERS = re.compile(r"[a-z]{3,}")
_PATTERN = re.compile(r"[\\\[\](){}|?*+^$]")
_BLANK = re.compile(r"X{2,}")

COMMON = 300
"""Least count in pyspellchecker's list (subtitles) of a general word that a short word is held against."""

RARE = 100
"""Less than this and a listed word stands in dictionaries alone (they count 50)."""

SHORT = 5
"""Shorter words are abbreviations as often as slips: only the core's longer words are held against them."""

LONG = 7
"""Letters from which on any listed word is one that a slip is held against."""

MOST_UNKNOWN = 2_000
"""Different unknown words looked at in one text, so that time stays in bounds on what is no report."""

_COMBINING_FORMS = """
abdomino aorto angio antero arterio atelecto axillo bi broncho cardio centri cervico cholecysto
costo cranio dextro endo epi extra fibro fronto gastro hemi hepato hydro hyper hypo ileo infero
infra inter intra juxta latero levo lipo lymph macro medio mesio meso micro milli mono multi myo nephro
neuro osteo para parieto peri phreno pleuro pneumo poly postero pseudo pyelo radio recto retro rhizo
sacro spondylo sterno supero supra temporo thoraco thrombo tracheo trans utero vaso ventriculo
vertebro vesico viscero
"""
_COMBINING = tuple(_COMBINING_FORMS.split())
"""Before a medical word."""
_PREFIXES = ("anti", "mid", "non", "post", "pre", "re", "semi", "sub", "un", "under")
"""Before any word."""
_ENDINGS = (
    (r"(?<=[^aeiou])ies$", ("y",)),
    (r"(?:(?<=[sxz])|(?<=[cs]h))es$", ("",)),
    (r"es$", ("is",)),
    (r"(?<=[^sxz])s$", ("",)),
    (r"(?<=[^e])ed$", ("", "e")),
    (r"(?<=[^e])ing$", ("", "e")),
    (r"(?<=al|ar|ic|nt|ve|ed|id|st)ly$", ("",)),
    (r"like$", ("",)),
    (r"(?<=[^y])ness$", ("",)),
)
"""Regular endings and what stands in their place in the listed word."""
_AMERICAN = (
    ("oedem", "edem"),
    ("haem", "hem"),
    ("aem", "em"),
    ("oesoph", "esoph"),
    ("caec", "cec"),
    ("coel", "cel"),
    ("anaes", "anes"),
    ("paed", "ped"),
    ("faec", "fec"),
    ("rrhoe", "rrhe"),
    ("foet", "fet"),
    ("tumour", "tumor"),
    ("isation", "ization"),
    ("ise", "ize"),
    ("ising", "izing"),
    ("centre", "center"),
    ("litre", "liter"),
    ("metre", "meter"),
    ("grey", "gray"),
)
_CONFUSED = {
    "plural": "pleural",
    "scaring": "scarring",
    "facture": "fracture",
    "factures": "fractures",
    "artic": "aortic",
    "arenal": "adrenal",
    "badder": "bladder",
    "sinal": "spinal",
    "sine": "spine",
    "hear": "heart",
    "lunch": "lung",
    "lunges": "lungs",
    "livery": "liver",
    "angel": "angle",
    "hart": "heart",
    "venus": "venous",
    "lugs": "lungs",
    "foal": "focal",
    "medal": "medial",
    "dimeter": "diameter",
}
"""English words that a report has no use for, and what they are a slip of."""


@dataclass(frozen=True)
class Misspelt:
    """A misspelt word at ``start``..``end`` and what it may have been."""

    start: int
    end: int
    word: str
    suggestion: str


@cache
def _core() -> frozenset[str]:
    """Words of the vocabulary and of ``spelling.txt``, in lower case."""
    folder = resources.files("sagittal.report")
    lines = folder.joinpath("spelling.txt").read_text("utf-8").splitlines()
    texts = [line for line in lines if not line.startswith("#")]
    for name in names(DEFAULT).values():
        texts += filter(None, (name.term, name.plural, name.lay, *name.synonyms))
    for place in site_names(DEFAULT).values():
        texts += filter(None, (place.term, place.plural, place.lay, *place.synonyms))
    return frozenset(word for text in texts for word in _LETTERS.findall(text.lower()))


@cache
def _medical() -> frozenset[str]:
    """Those and the words of pydicom's concepts."""
    from pydicom.sr._concepts_dict import concepts

    texts: list[str] = []
    for scheme in concepts.values():
        codes: Iterable[Any] = scheme.values()
        texts += (meaning for entry in codes for meaning, _ in entry.values())
    return _core() | frozenset(word for text in texts for word in _LETTERS.findall(text.lower()))


@cache
def _vocabulary() -> frozenset[str]:
    """Words that the language's file uses outside its patterns: its headings, cues and frames."""

    def texts(node: object) -> Iterator[str]:
        if isinstance(node, str) and not _PATTERN.search(node):
            yield node
        elif isinstance(node, Mapping):
            for value in node.values():
                yield from texts(value)
        elif isinstance(node, list | tuple):
            for value in node:
                yield from texts(value)

    return frozenset(word for text in texts(document(DEFAULT)) for word in _LETTERS.findall(text.lower()))


@cache
def _general() -> Mapping[str, int]:
    """English words and how often they were counted.

    Raises:
        MissingExtra: pyspellchecker is not installed.
    """
    package = needs("spellchecker", feature="the spelling check", extra="check", version=">=0.8")
    counted: Mapping[str, int] = package.SpellChecker(language="en").word_frequency.dictionary
    return counted


def available() -> bool:
    """Whether the list of general English words is installed."""
    try:
        return bool(_general())
    except MissingExtra:
        return False


def _american(word: str) -> str:
    for british, american in _AMERICAN:
        word = word.replace(british, american)
    return word


_STEMS = tuple((re.compile(pattern), instead) for pattern, instead in _ENDINGS)


def _built(word: str, words: Container[str]) -> bool:
    """Whether the word or what it is a regular form of is among the words."""
    if word in words:
        return True
    stems = ((pattern.search(word), instead) for pattern, instead in _STEMS)
    return any(
        match is not None and match.start() >= 4 and word[: match.start()] + end in words
        for match, instead in stems
        for end in instead
    )


@remembered(65536)
def known(word: str) -> bool:
    """Whether a word in lower case is listed, in British or American spelling, or regularly built."""
    if word in _medical() or word in _vocabulary() or word in _COMBINING or _count(word) >= RARE:
        return True
    word = _american(word)
    if _built(word, _medical()):
        return True
    if _built(word, _general()):
        # What only dictionaries know and a report's own word is near to ("lings") is a slip of that.
        near = (n for n in _slips(word) if n in _core() and n[: len(word) - 2] != word[:-2])
        return _count(word) >= RARE or not any(near)
    rests = ((p, word[len(p) :]) for p in (*_COMBINING, *_PREFIXES) if word.startswith(p))
    return any(
        len(rest) >= 4 and (_built(rest, _medical()) or (p in _PREFIXES and _count(rest) >= COMMON))
        for p, rest in rests
    )


def _count(word: str) -> int:
    return _general().get(word, 0)


def _slips(word: str) -> Iterator[str]:
    """All words that a slip makes this one of, the likelier slips first: neighbours swapped, a letter
    dropped, mistaken, put in."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    yield from (a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1)
    yield from (a + c + b for a, b in cuts for c in ascii_lowercase)
    yield from (a + c + b[1:] for a, b in cuts if b for c in ascii_lowercase)
    yield from (a + b[1:] for a, b in cuts if b)


@remembered(65536)
def correction(word: str) -> tuple[str, bool] | None:
    """What an unknown word may have been, and whether that is a medical word; None for nothing near."""
    general, most = None, 0 if len(word) >= LONG else COMMON - 1
    for near in _slips(word):
        if near in (_core() if len(word) < SHORT else _medical()) and len(near) >= SHORT:
            return near, True
        if len(word) >= SHORT and _count(near) > most:
            general, most = near, _count(near)
    return None if general is None else (general, False)


def misspelt(text: str) -> Iterator[Misspelt]:
    """Misspelt words in order; nothing for the ``XXXX`` that stand for what was taken out.

    Raises:
        MissingExtra: pyspellchecker is not installed.
    """
    unknown: set[str] = set()
    for match in _WORD.finditer(text):
        written, word = match[0], match[0].lower()
        if _BLANK.search(written):
            continue
        if word in _CONFUSED:
            yield Misspelt(*match.span(), written, _CONFUSED[word])
            continue
        if known(word):
            continue
        unknown.add(word)
        if len(unknown) > MOST_UNKNOWN:
            return
        meant = correction(word)
        if meant is not None and not (_name(text, match) and (not meant[1] or len(word) <= SHORT)):
            yield Misspelt(*match.span(), written, meant[0])


_OPENS = re.compile(r"(?:^|[.:;!?\n\"•*()\d-])[ \t]*$")


def _name(text: str, match: re.Match[str]) -> bool:
    """Whether the word may be a name: a capital inside a sentence, or short of small letters."""
    written = match[0]
    if written[0].islower():
        return False
    return (
        written.isupper()
        or len(written) < SHORT
        or not _OPENS.search(text, max(0, match.start() - 4), match.start())
    )

"""How easy a text is to read, by a formula made for its language.

Each language has its own formula, because words and sentences differ in length; all are brought to a
school grade (years of schooling). A formula counts lengths only: it cannot see an unknown word.

- English: Flesch-Kincaid grade level (Kincaid et al. 1975, Naval Technical Training, Report 8-75).
- German: erste Wiener Sachtextformel, in school years (Bamberger and Vanecek 1984, Lesen - Verstehen -
  Lernen - Schreiben).
- French: Kandel and Moles 1958 (Cahiers d'études de radio-télévision 19), which moves French texts to the
  scale of Flesch's reading ease; the grade is that of Flesch's table (The Art of Readable Writing, 1949).
- Spanish: Fernández Huerta 1959 (Consigna 214) in the form corrected by Law 2011 (syllables a word and words
  a sentence), with his table of grades. Crawford's formula, made for primary school, lets nearly every
  radiologist's sentence pass.
- Italian: Gulpease (Lucisano and Piemontese 1988, Scuola e città 3). Under 80 a text is hard with five
  years of school (licenza elementare), under 60 with eight (licenza media), under 40 with thirteen; the
  grade is drawn in straight lines between these, and is never under five.
- Turkish: Bezirci and Yılmaz 2010 (DEÜ Fen ve Mühendislik Dergisi 12), in school years.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sagittal.errors import BadInput

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_STOP = re.compile(r"[.!?…]+(?=[\s\"'”’)\]]|$)|\n")
Syllables = Callable[[str], int]


@dataclass(frozen=True)
class Readability:
    """How easy a text is.

    Args:
        formula: its name.
        value: what the formula gives, on its own scale.
        grade: years of schooling that a reader needs; 0 for a text without words.
    """

    formula: str
    value: float
    grade: float


@dataclass(frozen=True)
class _Counted:
    """Words of a text with their syllables, and the number of sentences."""

    words: tuple[str, ...]
    syllables: tuple[int, ...]
    sentences: int

    @property
    def words_per_sentence(self) -> float:
        return len(self.words) / self.sentences

    @property
    def syllables_per_word(self) -> float:
        return sum(self.syllables) / len(self.words)

    def share(self, which: Sequence[bool]) -> float:
        """Per cent of the words."""
        return 100 * sum(which) / len(self.words)


def _groups(pattern: str) -> Syllables:
    """One syllable a match of the pattern, and at least one a word."""
    vowels = re.compile(pattern)
    return lambda word: max(len(vowels.findall(word.lower())), 1)


_turkish = _groups("[aeıioöuüâîû]")
"""Exact: every vowel is a syllable."""

_german = _groups("ei|ai|au|äu|eu|ie|aa|ee|oo|[aeiouäöüy]")

_STRONG, _WEAK = "aeoáéíóú", "iuü"
_spanish_parts = _groups(
    f"[{_WEAK}]*[{_STRONG}][{_WEAK}]*(?:y(?![{_STRONG}{_WEAK}]))?|[{_WEAK}]+(?:y(?![a-zñ]))?|y(?![a-zñ])"
)


def _spanish(word: str) -> int:
    """Strong vowels and accented weak ones each make a syllable; weak ones lean on a neighbour."""
    return _spanish_parts(re.sub(r"([qg])u(?=[eiéí])", r"\1", word.lower()))


_french_parts = _groups("[aàâeèéêiîoôuûœæy]")


def _french(word: str) -> int:
    """Vowels that are written with several letters count once; a final mute e is not said."""
    word = re.sub(r"([qg])u(?=[eiéèêy])", r"\1", word.lower())
    word = re.sub(r"(?<=[^aeéiouyàâèêîôûœ])e(?:s|nt)?$|(?<=[éiu])es?$", "", word)
    word = re.sub(r"i(?=[aeoéè])|y(?=[aeiou])|ou(?=[aeié])", "j", word)
    word = re.sub("eau|œu|œi|au|ai|aî|ay|ei|eu|ou|oi|oî|oy|ui", "o", word)
    return _french_parts(re.sub("[ëïü]", "i", word))


_EXTRA = re.compile(
    r"i[aou]|eo|ao|[^q]ua(?!r)|ism$|[^aeiouy]le$|[^aeiouyl]led$|[^aeiouy]les$|[aeiouy]ing|[aeo]yer"
    r"|[lr]ui(?=[dn])|[^aeiouy]eas?$|[^aeiouy]i(?=er$)|tios?$"
)
_SILENT = re.compile(
    r"(?<=[^aeiouy])(?:e|es(?<!ces|ges|ses|zes|xes)(?<!ches|shes)|ed(?<!ted|ded)(?<![bcdfgkpt]red))$"
    r"|(?<=[^aeiouy])e(?=ly$|ful|less$|ness$|ment)|(?<=^ev)e(?=ry)"
)
_FUSED = re.compile("[tcsg]i[aou]|[^aeiouy]iou")


def _english(word: str) -> int:
    """Vowel groups, less silent e's, plus pairs that are said apart."""
    word = re.sub("[^a-z]", "", word.lower())
    count = len(re.findall("[aeiouy]+", word)) - len(_SILENT.findall(word))
    count += len(_EXTRA.findall(word)) - len(_FUSED.findall(word))
    return max(count, 1)


def _flesch_kincaid(text: _Counted) -> tuple[float, float]:
    value = 0.39 * text.words_per_sentence + 11.8 * text.syllables_per_word - 15.59
    return value, value


def _wiener(text: _Counted) -> tuple[float, float]:
    polysyllabic = text.share([n >= 3 for n in text.syllables])
    monosyllabic = text.share([n == 1 for n in text.syllables])
    long = text.share([len(word) > 6 for word in text.words])
    value = (
        0.1935 * polysyllabic
        + 0.1672 * text.words_per_sentence
        + 0.1297 * long
        - 0.0327 * monosyllabic
        - 0.875
    )
    return value, value


_FLESCH = ((90, 5.0), (80, 6.0), (70, 7.0), (60, 8.5), (50, 11.0), (30, 14.5), (-math.inf, 17.0))
"""Reading ease from here on -> grade."""


def _kandel_moles(text: _Counted) -> tuple[float, float]:
    value = 207 - 1.015 * text.words_per_sentence - 73.6 * text.syllables_per_word
    return value, next(grade for edge, grade in _FLESCH if value >= edge)


_FERNANDEZ_HUERTA = ((90, 4.0), (80, 5.0), (70, 6.0), (60, 7.5), (50, 11.0), (30, 13.0), (-math.inf, 16.0))


def _fernandez_huerta(text: _Counted) -> tuple[float, float]:
    value = 206.84 - 1.02 * text.words_per_sentence - 60 * text.syllables_per_word
    return value, next(grade for edge, grade in _FERNANDEZ_HUERTA if value >= edge)


_GULPEASE = ((80.0, 5.0), (60.0, 8.0), (40.0, 13.0))


def _gulpease(text: _Counted) -> tuple[float, float]:
    letters = sum(map(len, text.words))
    value = 89 + (300 * text.sentences - 10 * letters) / len(text.words)
    (easy, fewer), (hard, more) = _GULPEASE[:2] if value >= _GULPEASE[1][0] else _GULPEASE[1:]
    return value, max(fewer + (easy - value) / (easy - hard) * (more - fewer), _GULPEASE[0][1])


_BEZIRCI_YILMAZ = ((3, 0.84), (4, 1.5), (5, 3.5), (6, 26.25))


def _bezirci_yilmaz(text: _Counted) -> tuple[float, float]:
    held = [min(n, 6) for n in text.syllables]
    weighted = sum(weight * held.count(n) / text.sentences for n, weight in _BEZIRCI_YILMAZ)
    value = math.sqrt(text.words_per_sentence * weighted)
    return value, value


@dataclass(frozen=True)
class _Formula:
    name: str
    value_and_grade: Callable[[_Counted], tuple[float, float]]
    syllables: Syllables


def _none(word: str) -> int:
    return 1


FORMULAS = {
    "en": _Formula("Flesch-Kincaid grade level", _flesch_kincaid, _english),
    "de": _Formula("Wiener Sachtextformel 1", _wiener, _german),
    "fr": _Formula("Kandel-Moles", _kandel_moles, _french),
    "es": _Formula("Fernández Huerta", _fernandez_huerta, _spanish),
    "it": _Formula("Gulpease", _gulpease, _none),
    "tr": _Formula("Bezirci-Yılmaz", _bezirci_yilmaz, _turkish),
}
"""Language -> its formula. Gulpease counts letters, so Italian needs no syllables."""


def grade(text: str, language: str) -> Readability:
    """The readability of a text. Sentences end at ``. ! ?`` and at the end of a line (a heading or an item
    of a list is one); numbers are not counted as words.

    Raises:
        BadInput: there is no formula for the language.
    """
    if language not in FORMULAS:
        raise BadInput(
            f"readability in language {language!r} is not available", f"one of {', '.join(FORMULAS)}"
        )
    formula = FORMULAS[language]
    parts = [found for part in _STOP.split(text) if (found := _WORD.findall(part))]
    if not parts:
        return Readability(formula.name, 0.0, 0.0)
    words = tuple(word for part in parts for word in part)
    value, years = formula.value_and_grade(_Counted(words, tuple(map(formula.syllables, words)), len(parts)))
    return Readability(formula.name, value, years)

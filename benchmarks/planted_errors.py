"""Errors planted into report text, by words and sentences alone: nothing here knows the parser.

The five types are those of Gertz et al. (Radiology 2024). A planter returns the changed text and where
the change lies in it, or None where the report offers no place for that error.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FINDING = re.compile(
    r"\b(?:(?:micro)?nodul\w+|mass(?:es)?|consolidat\w+|atelecta\w+|opacit\w+|infiltrat\w+|cardiomegaly|"
    r"effusions?|pneumothora\w+|(?:o?edema)|emphysem\w+|fibro(?:sis|tic)|scar(?:s|ring)?|granulomas?|"
    r"fractures?|hernias?|calcifi\w+|bronchiecta\w+|thickening|lymphadenopath\w+|cavit(?:y|ies|ary|ation)|"
    r"hyperinflat\w+|hyperexpan\w+|congestion|aneurysm\w*|catheter|pacemaker|stent|ground[\s-]glass|"
    r"reticul\w+|honeycomb\w*|pneumonia|metasta\w+|pericardial\s+effusion|bullae?|mosaic|sequelae?|"
    r"enlarged\s+(?:heart|cardiac)|(?:heart|cardiac)\s+[^.]{0,30}?enlarged)\b",
    re.IGNORECASE,
)
"""Things that reports find; chosen before any result was seen, to cover films and CT of the chest."""

NEGATION = re.compile(
    r"\b(?:no|not|without|nor|none|never|normal|unremarkable|clear|negative|free|absen\w+|natural|intact|"
    r"resol\w+|preserved|exclude\w*|rule\w*\s+out|evaluate|history|limits|open|unlikely|denies)\b",
    re.IGNORECASE,
)
_END = re.compile(r"[.](?=\s+[A-Z\"“•\d-]|\s*$|\n)|\n")
_ASKED = re.compile(r"^(?:INDICATION|COMPARISON):.*(?:\n|$)", re.MULTILINE)
_HEADING = re.compile(r"^[A-Z ]+:\s*")


@dataclass(frozen=True)
class Planted:
    """A report with an error in it, between ``start`` and ``end``."""

    text: str
    start: int
    end: int
    how: str


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Sentences of the report's body, each with its full stop; headings left out."""
    spans: list[tuple[int, int]] = []
    at = 0
    asked = [m.span() for m in _ASKED.finditer(text)]
    for match in _END.finditer(text):
        spans.append((at, match.end()))
        at = match.end()
    spans.append((at, len(text)))
    found = []
    for start, end in spans:
        while start < end and text[start] in ' \n"“•':
            start += 1
        if heading := _HEADING.match(text[start:end]):
            start += heading.end()
        if end - start > 8 and not any(a <= start < b for a, b in asked):
            found.append((start, end))
    return found


def words_of(sentence: str) -> set[str]:
    """The finding words of a sentence, in a crude stem."""
    stems = {
        match[0].lower().replace("oe", "e").replace("micro", "")[:5] for match in FINDING.finditer(sentence)
    }
    return {next((same[0] for same in _ALIKE if stem in same), stem) for stem in stems}


_ALIKE = (
    ("opaci", "infil", "conso", "airsp", "densi", "pneum", "groun"),
    ("cardi", "enlar", "heart"),
    ("atele", "colla"),
    ("scarr", "scar", "scars", "fibro", "seque"),
    ("mass", "masse", "lesio", "metas", "nodul", "granu"),
    ("emphy", "bulla", "bulla"),
)
"""Beginnings of words that reports use for one thing in different sentences."""


def is_positive(sentence: str) -> bool:
    """Whether a sentence states a finding, holds no word that denies one and nothing that was taken out
    (``XXXX``)."""
    return bool(FINDING.search(sentence)) and not NEGATION.search(sentence) and "XX" not in sentence


_DENIES = re.compile(
    r"^\W*(?:\d+\W+)?(?:there\s+(?:is|are|was|were)\s+)?(?:no|negative|without)\b"
    r"|\bnot\s+(?:observed|detected|seen|identified)|\b(?:free|clear)\s+of\b",
    re.IGNORECASE,
)


def _positive(text: str) -> list[tuple[int, int]]:
    return [span for span in sentence_spans(text) if is_positive(text[slice(*span)])]


def omission(rng: random.Random, text: str, corpus: Corpus) -> Planted | None:
    """A sentence that states a finding, and is the only one that names it but to deny it, is left out."""
    spans = _positive(text)
    told = (text[slice(*span)] for span in sentence_spans(text))
    named = Counter(word for sentence in told if not _DENIES.search(sentence) for word in words_of(sentence))
    alone = [s for s in spans if any(named[w] == 1 for w in words_of(text[slice(*s)]))]
    if not alone:
        return None
    start, end = rng.choice(alone)
    return Planted(text[:start] + text[end:].lstrip(" "), start, start, "sentence left out")


def insertion(rng: random.Random, text: str, corpus: Corpus) -> Planted | None:
    """A sentence of another report that states a finding which this one does not name."""
    here = {w for span in _positive(text) for w in words_of(text[slice(*span)])}
    spans = [(start, end) for start, end in sentence_spans(text) if text[end - 1] == "."]
    for _ in range(20):
        sentence = rng.choice(corpus.positive)
        if words_of(sentence) & here or not spans:
            continue
        _, at = rng.choice(spans)
        new = " " + sentence
        return Planted(text[:at] + new + text[at:], at + 1, at + len(new), "sentence of another report")
    return None


_ROWS = (
    "wa qes wrd etf ryg tuh yij uok ipl ol qsz awdx sefc drgv fthb gyjn hukm jil kop "
    "asx zsdc xdfv cfgb vghn bhjm njk"
)
_KEYS = "qwertyuiopasdfghjklzxcvbnm"
_NEAR = dict(zip(_KEYS, _ROWS.split(" "), strict=True))
"""Letters beside each letter on the keyboard."""
_LONG = re.compile(r"\b[A-Za-z]?[a-z]{5,}\b")


def slip(rng: random.Random, word: str) -> str:
    """A slip of the keyboard after the first letter: two swapped, one dropped, doubled, or a neighbour."""
    i = rng.randrange(1, len(word) - 1)
    return rng.choice(
        [
            word[:i] + word[i + 1] + word[i] + word[i + 2 :],
            word[:i] + word[i + 1 :],
            word[:i] + word[i] + word[i:],
            word[:i] + rng.choice(_NEAR[word[i]]) + word[i + 1 :],
        ]
    )


def spelling(rng: random.Random, text: str, corpus: Corpus) -> Planted | None:
    """A slip in a word of six letters or more, that no report of the corpus knows afterwards."""
    matches = [m for s in sentence_spans(text) for m in _LONG.finditer(text, *s)]
    matches = [m for m in matches if corpus.count[m[0].lower()] >= 5 and "XX" not in m[0]]
    for _ in range(20):
        if not matches:
            return None
        match = rng.choice(matches)
        wrong = slip(rng, match[0].lower())
        wrong = match[0][0] + wrong[1:]
        if corpus.count[wrong.lower()] == 0:
            text = text[: match.start()] + wrong + text[match.end() :]
            return Planted(text, match.start(), match.start() + len(wrong), f"{match[0]} -> {wrong}")
    return None


_SIDE = re.compile(r"\b(?:left|right)", re.IGNORECASE)
_BOTH = re.compile(r"\b(?:bilateral\w*|both|bi(?:basilar|basal|apical)|greater\s+than)\b", re.IGNORECASE)
_PAIRS = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))
_OTHER = {**dict(_PAIRS), **{b: a for a, b in _PAIRS}}


def side(rng: random.Random, text: str, corpus: Corpus) -> Planted | None:
    """Left for right in a sentence that states a finding and names one side."""
    found = []
    for span in _positive(text):
        sides = list(_SIDE.finditer(text, *span))
        if len({m[0].lower() for m in sides}) == 1 and not _BOTH.search(text, *span):
            found.append(sides)
    if not found:
        return None
    chosen = rng.choice(found)
    start, end, out, at = chosen[0].start(), chosen[-1].end(), "", chosen[0].start()
    for match in chosen:
        out += text[at : match.start()] + _OTHER.get(match[0], "right")
        at = match.end()
    return Planted(text[:start] + out + text[end:], start, start + len(out), f"side of {len(chosen)} word(s)")


_SIZED = re.compile(r"(?<![\w.,/x-])(\d{1,3}(?:[.,]\d)?)(\s*)(mm|cm)\b")
_DENIALS = (
    (re.compile(r"\b(?:was|were|is|are) not (?=observed|detected|seen|identified|noted)"), "not ", ""),
    (re.compile(r"\bThere (?:is|are) no (?:evidence of (?:an? )?)?"), None, "There is "),
    (re.compile(r"^No (?:evidence of )?"), None, "There is "),
)
_CLAIMS = (
    (re.compile(r"\b(?:was|were|is|are) (?=observed|detected|seen|identified|noted|present)"), None, "not "),
    (re.compile(r"\bThere (?:is|are) (?:an? )?"), None, "There is no "),
)


def other(rng: random.Random, text: str, corpus: Corpus) -> Planted | None:
    """A unit confused, a number ten times too large, a denial lost, a denial put in."""
    for kind in rng.sample(("unit", "number", "denial lost", "denial added"), 4):
        planted = _measure(rng, text, kind) if kind in ("unit", "number") else _denial(rng, text, kind)
        if planted is not None:
            return planted
    return None


def _measure(rng: random.Random, text: str, kind: str) -> Planted | None:
    found = [m for span in _positive(text) for m in _SIZED.finditer(text, *span)]
    if not found:
        return None
    match = rng.choice(found)
    value, space, unit = match.groups()
    if kind == "unit":
        new = f"{value}{space}{'cm' if unit == 'mm' else 'mm'}"
    elif "." in value or "," in value:
        new = f"{value.replace('.', '').replace(',', '')}{space}{unit}"
    else:
        new = f"{value}0{space}{unit}"
    text = text[: match.start()] + new + text[match.end() :]
    return Planted(text, match.start(), match.start() + len(new), kind)


def _denial(rng: random.Random, text: str, kind: str) -> Planted | None:
    found = []
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        if not FINDING.search(sentence):
            continue
        if kind == "denial lost" and len(NEGATION.findall(sentence)) == 1:
            for pattern, _, instead in _DENIALS:
                if match := pattern.search(sentence):
                    new = instead or match[0].replace("not ", "")
                    found.append((start, end, match, new))
                    break
        if kind == "denial added" and not NEGATION.search(sentence):
            for pattern, _, instead in _CLAIMS:
                if match := pattern.search(sentence):
                    new = instead if instead.startswith("There") else match[0] + instead
                    found.append((start, end, match, new))
                    break
    if not found:
        return None
    start, end, match, new = rng.choice(found)
    sentence = text[start:end]
    sentence = sentence[: match.start()] + new + sentence[match.end() :]
    return Planted(text[:start] + sentence + text[end:], start, start + len(sentence), kind)


@dataclass(frozen=True)
class Corpus:
    """What planters take from the other reports.

    Args:
        positive: sentences that state a finding; ``count``: in how many reports each word stands.
    """

    positive: Sequence[str]
    count: Counter[str]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Corpus:
        positive = [t[slice(*span)].strip() for t in texts for span in _positive(t)]
        whole = [p for p in positive if p.endswith(".") and "XX" not in p and '"' not in p and len(p) < 200]
        counts = Counter(w for t in texts for w in set(re.findall(r"[a-z]+", t.lower())))
        return cls(whole, counts)


PLANTERS: dict[str, Callable[[random.Random, str, Corpus], Planted | None]] = {
    "omission": omission,
    "insertion": insertion,
    "spelling": spelling,
    "side": side,
    "other": other,
}

"""Words of the vocabulary found in text: observations and sites, the longest phrase first."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from sagittal.report.finding import Laterality
from sagittal.report.stated import DESCRIBED
from sagittal.report.vocabulary import observation, observations, sites, within

_WORD = re.compile(r"[A-Za-z0-9]+")
_GAP = re.compile(r"[\s\-/]*")
_SPELLING = (
    ("oedema", "edema"),
    ("haem", "hem"),
    ("aemi", "emi"),
    ("ischaem", "ischem"),
    ("tumour", "tumor"),
    ("oesoph", "esoph"),
    ("isation", "ization"),
    ("ised", "ized"),
    ("grey", "gray"),
)
_KEPT = frozenset({"this", "was", "has", "its", "lens", "always"})

WEAK = frozenset(
    {
        "edema",
        "hemorrhage",
        "hematoma",
        "atrophy",
        "enhancement",
        "enhancing",
        "herniation",
        "hernia",
        "congestion",
        "density",
        "metastatic",
        "subdural",
        "nodular",
        "reticular",
        "fibrotic",
        "scar",
        "suture",
        "prosthesis",
        "stent",
    }
)
"""Words too general to be taken in a report about another part of the body."""


@dataclass(frozen=True)
class Hit:
    """A phrase of the vocabulary at ``start``..``end``.

    Args:
        keys: observations it names (a hydropneumothorax names two), or one site.
        canonical: it is the house's own term, not a synonym.
        weak: a general word; see `WEAK`.
        side: the side the word itself says ("RUL", "bibasilar").
        pattern: found by a pattern; places inside it belong to it.
    """

    start: int
    end: int
    keys: tuple[str, ...]
    canonical: bool = False
    weak: bool = False
    side: Laterality | None = None
    pattern: bool = False


def norm(word: str) -> str:
    """A word in lower case, American spelling and the singular."""
    word = word.lower()
    for british, american in _SPELLING:
        word = word.replace(british, american)
    if len(word) <= 3 or word in _KEPT or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "shes", "ches")):
        return word[:-2]
    if word.endswith(("tases", "eses", "oses")):
        return word[:-2] + "is"
    return word if word.endswith(("ss", "us", "is")) else word[:-1]


@dataclass(frozen=True)
class _Phrase:
    words: tuple[str, ...]
    keys: tuple[str, ...]
    canonical: bool
    exact: str | None = None
    side: Laterality | None = None


_Table = dict[str, list[_Phrase]]


def _words(text: str) -> tuple[str, ...]:
    return tuple(norm(word) for word in _WORD.findall(text))


def _table(phrases: list[_Phrase]) -> _Table:
    table: _Table = defaultdict(list)
    for phrase in phrases:
        table[phrase.words[0]].append(phrase)
    for entries in table.values():
        entries.sort(key=lambda p: len(p.words), reverse=True)
    return dict(table)


@cache
def _observation_table() -> _Table:
    meanings: dict[tuple[tuple[str, ...], str | None], list[str]] = defaultdict(list)
    terms = set()
    for entry in observations():
        for term in filter(None, (entry.term, entry.plural)):
            meanings[_words(term), None].append(entry.key)
            terms.add(_words(term))
        for synonym in entry.synonyms:
            meanings[_words(synonym), None].append(entry.key)
        for short in entry.abbreviations:
            meanings[_words(short), short].append(entry.key)
    meanings[("edema",), None].append("vasogenic_oedema")
    return _table(
        [
            _Phrase(words, tuple(dict.fromkeys(keys)), words in terms, exact)
            for (words, exact), keys in meanings.items()
        ]
    )


@cache
def _site_table() -> _Table:
    phrases = []
    for place in sites():
        for term in filter(None, (place.term, place.plural, *place.synonyms)):
            both = Laterality.BILATERAL if re.match(r"bi(?:bas|apic)", term) else None
            phrases.append(_Phrase(_words(term), (place.key,), True, None, both))
        for short, side in place.abbreviations.items():
            phrases.append(_Phrase(_words(short), (place.key,), True, short, side))
    return _table(phrases)


def tokens(text: str, start: int, end: int) -> list[tuple[str, int, int]]:
    """Normal form, start and end of each word."""
    return [(norm(m[0]), m.start(), m.end()) for m in _WORD.finditer(text, start, end)]


def _find(text: str, words: Sequence[tuple[str, int, int]], table: _Table) -> list[Hit]:
    hits: list[Hit] = []
    i = 0
    while i < len(words):
        step = 1
        for phrase in table.get(words[i][0], ()):
            n = len(phrase.words)
            if tuple(word[0] for word in words[i : i + n]) != phrase.words:
                continue
            start, end = words[i][1], words[i + n - 1][2]
            gaps = (text[words[j][2] : words[j + 1][1]] for j in range(i, i + n - 1))
            if not all(_GAP.fullmatch(gap) for gap in gaps):
                continue
            if phrase.exact is not None and not text[start:end].startswith(phrase.exact):
                continue
            weak = len(phrase.words) == 1 and phrase.words[0] in WEAK
            hits.append(Hit(start, end, phrase.keys, phrase.canonical, weak, phrase.side))
            step = n
            break
        i += step
    return hits


def find_sites(text: str, words: Sequence[tuple[str, int, int]]) -> list[Hit]:
    """Sites named by the words."""
    return _find(text, words, _site_table())


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (entry.key, re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE))
        for entry in observations()
        for pattern in entry.patterns
    )


_FAMILIES = (
    frozenset({"coronary_calcification", "arterial_wall_calcification", *DESCRIBED}),
    frozenset({"rib_fracture", "vertebral_compression_fracture"}),
)


def _kin(key: str, others: tuple[str, ...]) -> bool:
    """Whether another term is so near in meaning that, written out, it settles what is meant."""
    return any(key in family and not family.isdisjoint(others) for family in _FAMILIES)


def _vaguer(text: str, hit: Hit, key: str) -> bool:
    """Whether words inside a pattern only say in part what the whole of it says."""
    if key == "pericardial_effusion":
        return hit.keys == ("pleural_effusion",) and "pleur" not in text[hit.start : hit.end].lower()
    return (
        key == "coronary_calcification"
        and hit.keys == ("arterial_wall_calcification",)
        and not hit.pattern
        and not re.search("aort|arter", text[hit.start : hit.end], re.IGNORECASE)
    )


def _inside(hit: Hit, place: Hit) -> bool:
    longer = place.end - place.start > hit.end - hit.start
    return longer and place.start <= hit.start and hit.end <= place.end


def find_observations(text: str, words: Sequence[tuple[str, int, int]]) -> list[Hit]:
    """Observations named by the words or by a pattern of the vocabulary, in order, none twice."""
    hits = _find(text, words, _observation_table())
    if not words:
        return hits
    if hits:
        # "Pleural cavity" is a place, not a cavity.
        places = find_sites(text, words)
        hits = [h for h in hits if not any(_inside(h, place) for place in places)]
    start, end = words[0][1], words[-1][2]
    for key, pattern in _patterns():
        for match in pattern.finditer(text, start, end):
            over = [h for h in hits if h.start < match.end() and match.start() < h.end]
            if any(key in h.keys or (h.canonical and _kin(key, h.keys)) for h in over):
                continue
            hits = [h for h in hits if h not in over or not _vaguer(text, h, key)]
            hits.append(Hit(match.start(), match.end(), (key,), pattern=True))
    return _once(text, sorted(hits, key=lambda h: (h.start, h.end)))


def _once(text: str, hits: list[Hit]) -> list[Hit]:
    """Two words side by side for one thing ("bullous emphysema", "fibrosis/scar") as one phrase."""
    joined: list[Hit] = []
    for hit in hits:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.keys == hit.keys
            and not (last.pattern or hit.pattern)
            and hit.start >= last.end
            and _GAP.fullmatch(text[last.end : hit.start])
        ):
            joined[-1] = replace(last, end=hit.end, weak=last.weak and hit.weak)
        else:
            joined.append(hit)
    return joined


def exam_of(hits: Sequence[Hit], places: Sequence[Hit]) -> str | None:
    """ "chest" or "brain", by the words that belong to only one of them; None when undecided."""
    chest = brain = 0
    for hit in hits:
        for key in () if hit.weak else hit.keys:
            exams = observation(key).exams
            brain += exams == ("brain-mr",)
            chest += "brain-mr" not in exams
    for place in places:
        brain += within(place.keys[0], "brain")
        chest += within(place.keys[0], "chest")
    if chest == brain:
        return None
    return "chest" if chest > brain else "brain"

"""Words of the vocabulary found in text: observations and sites, the longest phrase first."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from sagittal.report.cues import Cues
from sagittal.report.finding import Laterality
from sagittal.report.language import Language
from sagittal.report.literals import Sieve, compiled
from sagittal.report.memory import remembered
from sagittal.report.slips import mender
from sagittal.report.stated import DESCRIBED
from sagittal.report.vocabulary import observation, regions, root

_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_GAP = re.compile(r"[\s\-/'’]*")


@dataclass(frozen=True)
class Hit:
    """A phrase of the vocabulary at ``start``..``end``.

    Args:
        keys: observations it names (a hydropneumothorax names two), or one site.
        canonical: it is the house's own term, not a synonym.
        weak: a general word; see `Language.weak`.
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


@dataclass(frozen=True)
class _Phrase:
    words: tuple[str, ...]
    keys: tuple[str, ...]
    canonical: bool
    exact: str | None = None
    side: Laterality | None = None


_Table = dict[str, tuple[tuple[int, ...], dict[tuple[str, ...], list[_Phrase]]]]
"""First word -> the lengths of the phrases that begin with it, the longest first, and the phrases."""


def _words(text: str, language: Language) -> tuple[str, ...]:
    return tuple(language.norm(word) for word in _WORD.findall(text))


def _table(phrases: list[_Phrase]) -> _Table:
    grouped: dict[str, dict[tuple[str, ...], list[_Phrase]]] = defaultdict(lambda: defaultdict(list))
    for phrase in phrases:
        grouped[phrase.words[0]][phrase.words].append(phrase)
    return {
        first: (tuple(sorted({len(words) for words in named}, reverse=True)), dict(named))
        for first, named in grouped.items()
    }


def _exact(short: str) -> str | None:
    """An abbreviation with a capital is taken only as it is written."""
    return short if short != short.lower() else None


@cache
def _observation_table(language: Language) -> _Table:
    meanings: dict[tuple[tuple[str, ...], str | None], list[str]] = defaultdict(list)
    terms = set()
    for key, name in language.names.items():
        for term in filter(None, (name.term, name.plural, *name.forms.values())):
            meanings[_words(term, language), None].append(key)
            terms.add(_words(term, language))
        for synonym in name.synonyms:
            meanings[_words(synonym, language), None].append(key)
        for short in name.abbreviations:
            meanings[_words(short, language), _exact(short)].append(key)
    return _table(
        [
            _Phrase(words, tuple(dict.fromkeys(keys)), words in terms, exact)
            for (words, exact), keys in meanings.items()
        ]
    )


@cache
def _site_table(language: Language) -> _Table:
    phrases = []
    for key, name in language.sites.items():
        for term in filter(None, (name.term, name.plural, *name.synonyms)):
            phrases.append(_Phrase(_words(term, language), (key,), True))
        if language.file["text"].get("places_inflect"):
            # The phrase of place is a form of the word, no preposition and the word ("lobda").
            phrases.append(_Phrase(_words(name.at.format(side=""), language), (key,), True))
        for short, side in name.abbreviations.items():
            meant = Laterality(side) if side else None
            phrases.append(_Phrase(_words(short, language), (key,), True, _exact(short), meant))
    return _table(phrases)


def tokens(text: str, start: int, end: int, language: Language) -> list[tuple[str, int, int]]:
    """Normal form, start and end of each word; a slip of the pen is read as what it was meant for."""
    read = _reader(language)
    return [(read(m[0]), m.start(), m.end()) for m in _WORD.finditer(text, start, end)]


@cache
def _reader(language: Language) -> Callable[[str], str]:
    tables = (_observation_table(language), _site_table(language))
    words = {word for table in tables for _, phrases in table.values() for each in phrases for word in each}
    right = frozenset(map(language.norm, language.file["text"].get("right", ())))
    norm, mend = language.norm, mender(words)

    @remembered(65536)
    def read(word: str) -> str:
        form = norm(word)
        return form if form in right else mend(form) or form

    return read


def _phrase(text: str, words: Sequence[tuple[str, int, int]], i: int, table: _Table) -> _Phrase | None:
    """The longest phrase of the table that begins with word ``i``."""
    lengths, phrases = table.get(words[i][0], ((), {}))
    for n in lengths:
        meant = phrases.get(tuple([word[0] for word in words[i : i + n]])) if i + n <= len(words) else None
        if meant is None:
            continue
        gaps = [text[words[j][2] : words[j + 1][1]] for j in range(i, i + n - 1)]
        if all(gap == " " or _GAP.fullmatch(gap) for gap in gaps):
            written = text[words[i][1] : words[i + n - 1][2]]
            for phrase in meant:
                if phrase.exact is None or _as_written(text, words[i][1], written, phrase.exact):
                    return phrase
    return None


_COMPOUND = re.compile(r"(?<!\w)(?!(?:Non|Post|Pre|Anti)-)[A-Z]\w{0,5}-$")


def _as_written(text: str, start: int, written: str, exact: str) -> bool:
    """Whether these are the letters of an abbreviation, with an ending at most, and it is no part of
    another ("RADS", "BI-RADS", "CT-PE")."""
    ending = written[len(exact) :]
    if not written.startswith(exact) or ending.isupper():
        return False
    return text[start - 1 : start] != "-" or _COMPOUND.search(text, max(0, start - 8), start) is None


def _find(text: str, words: Sequence[tuple[str, int, int]], table: _Table, weak: frozenset[str]) -> list[Hit]:
    hits: list[Hit] = []
    i = 0
    while i < len(words):
        phrase = _phrase(text, words, i, table) if words[i][0] in table else None
        if phrase is None:
            i += 1
            continue
        last = i + len(phrase.words)
        general = len(phrase.words) == 1 and phrase.words[0] in weak
        hits.append(Hit(words[i][1], words[last - 1][2], phrase.keys, phrase.canonical, general, phrase.side))
        i = last
    return hits


def find_sites(text: str, words: Sequence[tuple[str, int, int]], language: Language) -> list[Hit]:
    """Sites named by the words."""
    return _find(text, words, _site_table(language), frozenset())


@cache
def _patterns(language: Language) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (key, compiled(rf"\b(?:{pattern})\b"))
        for key, name in language.names.items()
        for pattern in name.patterns
    )


@cache
def _sieve(language: Language) -> Sieve:
    return Sieve(pattern for _, pattern in _patterns(language))


_FAMILIES = ("calcification", "fracture")
"""Observations whose keys end so are told apart by where they are; the bare word is the vaguest."""


def _family(key: str) -> str | None:
    return next((family for family in _FAMILIES if key.endswith(family)), None)


def _kin(key: str, others: tuple[str, ...]) -> bool:
    """Whether another term is so near in meaning that, written out, it settles what is meant."""
    family = _family(key)
    if family is None:
        return False
    return any(_family(k) == family or (family == "calcification" and k in DESCRIBED) for k in others)


def _vaguer(text: str, hit: Hit, key: str) -> bool:
    """Whether words inside a pattern only say in part what the whole of it says."""
    if hit.keys == (_family(key),) and not hit.canonical:
        return True
    if key in ("pericardial_effusion", "joint_effusion"):
        return hit.keys == ("pleural_effusion",) and "pleur" not in text[hit.start : hit.end].lower()
    if not hit.pattern and set(hit.keys) <= set(observation(key).overrides):
        return True
    return (
        key == "coronary_calcification"
        and hit.keys == ("arterial_wall_calcification",)
        and not hit.pattern
        and not re.search("aort|arter", text[hit.start : hit.end], re.IGNORECASE)
    )


def _inside(hit: Hit, place: Hit) -> bool:
    longer = place.end - place.start > hit.end - hit.start
    return longer and place.start <= hit.start and hit.end <= place.end


def find_observations(
    text: str,
    words: Sequence[tuple[str, int, int]],
    language: Language,
    places: Sequence[Hit] | None = None,
) -> list[Hit]:
    """Observations named by the words or by a pattern of the vocabulary, in order, none twice.

    Args:
        places: the sites that the words name, where they are known already.
    """
    hits = _find(text, words, _observation_table(language), language.weak)
    if not words:
        return hits
    if hits:
        # "Pleural cavity" is a place, not a cavity.
        places = find_sites(text, words, language) if places is None else places
        hits = [h for h in hits if not any(_inside(h, place) for place in places)]
    start, end = words[0][1], words[-1][2]
    likely = _sieve(language)(text[start:end].lower())
    for key, pattern in map(_patterns(language).__getitem__, likely):
        for match in pattern.finditer(text, start, end):
            over = [h for h in hits if h.start < match.end() and match.start() < h.end]
            if any(key in h.keys or (h.canonical and _kin(key, h.keys)) for h in over):
                continue
            if any(h.canonical and h.start < match.start() and not _vaguer(text, h, key) for h in over):
                # "Gallbladder wall thickening along the fissure" thickens no fissure.
                continue
            hits = [h for h in hits if h not in over or not _vaguer(text, h, key)]
            hits.append(Hit(match.start(), match.end(), (key,), pattern=True))
    hits += _shared(text, words, hits, language)
    return _once(text, sorted(hits, key=lambda h: (h.start, h.end)))


def _shared(
    text: str, words: Sequence[tuple[str, int, int]], hits: Sequence[Hit], language: Language
) -> list[Hit]:
    """First words of terms whose noun stands only once: "pleural" in "pleural or pericardial effusion",
    "péricardique" in "épanchement pleural ou péricardique"."""
    if len(words) < 3 or not hits:
        return []
    table, cues = _observation_table(language), language.cues
    starts = {word[1]: i for i, word in enumerate(words)}
    ends = {word[2]: i for i, word in enumerate(words)}
    found: list[Hit] = []
    for hit in hits:
        first, last = starts.get(hit.start), ends.get(hit.end)
        if first is None or last is None or first == last:
            continue
        for step in (-1, 1):
            edge, i = (hit.start, first) if step < 0 else (hit.end, last)
            while (j := _next(text, words, i, edge, step, cues)) is not None:
                word, start, end = words[j]
                pair = (word, words[last][0]) if step < 0 else (words[first][0], word)
                keys = _meaning(table, pair, text[start if step < 0 else hit.start :])
                if keys is None or any(h.start < end and start < h.end for h in hits):
                    break
                found.append(Hit(start, end, keys))
                edge, i = (start if step < 0 else end), j
    return found


_REACH = 3
"""Words looked at for the other half of a pair: "or", a side, the word."""


def _next(
    text: str, words: Sequence[tuple[str, int, int]], i: int, edge: int, step: int, cues: Cues
) -> int | None:
    """Index of the word that "and", "or", a comma, a stroke or a side joins to what ends at ``edge``."""
    for j in range(i + step, i + step * (_REACH + 1), step):
        if not 0 <= j < len(words):
            return None
        gap = text[words[j][2] : edge] if step < 0 else text[edge : words[j][1]]
        bare = cues.side.pattern.sub(" ", gap)
        if bare.strip() and (bare.strip() in "/-" or cues.list_.fullmatch(bare)):
            return j
    return None


def _meaning(table: _Table, pair: tuple[str, str], written: str) -> tuple[str, ...] | None:
    for phrase in table[pair[0]][1].get(pair, ()) if pair[0] in table else ():
        if phrase.exact is None or written.startswith(phrase.exact):
            return phrase.keys
    return None


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


def votes(hits: Sequence[Hit], places: Sequence[Hit]) -> list[str]:
    """The region of each word that belongs to only one. A region is the root of the tree of sites."""
    found = [regions(key) for hit in hits if not hit.weak for key in hit.keys]
    return [*(next(iter(r)) for r in found if len(r) == 1), *(root(place.keys[0]) for place in places)]


def elected(regions: Iterable[str]) -> str | None:
    """The region of the body that a text is about, by the votes of its words; None when undecided."""
    first, *rest = [*Counter(regions).most_common(2), ("", 0), ("", 0)][:2]
    return first[0] if first[1] > rest[0][1] else None

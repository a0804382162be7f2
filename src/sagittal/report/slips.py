"""Slips of the pen in long words: a letter too many, too few, two swapped, or one vowel for another.

Only words that no list knows are looked at, and only where first and last letter stand ("plueral", not
the plural of a word or another of its forms). Consonants are not exchanged: "confusion" is no contusion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

SHORTEST = 7
"""Letters below which two right words are too often one slip apart."""

LONG = 10
"""Letters from which on one vowel may stand for another ("falling" is no filling)."""

_VOWELS = frozenset("aeiouy")


def mender(words: Iterable[str]) -> Callable[[str], str | None]:
    """A function that finds the one long word of ``words`` that a word is a slip of; None for none."""
    known = frozenset(words)
    shortened: dict[str, set[str]] = defaultdict(set)
    for word in known:
        if len(word) >= SHORTEST and word.isalpha():
            for i in range(1, len(word) - 1):
                shortened[word[:i] + word[i + 1 :]].add(word)

    def candidates(word: str) -> Iterator[str]:
        yield from shortened.get(word, ())
        for i in range(1, len(word) - 1):
            less = word[:i] + word[i + 1 :]
            if len(less) >= SHORTEST and less in known:
                yield less
            for other in shortened.get(less, ()) if len(word) >= LONG and word[i] in _VOWELS else ():
                if other[:i] == word[:i] and other[i + 1 :] == word[i + 1 :] and other[i] in _VOWELS:
                    yield other
            swapped = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
            if i + 2 < len(word) and swapped in known:
                yield swapped

    def mend(word: str) -> str | None:
        if len(word) < SHORTEST or word in known or not word.isalpha():
            return None
        found = set(candidates(word))
        return found.pop() if len(found) == 1 else None

    return mend

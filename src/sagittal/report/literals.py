"""What a regular expression cannot match without: a cheap look before a dear one.

`needed` reads the patterns of this package (groups, alternatives, classes, repeats, look-arounds) and
names pieces of text, one of which stands in everything they match. What it cannot name it leaves open,
so that `may_match` never says no to a text that would have matched.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789/:,;-")
_SHORTEST = 2
"""Shortest piece worth looking for."""
_RUN = 3
"""Letters at the beginning of a piece by which a sieve knows it."""

_known: dict[int, tuple[re.Pattern[str], tuple[str, ...]]] = {}


def _closing(source: str, start: int) -> int:
    """Index after the group or class that opens at ``start``."""
    opening = source[start]
    depth, i, in_class = 0, start, False
    while i < len(source):
        char = source[i]
        if char == "\\":
            i += 2
            continue
        if in_class or opening == "[":
            if char == "[" and i == start:
                # A bracket that closes right after the opening (or after "^") is one of the class.
                i += 2 if source[i + 1 : i + 2] == "^" else 1
                i += source[i : i + 1] == "]"
                continue
            if char == "]":
                if opening == "[":
                    return i + 1
                in_class = False
        elif char == "[":
            in_class = True
            i += 1 + (source[i + 1 : i + 2] == "^")
            i += source[i : i + 1] == "]"
            continue
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return i + 1
        i += 1
    return len(source)


def _alternatives(source: str) -> Iterator[str]:
    """The parts between the bars of the outermost level."""
    start = i = 0
    while i < len(source):
        char = source[i]
        if char == "\\":
            i += 2
        elif char in "([":
            i = _closing(source, i)
        elif char == "|":
            yield source[start:i]
            start = i = i + 1
        else:
            i += 1
    yield source[start:]


def _repeat(source: str, i: int) -> tuple[bool, int]:
    """Whether what stands before ``i`` may be missing, and where its repeat ends."""
    if i < len(source) and source[i] in "?*+":
        end = i + 1
        optional = source[i] != "+"
    elif i < len(source) and source[i] == "{":
        end = source.index("}", i) + 1
        optional = source[i + 1 : i + 2] in ("0", ",")
    else:
        return False, i
    return optional, end + (source[end : end + 1] in ("?", "+") and end < len(source))


def _of_one(source: str) -> tuple[str, ...] | None:
    """Pieces of which a match of one alternative has at least one; None where none is sure."""
    best: tuple[str, ...] | None = None
    run = ""

    def better(found: tuple[str, ...] | None) -> None:
        nonlocal best
        if found and (best is None or min(map(len, found)) > min(map(len, best))):
            best = found

    i = 0
    while i < len(source):
        char = source[i]
        if char in "([":
            end = _closing(source, i)
            group, inside = char == "(", source[i + 1 : end - 1]
            optional, end = _repeat(source, end)
            better((run,) if len(run) >= _SHORTEST else None)
            run, i = "", end
            if not group or optional or re.match(r"\?(?:<?[!=]|[#])", inside):
                continue
            better(needed(re.sub(r"^\?(?:P<\w+>|:)", "", inside)))
            continue
        width = 2 if char == "\\" else 1
        optional, end = _repeat(source, i + width)
        if width == 1 and char.lower() in _PLAIN and not optional:
            run += char.lower()
            if end > i + 1:
                better((run,) if len(run) >= _SHORTEST else None)
                run = ""
        else:
            better((run,) if len(run) >= _SHORTEST else None)
            run = ""
        i = end
    better((run,) if len(run) >= _SHORTEST else None)
    return best


def needed(source: str) -> tuple[str, ...] | None:
    """Pieces of lower-case ASCII of which every match has at least one; None where none is sure."""
    found: dict[str, None] = {}
    for part in _alternatives(source):
        pieces = _of_one(part)
        if pieces is None:
            return () if part == "(?!)" and source == part else None
        found.update(dict.fromkeys(pieces))
    # "unchanged" is found wherever "changed" is looked for.
    return tuple(p for p in found if not any(q != p and q in p for q in found))


def compiled(source: str) -> re.Pattern[str]:
    """The pattern, case ignored, with what it needs kept beside it for `may_match`."""
    pattern = re.compile(source, re.IGNORECASE)
    pieces = needed(source)
    if pieces:
        _known[id(pattern)] = pattern, pieces
    return pattern


def may_match(pattern: re.Pattern[str], lowered: str) -> bool:
    """False only if the pattern matches nowhere in the text whose lower case this is.

    A text that is not plain ASCII is not looked at: case has exceptions there.
    """
    known = _known.get(id(pattern))
    if known is None:
        return True
    for piece in known[1]:
        if piece in lowered:
            return True
    return not lowered.isascii()


class Sieve:
    """Which of many patterns may match a text: one look at its runs of letters instead of one a pattern."""

    def __init__(self, patterns: Iterable[re.Pattern[str]]) -> None:
        self._patterns = tuple(patterns)
        self._always: set[int] = set()
        self._beginning: dict[str, list[int]] = defaultdict(list)
        for i, pattern in enumerate(self._patterns):
            pieces = _known[id(pattern)][1] if id(pattern) in _known else ("",)
            if min(map(len, pieces)) < _RUN:
                self._always.add(i)
            else:
                for piece in pieces:
                    self._beginning[piece[:_RUN]].append(i)

    def __call__(self, lowered: str) -> list[int]:
        """Indices, in order, of those for which `may_match` is true."""
        if not lowered.isascii():
            return list(range(len(self._patterns)))
        runs = {lowered[i : i + _RUN] for i in range(len(lowered) - _RUN + 1)}
        begun = (i for run in runs & self._beginning.keys() for i in self._beginning[run])
        return [i for i in sorted(self._always.union(begun)) if may_match(self._patterns[i], lowered)]

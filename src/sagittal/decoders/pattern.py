"""Sets of texts: a regular expression, or templates with slots.

parsed(r"(no |small )?pleural effusion\\.( [1-9][0-9]? mm)?")
templates(["no {finding}.", "{finding} in the {place}."], {"finding": ("nodule", ...), ...}, most=4)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sagittal.errors import BadInput

MAX_CHARACTERS, MAX_DEPTH, MAX_REPEAT = 100_000, 50, 256
PRINTABLE = frozenset(range(32, 127))
ESCAPES = {
    "d": frozenset(b"0123456789"),
    "s": frozenset(b" "),
    "w": frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"),
}
SPECIAL = frozenset("\\|()[]{}*+?.^$")


@dataclass(frozen=True)
class OneOf:
    """One byte of these."""

    allowed: frozenset[int]


@dataclass(frozen=True)
class Then:
    """All parts in turn; none: the empty text."""

    parts: tuple[Pattern, ...]


@dataclass(frozen=True)
class Either:
    """One of the parts."""

    parts: tuple[Pattern, ...]


@dataclass(frozen=True)
class Repeat:
    """``least`` to ``most`` times; None: without end."""

    part: Pattern
    least: int
    most: int | None


Pattern = OneOf | Then | Either | Repeat


def literal(text: str) -> Then:
    """Just this text, as UTF-8."""
    return Then(tuple(OneOf(frozenset([byte])) for byte in text.encode()))


def templates(
    texts: Iterable[str], slots: Mapping[str, Sequence[str]], *, most: int | None = 1, between: str = " "
) -> Pattern:
    """One to ``most`` of ``texts`` (None: any number), each ``{name}`` in them one of ``slots[name]``.

    Raises:
        BadInput: no text, a slot that has no values or no name.
    """
    made: list[Pattern] = []
    for text in texts:
        parts: list[Pattern] = []
        for index, part in enumerate(re.split(r"\{(\w*)\}", text)):
            if index % 2 and not slots.get(part):
                raise BadInput(
                    f"template {text[:80]!r} has the slot {part!r} without values",
                    f"one of {', '.join(slots)}",
                )
            parts.append(Either(tuple(literal(v) for v in slots[part])) if index % 2 else literal(part))
        made.append(Then(tuple(parts)))
    if not made or (most is not None and not 1 <= most <= MAX_REPEAT):
        raise BadInput("a grammar of no template", f"at least one, and most from 1 to {MAX_REPEAT}")
    one = Either(tuple(made))
    rest = Repeat(Then((literal(between), one)), 0, None if most is None else most - 1)
    return one if most == 1 else Then((one, rest))


def parsed(expression: str) -> Pattern:
    """A regular expression: ``| ( ) [a-z] [^a-z] . * + ? {n,m} \\d \\w \\s`` and escaped signs.

    The whole text has to match. Sets are of visible ASCII and the blank (``.`` is all of them); other letters
    stand for themselves.

    Raises:
        BadInput: anything else, or too long or too deep.
    """
    if len(expression) > MAX_CHARACTERS:
        raise BadInput("the pattern is too long", f"at most {MAX_CHARACTERS} characters")
    parser = _Parser(expression)
    pattern = parser.either(0)
    if parser.at < len(expression):
        parser.refuse("a ) that was not opened")
    return pattern


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def refuse(self, why: str) -> None:
        raise BadInput(f"pattern {self.text[:60]!r}, character {self.at + 1}: {why}", "a regular expression")

    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        if self.at >= len(self.text):
            self.refuse("it ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def either(self, depth: int) -> Pattern:
        if depth > MAX_DEPTH:
            self.refuse("groups are nested too deep")
        parts = [self.then(depth)]
        while self.next() == "|":
            self.at += 1
            parts.append(self.then(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def then(self, depth: int) -> Pattern:
        parts: list[Pattern] = []
        while self.next() and self.next() not in "|)":
            parts.append(self.repeated(self.atom(depth)))
        return Then(tuple(parts))

    def repeated(self, part: Pattern) -> Pattern:
        counts: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if self.next() in counts:
            part = Repeat(part, *counts[self.take()])
        elif self.next() == "{":
            found = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}").match(self.text, self.at)
            if found is None:
                self.refuse("{ that is no {n,m}")
            assert found is not None
            least = int(found[1])
            most = least if found[2] is None else int(found[3]) if found[3] else None
            if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
                self.refuse(f"a count out of 0 to {MAX_REPEAT}, or upside down")
            self.at = found.end()
            part = Repeat(part, least, most)
        if self.next() and self.next() in "*+?{":
            self.refuse("a repetition of a repetition")
        return part

    def atom(self, depth: int) -> Pattern:
        letter = self.take()
        if letter == "(":
            inside = self.either(depth + 1)
            if self.take() != ")":
                self.refuse("a ( that is not closed")
            return inside
        if letter == "[":
            return OneOf(self.letters())
        if letter == ".":
            return OneOf(PRINTABLE)
        if letter == "\\":
            return self.escaped()
        if letter in SPECIAL:
            self.refuse(f"{letter!r} has no meaning here")
        return literal(letter)

    def escaped(self) -> Pattern:
        letter = self.take()
        if letter in ESCAPES:
            return OneOf(ESCAPES[letter])
        if letter.isalnum():
            self.refuse(f"\\{letter} is not known")
        return literal(letter)

    def letters(self) -> frozenset[int]:
        """What stands between [ and ]."""
        negated = self.next() == "^"
        self.at += negated
        found: set[int] = set()
        while (letter := self.take()) != "]":
            if letter == "\\" and self.next() in ESCAPES:
                found |= ESCAPES[self.take()]
                continue
            low = high = self.take() if letter == "\\" else letter
            if self.next() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                high = self.take()
                high = self.take() if high == "\\" else high
            if ord(low) not in PRINTABLE or ord(high) not in PRINTABLE or low > high:
                self.refuse(f"the range {low}-{high}, not of visible ASCII or upside down")
            found |= set(range(ord(low), ord(high) + 1))
        if not found:
            self.refuse("an empty set")
        return frozenset(PRINTABLE - found if negated else found)

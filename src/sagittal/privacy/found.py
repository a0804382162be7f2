"""A stretch of text that names a person, and several of them made disjoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["NAME", "DATE", "AGE", "ID", "PHONE", "EMAIL", "URL", "ADDRESS", "HOSPITAL"]
KINDS: tuple[Kind, ...] = ("NAME", "DATE", "AGE", "ID", "PHONE", "EMAIL", "URL", "ADDRESS", "HOSPITAL")


@dataclass(frozen=True)
class Found:
    """What is to be taken out.

    Args:
        start, end: where it stands.
        key: the same for two forms of one thing ("John Doe", "Doe").
        instead: what is to stand in its place, where that is more than a number (a shifted date).
    """

    start: int
    end: int
    kind: Kind
    key: str
    instead: str | None = None


def disjoint(found: Iterable[Found]) -> list[Found]:
    """In order of place; what overlaps becomes one stretch, of the kind that came first in ``found``."""
    ranked = sorted(enumerate(found), key=lambda item: (item[1].start, -item[1].end))
    kept: list[tuple[int, Found]] = []
    for rank, this in ranked:
        if not kept or this.start >= kept[-1][1].end:
            kept.append((rank, this))
            continue
        first, last = kept[-1]
        same = (last.start, last.end) == (this.start, this.end)
        winner = last if first <= rank else this
        if not same:
            # A date inside an address is part of the address: no date takes its place.
            whole = (min(last.start, this.start), max(last.end, this.end))
            if whole != (winner.start, winner.end):
                winner = replace(winner, start=whole[0], end=whole[1], instead=None)
        kept[-1] = min(first, rank), winner
    return [this for _, this in kept]

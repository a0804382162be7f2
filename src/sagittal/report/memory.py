"""What is kept in memory of texts that were read, so that nothing is read twice; and how it is dropped."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_DROP: list[Callable[[], None]] = []


def remembered(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """`functools.lru_cache` for what is asked about a patient's words; `forget` empties it."""

    def wrap(work: Callable[P, T]) -> Callable[P, T]:
        kept = lru_cache(maxsize=most)(work)
        _DROP.append(kept.cache_clear)
        return kept  # type: ignore[return-value]

    return wrap


def forget() -> None:
    """Drop every sentence and word of the texts read so far from this process's caches.

    For a service that lives long: they hold parts of reports in clear until others displace them. The next
    text is read a little slower. Python may keep freed memory for a while without wiping it.
    """
    for drop in _DROP:
        drop()

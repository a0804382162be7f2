"""One function over many texts on several processors: results in order, memory bounded."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 64
"""Items that travel to a process together."""
SMALL = 4 * CHUNK
"""Fewer items than this are not worth another process."""
MOST_WORKERS = 4


def workers_for(items: int | None) -> int:
    """How many processes so many items are worth (None: not known, many): the processors, at most 4."""
    if items is not None and items < SMALL:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def each(work: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """``map(work, items)`` on ``workers`` processes; what comes out does not depend on their number.

    Items are drawn only as results are taken: a handful of chunks a process is in memory at a time.

    Args:
        work: a function that can be pickled; it depends on its argument alone.
        workers: 1: this process.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    # Forked processes share the tables that were built before; elsewhere than Linux forking is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    chunk_of = partial(_chunk, work)
    rest = iter(items)
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[list[R]]] = deque()
        try:
            while chunk := list(islice(rest, CHUNK)):
                waiting.append(pool.submit(chunk_of, chunk))
                if len(waiting) >= 3 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _chunk(work: Callable[[T], R], items: list[T]) -> list[R]:
    return [work(item) for item in items]

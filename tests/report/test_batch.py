"""Many texts on several processors: order, bounded memory, and what a failing one does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagittal.report.batch import CHUNK, SMALL, each, workers_for


def double(n: int) -> int:
    return 2 * n


def fragile(n: int) -> int:
    if n == 200:
        raise ValueError("200")
    return n


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, CHUNK, 10 * CHUNK + 1])
def test_results_come_in_order(workers: int, n: int) -> None:
    assert list(each(double, range(n), workers=workers)) == [2 * i for i in range(n)]


def test_items_are_drawn_as_results_are_taken() -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for i in range(100_000):
            drawn += 1
            yield i

    results = each(double, items(), workers=2)
    assert next(results) == 0 and drawn <= 7 * CHUNK
    results.close()  # type: ignore[attr-defined]


def test_an_error_comes_out_where_it_happened() -> None:
    results = each(fragile, range(1000), workers=2)
    with pytest.raises(ValueError, match="200"):
        for i, got in enumerate(results):
            assert got == i < 200


def test_few_items_stay_in_this_process() -> None:
    assert workers_for(SMALL - 1) == 1 and 1 <= workers_for(SMALL) <= 4

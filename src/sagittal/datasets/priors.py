"""Each study with the one before it of the same patient."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import partial

from sagittal.datasets.dataset import Dataset, Row
from sagittal.study.study import Study


def with_priors(data: Dataset, *, limit: int = 1) -> Dataset:
    """Rows whose `load` attaches up to ``limit`` earlier studies of the patient, the latest first.

    Earlier is what ``Row.order`` sorts before; rows without an order keep what they have.
    """
    by_patient: dict[str, list[Row]] = defaultdict(list)
    for row in data.rows:
        if row.order:
            by_patient[row.patient].append(row)
    earlier: dict[int, tuple[Row, ...]] = {}
    for rows in by_patient.values():
        rows.sort(key=lambda row: row.order)
        for row in rows:
            before = [one for one in rows if one.order < row.order]
            earlier[id(row)] = tuple(reversed(before[-limit:])) if limit > 0 else ()
    made = tuple(
        replace(row, load=partial(_load, row, earlier[id(row)]), prior=earlier[id(row)][0].study)
        if earlier.get(id(row))
        else row
        for row in data.rows
    )
    return replace(data, rows=made)


def _load(row: Row, before: tuple[Row, ...]) -> Study:
    study = row.load()
    return study.with_(priors=(*study.priors, *(one.load() for one in before)))

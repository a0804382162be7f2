"""Each study with the one before it of the same patient."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import partial

from sagittal.datasets.dataset import Dataset, Row
from sagittal.errors import BadInput
from sagittal.study.study import Study


def with_priors(data: Dataset, *, limit: int = 1) -> Dataset:
    """Rows whose `load` attaches up to ``limit`` earlier studies of the patient, the latest first.

    Earlier is what ``Row.order`` sorts before. A row without an order has the prior that it names (its `load`
    brings that one), then the prior of its prior, and so on; a row that names none keeps what it has.
    """
    by_patient: dict[str, list[Row]] = defaultdict(list)
    named = {row.study: row for row in data.rows}
    earlier: dict[int, tuple[Row, ...]] = {}
    for row in data.rows:
        if row.order:
            by_patient[row.patient].append(row)
        elif row.prior:
            earlier[id(row)] = _chain(row, named)[1:limit]
    for rows in by_patient.values():
        rows.sort(key=lambda row: row.order)
        for row in rows:
            before = [one for one in rows if one.order < row.order]
            earlier[id(row)] = tuple(reversed(before[-limit:])) if limit > 0 else ()
    made = tuple(
        replace(row, load=partial(_load, row, earlier[id(row)]), prior=row.prior or earlier[id(row)][0].study)
        if earlier.get(id(row))
        else row
        for row in data.rows
    )
    return replace(data, rows=made)


def _chain(row: Row, named: dict[str, Row]) -> tuple[Row, ...]:
    found: list[Row] = []
    while (before := named.get(row.prior)) is not None and before not in found:
        found.append(before)
        row = before
    return tuple(found)


def _load(row: Row, before: tuple[Row, ...]) -> Study:
    """A prior that cannot be opened is left out and noted."""
    study = row.load()
    priors, problems = list(study.priors), list(study.problems)
    for one in before:
        try:
            priors.append(one.load().with_(priors=()))
        except BadInput as reason:
            problems.append(f"prior {one.study} is left out: {reason}")
    return study.with_(priors=tuple(priors), problems=tuple(problems))

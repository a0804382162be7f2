"""Earlier studies of a patient: by the order of a set, by the chain a data folder names; and damaged ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.open import open_data
from sagittal.datasets.priors import with_priors
from sagittal.errors import BadInput
from sagittal.phantom.cohort import draw, write_cohort
from sagittal.study.study import Study

BASE = draw("chest-xray", seed=1, index=0, size=64).study


def dated(year: int) -> Study:
    return replace(BASE, uid=f"1.2.{year}", date=date(year, 1, 1))


def rows_of(*made: Row) -> Dataset:
    return Dataset("ours", made, ("a",), np.zeros((len(made), 1), np.float32))


def years(row: Row) -> list[int]:
    return [prior.date.year for prior in row.load().priors if prior.date]


def first_of(year: int, before: int) -> Callable[[], Study]:
    """As a data folder opens it: with the prior that it names."""
    return lambda: dated(year).with_(priors=(dated(before),))


def test_the_chain_of_named_priors_is_followed() -> None:
    data = rows_of(
        Row("d", "p", "train", first_of(2024, 2023), prior="c"),
        Row("c", "p", "train", first_of(2023, 2022), prior="b"),
        Row("a", "p", "train", lambda: dated(2020)),
        Row("b", "p", "train", first_of(2022, 2020), prior="a"),
    )
    for limit, expected in ((1, [2023]), (2, [2023, 2022]), (9, [2023, 2022, 2020])):
        assert years(with_priors(data, limit=limit).rows[0]) == expected
    assert years(with_priors(data, limit=9).rows[2]) == []
    ring = rows_of(
        Row("a", "p", "train", first_of(2020, 2021), prior="b"),
        Row("b", "p", "train", first_of(2021, 2020), prior="a"),
    )
    assert len(years(with_priors(ring, limit=9).rows[0])) <= 2


def test_by_the_order_of_a_set() -> None:
    data = rows_of(
        *(Row(f"s{y}", "p", "train", lambda y=y: dated(y), order=str(y)) for y in (2022, 2020, 2024))
    )
    latest = with_priors(data, limit=2).rows[2]
    assert years(latest) == [2022, 2020] and latest.prior == "s2022"


def test_a_prior_that_cannot_be_opened_is_left_out_and_noted(tmp_path: Path) -> None:
    def broken() -> Study:
        raise BadInput("s2020 cannot be read: no pixels")

    data = rows_of(
        Row("s2020", "p", "train", broken, order="2020"),
        Row("s2024", "p", "train", lambda: dated(2024), order="2024"),
    )
    study = with_priors(data).rows[1].load()
    assert study.priors == () and "prior s2020 is left out: s2020 cannot be read" in study.problems[-1]
    folder = write_cohort("chest-xray", 1, tmp_path / "d", followup=True, size=64, workers=1)
    for film in (folder / "000000-0").rglob("*.dcm"):
        film.write_bytes(b"no film")
    prior, current = open_data(folder).rows
    study = current.load()
    assert study.priors == () and "prior 000000-0 is left out" in study.problems[-1]
    with pytest.raises(BadInput):
        prior.load()

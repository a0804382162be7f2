"""The shelf holds few studies, and everything on it is found again."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sagittal.serve.manifest import grids, manifest
from sagittal.serve.panel import percent
from sagittal.serve.shelf import opened
from sagittal.serve.worker import age_text
from sagittal.study.geometry import Plane
from sagittal.study.study import Patient, Series, Study
from sagittal.study.volume import Volume


def film(orientation: tuple[str, str] | None, spacing: tuple[float, float] | None = (0.5, 0.25)) -> Study:
    plane = Plane(spacing, "at the detector, uncorrected" if spacing else None, orientation)
    voxels = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    series = Series(
        uid="1.2.5", modality="DX", shape=(20, 30), geometry=plane, unit="arbitrary",
        decode=lambda: Volume(voxels, plane), view="PA", position="ERECT",
    )  # fmt: skip
    return Study("1.2", Patient("P"), (series,), date(2026, 1, 1))


def test_only_so_many_studies_stay_open(room: Any, kit: SimpleNamespace) -> None:
    client = room(studies_in_memory=2)
    names = [kit.arrive(client, kit.ct(f"1.2.826.0.1.{n}")) for n in (1, 2, 3)]
    shelf = client.room.shelf
    assert list(shelf._held) == names[1:]
    assert shelf.get(names[0]).study.uid == "1.2.826.0.1.1"
    assert list(shelf._held) == [names[2], names[0]]
    with pytest.raises(KeyError):
        shelf.get("nothing")


def test_masks_come_back_with_a_study_that_was_put_away(room: Any, kit: SimpleNamespace) -> None:
    client = room(studies_in_memory=1)
    first = kit.arrive(client, kit.ct())
    kit.arrive(client, kit.ct("1.2.826.0.1.2"))
    assert np.array_equal(client.room.shelf.get(first).masks["nodule-1"], kit.ball())


def test_a_film_turned_for_display_takes_box_and_mask_along(kit: SimpleNamespace) -> None:
    from dataclasses import replace

    from sagittal.report.finding import Evidence

    study = film(("R", "F"))
    shelf = opened(study)
    reading = kit.read(kit.ct()).reading
    proof = Evidence("1.2.5", box_index=(2, 4, 5, 9))
    reading = replace(reading, findings=(replace(reading.findings[0], evidence=proof),), masks=())
    target = manifest(shelf, reading)["findings"][0]
    # Column 4..9 of 30 lies at 20..25 after the flip; points are pitch times (column, row).
    columns = np.array(target["box"])[:, 0] / 0.25
    rows = np.array(target["box"])[:, 1] / 0.5
    assert (columns.min(), columns.max()) == (19.5, 25.5)
    assert (rows.min(), rows.max()) == (1.5, 5.5)


def test_a_film_says_what_it_does_not_know() -> None:
    said = manifest(opened(film(None, None)), None)["series"]["0"]
    assert said["stated"] == "orientation not stated"
    assert said["length"] == "pixel"
    assert set(said["planes"]["film"]["edges"].values()) == {""}
    known = manifest(opened(film(("L", "F"))), None)["series"]["0"]
    assert (known["stated"], known["length"]) == ("", "mm")
    assert known["spacing_note"] == "at the detector, uncorrected"


def test_series_share_masks_only_on_the_same_grid_of_the_same_study(kit: SimpleNamespace) -> None:
    one, other = kit.ct(), kit.ct("1.2.826.0.1.7", date(2025, 1, 1))
    twice = one.with_(series=(one.series[0], one.series[0]), priors=(other,))
    numbers = grids(opened(twice))
    assert numbers["0"] == numbers["1"] != numbers["p0"]


def test_scattered_masks_are_known(kit: SimpleNamespace) -> None:
    shelf = opened(kit.ct())
    checker = np.indices(kit.SHAPE).sum(axis=0) % 2 == 0
    shelf.masks = {"nodule-1": kit.ball(), "emphysema-1": checker}
    assert (shelf.scattered("nodule-1"), shelf.scattered("emphysema-1")) == (False, True)


@pytest.mark.parametrize(
    ("years", "text"), [(None, ""), (0.0, "0 y"), (0.5, "6 mo"), (1.9, "23 mo"), (2.0, "2 y"), (66.4, "66 y")]
)
def test_ages_read_as_people_say_them(years: float | None, text: str) -> None:
    assert age_text(years) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (1.0, "> 99 %"), (0.991, "> 99 %"), (0.0, "< 1 %"), (0.62, "62 %")]
)
def test_no_percentage_claims_certainty(value: float | None, text: str) -> None:
    assert percent(value) == text

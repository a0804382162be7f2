"""The store appends and never overwrites; masks come back as they were."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from sagittal.errors import BadInput, Refused
from sagittal.report.reading import Provenance, Reading, Status, StudySummary
from sagittal.report.report import Report
from sagittal.serve.store import AT_WORK, WAITING, Store


def reading(version: int = 1) -> Reading:
    return Reading(
        uid=f"1.2.{version}",
        status=Status.DRAFT,
        study=StudySummary("1.2.3", "P1"),
        models=(),
        scores=(),
        findings=(),
        refusals=(),
        report=Report(),
        provenance=Provenance(datetime(2026, 1, 2, tzinfo=UTC), 0),
        version=version,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "room")


def added(store: Store) -> str:
    study, folder = store.new_folder()
    store.add(study, folder)
    return study


def test_versions_are_appended_and_all_stay(store: Store) -> None:
    study = added(store)
    for version in (1, 2, 3):
        store.append(study, reading(version))
    assert [v for v, _, _ in store.versions(study)] == [1, 2, 3]
    assert store.reading(study) == reading(3)
    assert store.reading(study, 1) == reading(1)
    assert store.row(study).version == 3


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_version_out_of_turn_is_refused(store: Store, version: int) -> None:
    study = added(store)
    store.append(study, reading(1))
    store.append(study, reading(2))
    with pytest.raises(Refused, match="has changed"):
        store.append(study, reading(version))
    assert len(store.versions(study)) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE readings SET document = '{}'",
        "DELETE FROM readings",
        "UPDATE events SET actor = 'x'",
        "DELETE FROM events",
    ],
)
def test_the_database_itself_refuses_to_change_history(store: Store, statement: str, tmp_path: Path) -> None:
    study = added(store)
    store.append(study, reading())
    store.log(study, "Dr A", "sign")
    other = sqlite3.connect(tmp_path / "room" / "reading_room.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        other.execute(statement)
    other.close()
    assert store.reading(study) == reading()


def test_everything_is_there_after_a_restart(store: Store, tmp_path: Path) -> None:
    study = added(store)
    store.append(study, replace(reading(), study=StudySummary("1.2.3", 'Ünal <b>"Ö"</b>')))
    store.log(study, "Dr A", "ai hidden")
    assert store.take() == study
    store.close()
    again = Store(tmp_path / "room")
    assert again.reading(study).study.patient_id == 'Ünal <b>"Ö"</b>'
    assert [(e.actor, e.action) for e in again.events(study)] == [("Dr A", "ai hidden")]
    assert again.row(study).state == AT_WORK
    again.requeue()
    assert again.row(study).state == WAITING


def test_studies_are_taken_once_and_in_order(store: Store) -> None:
    studies = [added(store) for _ in range(3)]
    assert [store.take() for _ in range(4)] == [*studies, None]


def test_masks_of_odd_shapes_round_trip(store: Store) -> None:
    rng = np.random.default_rng(1)
    masks = {"nodule-1": rng.random((5, 7, 9)) > 0.5, "лёгкое": rng.random((3, 1)) > 0.5}
    assert store.masks("x") == {}
    store.save_masks("x", masks)
    back = store.masks("x")
    assert list(back) == list(masks)
    assert all(np.array_equal(back[name], mask) for name, mask in masks.items())
    assert not list((store.folder / "masks").glob(".*"))


def test_unknown_studies_and_columns(store: Store) -> None:
    with pytest.raises(KeyError):
        store.row("nothing")
    with pytest.raises(KeyError):
        store.reading("nothing")
    with pytest.raises(ValueError, match="unknown column"):
        store.describe("x", **{"state = 'read' --": "x"})


def test_a_discarded_upload_leaves_nothing_but_a_listed_study_stays(store: Store) -> None:
    study, folder = store.new_folder()
    store.discard(study)
    assert not folder.exists()
    kept, folder = store.new_folder()
    store.add(kept, folder)
    store.discard(kept)
    assert folder.exists()


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot hold the store"):
        Store(tmp_path / "file" / "room")

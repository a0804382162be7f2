"""Splits by patient, what leaks, and reading on past what is corrupt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.open import open_data
from sagittal.datasets.reading import checked, readable
from sagittal.datasets.splits import check_leaks, leaks, split_patients
from sagittal.errors import BadInput


def planned(patients: list[int], labels: list[float] | None = None) -> Dataset:
    def never() -> Any:
        raise AssertionError("an image was opened")

    rows = tuple(Row(f"s{i}", f"p{patient}", "", never) for i, patient in enumerate(patients))
    values = np.array(labels if labels is not None else [0.0] * len(rows), np.float32)[:, None]
    return Dataset("planned", rows, ("rare",), values)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 40), min_size=60, max_size=200), st.integers(0, 99))
def test_no_patient_is_ever_in_two_splits_and_the_seed_decides(patients: list[int], seed: int) -> None:
    data = planned(patients)
    if len(set(patients)) < 10:
        return
    split = split_patients(data, (0.6, 0.2, 0.2), seed=seed)
    assert not leaks(split)
    assert [r.split for r in split.rows] == [
        r.split for r in split_patients(data, (0.6, 0.2, 0.2), seed=seed).rows
    ]
    assert [r.study for r in split.rows] == [r.study for r in data.rows]
    share = {
        s: len({r.patient for r in split.only(s).rows}) / len(set(patients)) for s in ("train", "val", "test")
    }
    assert share["train"] == pytest.approx(0.6, abs=1.5 / len(set(patients)))


def test_stratifying_spreads_a_rare_label_that_chance_does_not() -> None:
    labels = [1.0 if n % 20 == 0 else 0.0 for n in range(400)]
    data = planned(list(range(400)), labels)

    def positives(stratify: tuple[str, ...]) -> list[list[float]]:
        made = [split_patients(data, seed=seed, stratify=stratify) for seed in range(8)]
        return [[float(one.only(s).targets.sum()) for s in ("train", "val", "test")] for one in made]

    assert all(counts == [14, 3, 3] for counts in positives(("rare",)))
    assert any(counts != [14, 3, 3] for counts in positives(()))


def test_an_empty_split_and_an_unknown_label_are_named() -> None:
    with pytest.raises(BadInput, match="leave the split 'val' empty"):
        split_patients(planned(list(range(12))), (0.9, 0.01, 0.09))
    with pytest.raises(BadInput, match="has 2 patients; expected one at least for each of train, val, test"):
        split_patients(planned([1, 1, 2]))
    with pytest.raises(BadInput, match="neither label nor group 'rar'; expected 'rare'"):
        split_patients(planned(list(range(12))), stratify=("rar",))
    with pytest.raises(BadInput, match="add up to 1"):
        split_patients(planned(list(range(12))), (0.9, 0.2, 0.2))
    with pytest.raises(BadInput, match="no split 'test'; expected one of: train, val"):
        split_patients(planned(list(range(12))), (0.5, 0.5, 0)).only("test")


def test_a_patient_and_a_picture_in_two_splits_are_named(make: Any) -> None:
    first = make.film("a.png")
    make.film("b.png")
    (make.folder / "c.png").write_bytes(first.read_bytes())
    make.text("labels.csv", "study,patient,split,nodule\na.png,1,train,0\nb.png,1,val,0\nc.png,2,test,1\n")
    data = open_data(make.folder)
    patient, image = leaks(data, images=True)
    assert (patient.kind, patient.what, patient.splits) == ("patient", "1", ("train", "val"))
    assert (image.kind, image.studies) == ("image", ("a.png", "c.png"))
    with pytest.raises(
        BadInput, match=r"2 leaks between splits; patient 1 is in train and val: a\.png, b\.png"
    ):
        check_leaks(data, images=True)


def test_the_duplicates_of_the_real_pneumoniamnist_are_found(shared_data: Path) -> None:
    data = open_data(shared_data / "pneumoniamnist" / "pneumoniamnist_full_reassembled.npz")
    found = leaks(data, images=True)
    assert not any(leak.kind == "patient" for leak in found)
    assert sum(leak.splits == ("train", "val") for leak in found) == 8


def test_one_corrupt_study_of_a_thousand_is_read_on_and_listed(make: Any) -> None:
    path = make.film("whole.png")
    make.text("labels.csv", "study,patient,nodule\nwhole.png,1,1\n")
    data = open_data(make.folder)
    row = data.rows[0]
    whole = row.load()
    rows = [replace(row, study=f"s{n}", load=lambda: whole) for n in range(1000)]
    torn = make.folder / "torn"
    torn.mkdir()
    (torn / "x.png").write_bytes(path.read_bytes()[:60])
    make.text("torn/labels.csv", "study,patient,nodule\nx.png,9,0\n")
    rows[567] = open_data(torn).rows[0]
    many = replace(data, rows=tuple(rows), targets=np.arange(1000, dtype=np.float32)[:, None])
    reading = readable(many)
    seen = [row.study for row, _ in reading]
    assert (len(seen), "s566" in seen, "s568" in seen) == (999, True, True)
    assert [one.study for one in reading.failed] == ["x.png"]
    assert "truncated" in reading.failed[0].reason
    assert reading.summary.startswith("1 of 1000 studies could not be read: x.png (")
    kept, _ = checked(many)
    assert (len(kept), 567 in kept.targets, 568 in kept.targets) == (999, False, True)


def test_damage_that_shows_only_in_the_pixels_and_foreign_errors_are_listed_too(make: Any) -> None:
    make.film("a.png", size=(64, 64))
    raw = bytearray((make.folder / "a.png").read_bytes())
    raw[80:200] = bytes(120)
    (make.folder / "b.png").write_bytes(raw)
    make.text("labels.csv", "study,patient,nodule\na.png,1,1\nb.png,2,0\n")
    data = open_data(make.folder)

    def crash() -> Any:
        raise ZeroDivisionError("by a decoder")

    data = replace(
        data,
        rows=(*data.rows, replace(data.rows[0], study="c", load=crash)),
        targets=np.zeros((3, 1), np.float32),
    )
    reading = readable(data)
    assert [row.study for row, _ in reading] == ["a.png"]
    assert [one.study for one in reading.failed] == ["b.png", "c"]
    assert reading.failed[1].reason == "ZeroDivisionError: by a decoder"
    with pytest.raises(BadInput, match=r"none of 2 studies can be read; the first, b\.png"):
        list(readable(replace(data, rows=data.rows[1:])))

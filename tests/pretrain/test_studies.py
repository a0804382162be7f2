"""Studies as samples: one corrupt study of many is read on and listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.open import open_data
from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.errors import BadInput
from sagittal.phantom.cohort import draw, write_cohort
from sagittal.pretrain.studies import Studies, Texts, earlier_of, texts_of, unreported, wordings
from sagittal.study.context import Context
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.study.study import Study
from sagittal.training.stream import Batched, Shuffled, Tolerant, loader, stacked, unreadable

SPEC = InputSpec(
    modality=("DX", "CR"), body_part="CHEST", orientation="LF", size=(16, 16), fit="resize",
    normalise="percentile",
)  # fmt: skip


def test_corrupt_studies_are_passed_over_and_listed(tmp_path: Path) -> None:
    study = draw("chest-xray", seed=1, index=0, size=64).study
    opened: list[int] = []

    def row(index: int) -> Row:
        def load() -> Study:
            opened.append(index)
            if index == 3:
                raise BadInput("3.dcm cannot be read: no pixels")
            if index == 5:  # a decoder's own failure
                raise ZeroDivisionError("by a decoder")
            return study

        return Row(f"train/{index}", f"p{index}", "train", load)

    data = Dataset("ours", tuple(map(row, range(8))), ("a",), np.arange(8, dtype=np.float32)[:, None])
    studies = Studies(data, SPEC)
    assert len(studies) == 8 and opened == []
    log = tmp_path / "unreadable.jsonl"
    start: Callable[..., object] = loader(Batched(Tolerant(Shuffled(studies, seed=0), log), 4))
    batches = [next(b) for b in [start(0)] for _ in range(4)]  # type: ignore[call-overload]
    assert all(batch["image"].shape == (4, 1, 16, 16) for batch in batches)
    assert not {3.0, 5.0} & set(torch.cat([batch["labels"] for batch in batches])[:, 0].tolist())
    assert sorted(unreadable(log)) == [
        "train/3 cannot be used: 3.dcm cannot be read: no pixels",
        "train/5 cannot be used: ZeroDivisionError: by a decoder",
    ]


def test_a_study_outside_the_specification_is_named() -> None:
    study = draw("brain-mr", seed=1, index=0, size=64).study
    data = Dataset("ours", (Row("s/1", "p", "train", lambda: study),), ("a",), np.zeros((1, 1), np.float32))
    try:
        Studies(data, SPEC)[0]
    except BadInput as error:
        assert "s/1 cannot be used: no series to learn from; expected modality DX/CR" in str(error)
    else:
        raise AssertionError("an MR is no film")


def test_a_patient_in_two_splits_is_told_before_anything_is_learnt() -> None:
    study = draw("chest-xray", seed=1, index=0, size=64).study
    parts = (("a", "p1", "train"), ("b", "p2", "test"), ("c", "p1", "test"))
    rows = tuple(Row(name, patient, split, lambda: study) for name, patient, split in parts)
    data = Dataset("ours", rows, ("x",), np.zeros((3, 1), np.float32))
    with pytest.raises(BadInput, match="patient p1 is in test and train"):
        Studies.of(data, SPEC)
    clean = Dataset("ours", rows[:2], ("x",), np.zeros((2, 1), np.float32))
    assert len(Studies.of(clean, SPEC)) == 1
    with pytest.raises(BadInput, match="no split 'val'"):
        Studies.of(clean, SPEC, "val")


def test_reports_context_and_priors_come_with_the_image(tmp_path: Path) -> None:
    folder = write_cohort("chest-xray", 2, tmp_path / "cohort", seed=2, followup=True, size=64, workers=1)
    data = open_data(folder)
    assert all(row.report for row in data.rows)
    tokenizer = train_tokenizer(wordings(data), 400)
    studies = Studies.of(data, SPEC, texts=Texts(tokenizer, 200), priors=2)
    batch = stacked([studies[i] for i in range(4)])
    assert batch["image"].shape == (4, 1, 16, 16) and batch["earlier.images"].shape == (4, 2, 1, 16, 16)
    for number, row in enumerate(studies.data.rows):
        ids, mask = texts_of(batch, "report")
        assert tokenizer.decode(ids[number][mask[number]].tolist()) == tokenizer.normal(row.report)
        study, days = row.load(), earlier_of(batch).days[number]
        known = texts_of(batch, "context")
        assert tokenizer.decode(known.ids[number][known.mask[number]].tolist()).startswith(
            study.context.indication.lower()
        )
        if row.prior:
            assert study.date is not None and study.priors[0].date is not None
            assert days[0] == (study.date - study.priors[0].date).days > 0
            # the prior as it is when it is the current study
            own = next(i for i, other in enumerate(studies.data.rows) if other.study == row.prior)
            torch.testing.assert_close(batch["earlier.images"][number, 0], batch["image"][own])
        else:
            assert days.isnan().all() and not batch["earlier.images"][number].any()
        assert days[1].isnan()
    # two patients, two studies each
    assert sorted(batch["patient"].tolist()) == [0, 0, 1, 1]


def test_a_report_among_the_notes_is_not_what_was_known_before() -> None:
    known = Context("cough", ("smoker", "No  nodule.\nClear."))
    assert unreported(known, "No nodule. Clear.").notes == ("smoker",)
    assert unreported(known, "").notes == known.notes


def test_a_second_series_serves_where_the_first_is_outside(tmp_path: Path) -> None:
    film = draw("chest-xray", seed=1, index=0, size=64).study
    first = film.series[0]
    lateral = replace(first, uid="1.2.3", view="LL")
    study = replace(film, series=(lateral, first))
    data = Dataset("ours", (Row("s/1", "p", "train", lambda: study),), ("a",), np.zeros((1, 1), np.float32))
    frontal = replace(SPEC, view=(str(first.view),))
    expected = prepare(first, frontal, film).array
    assert np.array_equal(Studies(data, frontal)[0]["image"].numpy(), expected)
    with pytest.raises(BadInput, match=r"s/1 cannot be used: .*LL"):
        Studies(data, replace(SPEC, view=("XX",)))[0]
    with pytest.raises(BadInput, match="ours has no reports"):
        wordings(data)


def test_reports_of_a_data_folder(tmp_path: Path) -> None:
    folder = write_cohort("chest-xray", 1, tmp_path / "cohort", size=64, workers=1)
    (folder / "reports.csv").write_text("study,text\n000000,No nodule.\n000000,Again.\n")
    with pytest.raises(BadInput, match="line 3: '000000' is there twice"):
        open_data(folder)
    (folder / "reports.csv").write_text("study,words\n000000,No nodule.\n")
    with pytest.raises(BadInput, match="no column 'text'"):
        open_data(folder)
    (folder / "reports.csv").write_text("study,text\nelsewhere,Not ours.\n")
    assert open_data(folder).rows[0].report == ""
    (folder / "reports.csv").unlink()
    assert open_data(folder).rows[0].report == ""

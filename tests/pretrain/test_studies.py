"""Studies as samples: one corrupt study of many is read on and listed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sagittal.datasets.dataset import Dataset, Row
from sagittal.errors import BadInput
from sagittal.phantom.cohort import draw
from sagittal.pretrain.studies import Studies
from sagittal.study.spec import InputSpec
from sagittal.study.study import Study
from sagittal.training.stream import Batched, Shuffled, Tolerant, loader, unreadable

SPEC = InputSpec(
    modality=("DX", "CR"), body_part="CHEST", orientation="LF", size=(16, 16), fit="resize",
    normalise="percentile",
)  # fmt: skip


def test_one_corrupt_study_is_passed_over_and_listed(tmp_path: Path) -> None:
    study = draw("chest-xray", seed=1, index=0, size=64).study
    opened: list[int] = []

    def row(index: int) -> Row:
        def load() -> Study:
            opened.append(index)
            if index == 3:
                raise BadInput("train/3.dcm cannot be read: no pixels")
            return study

        return Row(f"train/{index}", f"p{index}", "train", load)

    data = Dataset("ours", tuple(map(row, range(8))), ("a",), np.arange(8, dtype=np.float32)[:, None])
    studies = Studies(data, SPEC)
    assert len(studies) == 8 and opened == []
    log = tmp_path / "unreadable.jsonl"
    start: Callable[..., object] = loader(Batched(Tolerant(Shuffled(studies, seed=0), log), 4))
    batches = [next(b) for b in [start(0)] for _ in range(4)]  # type: ignore[call-overload]
    assert all(batch["image"].shape == (4, 1, 16, 16) for batch in batches)
    assert 3.0 not in torch.cat([batch["labels"] for batch in batches])
    assert unreadable(log) == ("train/3.dcm cannot be read: no pixels",)


def test_a_study_outside_the_specification_is_named() -> None:
    study = draw("brain-mr", seed=1, index=0, size=64).study
    data = Dataset("ours", (Row("s/1", "p", "train", lambda: study),), ("a",), np.zeros((1, 1), np.float32))
    try:
        Studies(data, SPEC)[0]
    except BadInput as error:
        assert "s/1 holds no series to learn from; expected modality DX/CR" in str(error)
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

"""Samples are what they say: held-out phantoms with the finding they stand for, and one real slice."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagittal.phantom.truth import Truth
from sagittal.report.codec import read_json
from sagittal.serve import samples
from sagittal.serve.samples import SAMPLES, Sample, expected, fill, real_image
from sagittal.serve.store import Store
from sagittal.study.open import open_study


def test_the_list_is_about_ten_of_every_kind_with_priors() -> None:
    assert {sample.kind for sample in SAMPLES} == {"chest-xray", "chest-ct", "brain-mr"}
    assert any(sample.followup for sample in SAMPLES)
    assert 9 <= expected() <= 12


def test_drawn_samples_open_and_show_what_they_were_chosen_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = (Sample("chest-xray", "pneumothorax"), Sample("chest-xray", "nodule", followup=True))
    monkeypatch.setattr(samples, "SAMPLES", chosen)
    store = Store(tmp_path)
    calls: list[int] = []
    assert fill(store, seed=3, arrived=lambda: calls.append(1)) == len(calls) == expected()
    rows = store.rows()
    first = open_study(rows[0].source)
    truth = read_json(Truth, Path(rows[0].source) / "truth.json")
    assert first.synthetic
    assert (truth.split, truth.labels["pneumothorax"]) == ("heldout", 1)
    second = open_study(rows[1].source, prior=rows[1].prior)
    assert second.patient.id == second.priors[0].patient.id
    assert second.date and second.priors[0].date and second.date > second.priors[0].date
    # The one real image is no phantom and says nothing of the sort.
    real = real_image()
    assert real is not None
    last = open_study(rows[2].source)
    assert not last.synthetic
    assert last.series[0].modality == "CT"

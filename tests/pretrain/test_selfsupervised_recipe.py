"""`recipes/selfsupervised.py` at its smallest: every objective learns, is probed, goes on, and says so."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from sagittal.errors import BadInput
from sagittal.model import Model, load
from sagittal.phantom.cohort import write_cohort
from sagittal.pretrain.recipe import changed, open_recipe, run_recipe
from sagittal.training.loop import Progress
from sagittal.zoo.card import read_card

LOADED = open_recipe(Path(__file__).resolve().parents[2] / "recipes/selfsupervised.py")
SMALL = replace(
    LOADED.settings, size=32, width=32, steps=24, probe_steps=20, batch=6, learning_rate=4e-3, bf16=False
)
PROBES = {
    "views": {"auroc"},
    "distillation": {"auroc", "spread", "doubt"},
    "masked_text": {"auroc", "named_seen", "named_alone"},
    "image_from_text": {"error", "error_of_another_report"},
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 films, of which two are kept aside."""
    folder = tmp_path_factory.mktemp("selfsupervised") / "films"
    return write_cohort("chest-xray", 20, folder, seed=3, size=64, workers=1)


def losses(folder: Path, data: Path, **settings: Any) -> list[dict[str, float]]:
    """Of the first 20 steps, and of the last four."""
    seen: list[Progress] = []
    run_recipe(LOADED, replace(SMALL, data=str(data), **settings), folder, report=seen.append)
    return [progress.losses for progress in seen]


@pytest.mark.parametrize("objective", PROBES)
def test_each_learns_and_is_probed(films: Path, tmp_path: Path, objective: str) -> None:
    told = losses(tmp_path, films, objective=objective)
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 24]
    assert all(set(line["probes"]) == PROBES[objective] for line in lines)
    found = json.loads((tmp_path / "results.json").read_text())
    assert set(found["start"]) == set(found["end"]) == PROBES[objective]
    if objective in ("masked_text", "image_from_text"):  # the others' aims move as they learn
        assert sum(told[1].values()) < 0.9 * sum(told[0].values())
    if objective == "masked_text":
        assert found["start"]["named_seen"] < 0.1 < found["end"]["named_seen"]
    if objective == "image_from_text":  # nothing has been drawn yet, and nothing asked for
        assert found["start"]["error"] == found["start"]["error_of_another_report"]
        assert found["end"]["error"] < 0.8 * found["start"]["error"]
    card = read_card(tmp_path / "model")
    assert f"{found['end'][min(PROBES[objective])]:.3f}" in card.summary
    assert card.data[0].n == 18 and card.training is not None
    model = load(tmp_path / "model")
    assert (model.tokenizer is not None) == (objective in ("masked_text", "image_from_text"))
    # a finished run is not run again
    assert losses(tmp_path, films, objective=objective) == []
    assert json.loads((tmp_path / "results.json").read_text()) == found
    assert load(tmp_path / "model").digest == model.digest


def test_pieces_change_the_memory_and_nothing_else(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a low rate: AdamW soon makes something of what two sums of gradients differ by in rounding."""
    rows: list[int] = []
    embed = Model.embed

    def watched(model: Model, branch: str, image: Tensor) -> Tensor:
        rows.append(len(image))
        return embed(model, branch, image)

    monkeypatch.setattr(Model, "embed", watched)
    settings = {"steps": 8, "learning_rate": 3e-4}
    at_once = losses(tmp_path / "at once", films, **settings)
    assert set(rows) == {12}
    rows.clear()
    pieces = losses(tmp_path / "pieces", films, pieces=5, **settings)
    assert pieces[0] == pytest.approx(at_once[0], abs=1e-5)
    assert set(rows) == {5, 2}


def test_a_teacher_goes_on_where_it_was_stopped(films: Path, tmp_path: Path) -> None:
    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    settings = replace(SMALL, data=str(films), objective="distillation")
    with pytest.raises(KeyboardInterrupt):
        run_recipe(LOADED, settings, tmp_path / "stopped", report=stop)
    resumed = losses(tmp_path / "stopped", films, objective="distillation")
    assert resumed == losses(tmp_path / "whole", films, objective="distillation")[1:]


def test_what_cannot_be_is_said(films: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="pieces are for objective=views"):
        changed(LOADED.settings, ["objective=masked_text", "pieces=4"])
    silent = Path(shutil.copytree(films, tmp_path / "silent"))
    (silent / "reports.csv").unlink()
    for part in silent.rglob("*.dcm"):
        if part.parents[1].name == "000004" or part.parents[2].name == "000004":
            part.write_bytes(b"no film")
    with pytest.raises(BadInput, match="has no reports"):
        losses(tmp_path / "words", silent, objective="masked_text", steps=1)
    losses(tmp_path / "views", silent, steps=1)
    unused = json.loads((tmp_path / "views/unused-train.json").read_text())
    assert len(unused) == 1 and "000004" in unused[0]

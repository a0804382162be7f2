"""`recipes/continued.py`: films begin with what general pictures taught, and that helps; resumed as begun."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sagittal.model import load
from sagittal.pretrain.recipe import open_recipe
from sagittal.training import checkpoint
from sagittal.training.loop import Progress

LOADED = open_recipe(Path(__file__).resolve().parents[2] / "recipes/continued.py")
SMALL = replace(
    LOADED.settings, pictures=1000, films=16, held_out=16, size=32, width=32, first_steps=80, second_steps=12,
    batch=12, probe_steps=40, bf16=False,
)  # fmt: skip


def run(folder: Path, report: Any = lambda _: None, **settings: Any) -> dict[str, dict[str, float]]:
    LOADED.run(replace(SMALL, **settings), folder, report=report)
    found: dict[str, dict[str, float]] = json.loads((folder / "results.json").read_text())
    return found


@pytest.mark.slow
def test_films_go_on_from_general_pictures_and_gain_by_it(tmp_path: Path) -> None:
    """Stopped while it learns pictures, and again between the stages."""
    pictures: list[Progress] = []

    def stop(progress: Progress) -> None:
        pictures.append(progress)
        if len(pictures) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "general", stop)
    before = run(tmp_path / "general", pictures.append, second_steps=0)
    assert [progress.step for progress in pictures] == [20, 40, 60, 80]
    assert [progress.step for progress in pictures if "auroc" in progress.probes] == [40, 80]
    # the films begin with the average that the pictures left: no step, no change
    assert before["start"] == before["end"]
    weights, _ = checkpoint.read(checkpoint.found(tmp_path / "general/general")[-1])
    kept = load(tmp_path / "general/model").state_dict()
    name = next(n for n in kept if n.endswith("to_tokens.weight"))
    torch.testing.assert_close(kept[name], weights[f"average:model.{name}"].bfloat16().float())

    films: list[Progress] = []
    general = run(tmp_path / "general", films.append)
    assert [progress.step for progress in films] == [12]
    assert general["start"] == before["start"]

    for shards in ("films-shards", "unseen-shards"):
        shutil.copytree(tmp_path / "general" / shards, tmp_path / "none" / shards)
    nothing = run(tmp_path / "none", general="none")
    # from nothing it is as good as the mean; general pictures alone help, and films with them help more
    assert nothing["start"]["masked"] == pytest.approx(1, abs=0.15)
    assert general["start"]["masked"] < 0.9 * nothing["start"]["masked"]
    assert general["end"]["masked"] < 0.9 * nothing["end"]["masked"]
    assert nothing["end"]["masked"] < nothing["start"]["masked"]


def test_a_medmnist_file_may_be_the_general_start(tmp_path: Path, shared_data: Path) -> None:
    file = str(shared_data / "pneumoniamnist/pneumoniamnist_full_reassembled.npz")
    settings = {"pictures": 64, "films": 4, "held_out": 4, "first_steps": 3, "second_steps": 2}
    found = run(tmp_path, general="medmnist", medmnist=file, **settings)
    assert found["end"]["masked"] > 0
    card = json.loads((tmp_path / "model/card.json").read_text())
    assert card["data"][0]["name"] == Path(file).name

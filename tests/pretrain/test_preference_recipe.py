"""`recipes/preference.py` at its smallest: from drafts through signed readings to another style."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sagittal.model import load
from sagittal.pretrain.recipe import open_recipe
from sagittal.training.loop import Progress

LOADED = open_recipe(Path(__file__).resolve().parents[2] / "recipes/preference.py")
SMALL = replace(
    LOADED.settings, films=12, held_out=8, edited=12, aside=4, size=32, width=32, batch=6, caption_steps=40,
    probe_steps=20, tune_steps=12, tune_rate=1e-3, learning_rate=5e-3, mixed=0.0, bf16=False,
)  # fmt: skip


@pytest.mark.slow
def test_signed_readings_change_the_style(tmp_path: Path) -> None:
    seen: list[Progress] = []

    def run() -> dict[str, Any]:
        model = LOADED.run(SMALL, tmp_path, report=seen.append)
        assert model is not None
        assert load(model).language is not None
        found: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
        return found

    found = run()
    losses = [progress.losses for progress in seen]
    assert losses[-2]["caption"] < 0.5 * losses[0]["caption"]
    probes = [progress.probes for progress in seen]
    assert probes[-2]["foretold"] > probes[0]["foretold"] and "image_gain" in probes[0]
    assert 0 < found["pairs"] < 12  # films without a pleural finding were signed as they were
    # a few signed readings later the short style is what it prefers, on other films; having fewer words it
    # may have been the likelier one before, never by so much
    assert found["preferred_before"] <= found["preferred_after"] == 1
    assert found["margin"] > 2
    assert found["divergence_rest"] < found["divergence_pleural"]
    # a finished run is not run again
    seen.clear()
    assert run() == found
    assert seen == []

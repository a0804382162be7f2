"""`recipes/figure5.py` at its smallest: pictures whose findings are bright places, reports that name them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sagittal.measure.statistics import Interval
from sagittal.pretrain.recipe import open_recipe
from sagittal.training.loop import Progress

LOADED = open_recipe(Path(__file__).resolve().parents[2] / "recipes/figure5.py")
Arrays: Any = sys.modules["arrays"].Arrays
MODULE: Any = sys.modules[type(LOADED.settings).__module__]
FINDINGS = MODULE.FINDINGS
SMALL = replace(
    LOADED.settings, films=40, labelled=40, test=40, few=20, pretrain_steps=30, instruct_steps=40,
    probe_steps=25, few_steps=2, all_steps=2, batch=20, instruct_batch=16, conventional_batch=4, repeats=50,
    bf16=False,
)  # fmt: skip


@pytest.mark.slow
def test_one_backbone_six_tasks_and_no_label_where_none_is_said(
    tmp_path: Path, plant: Callable[[Path, int], None]
) -> None:
    for seed, part in enumerate(("films", "labelled", "test")):
        plant(tmp_path / "data" / part, seed)
    recipe = replace(SMALL, data=str(tmp_path / "data"))
    curve: list[Progress] = []
    LOADED.run(recipe, tmp_path / "first", report=curve.append)
    probes = [(p.step, p.probes["statements"]) for p in curve if p.probes]
    assert [step for step, _ in probes] == [25, 30] and all(0 <= area <= 1 for _, area in probes)
    found = json.loads((tmp_path / "first/figure5.json").read_text())
    lines = found["lines"]
    assert {line["task"] for line in lines} == set("ABCDEF")
    assert all(line["value"]["low"] <= line["value"]["value"] <= line["value"]["high"] for line in lines)
    labels = {(line["task"], line["model"].split(",")[0]): line["labels"] for line in lines}
    assert all(labels[task, "foundation"] == 0 for task in "CDEF") and labels["A", "conventional"] == 40
    # a constant answer agrees by chance; naming everything finds everything
    by_name = {(line["model"], line["measure"]): line["value"] for line in lines}
    assert by_name["the most common answer", "kappa"]["value"] == 0
    test = np.load(tmp_path / "data/test/labels.npy")
    precision = test.mean()
    every = by_name["template: every finding named", "observation.f1.micro"]["value"]
    assert every == pytest.approx(2 * precision / (1 + precision), abs=1e-6)
    assert "half a charge each" in (tmp_path / "first/table.txt").read_text()

    # labels of the films, and of C and D among the labelled, turned round: our model never sees them
    for part, columns in (("films", list(FINDINGS)), ("labelled", ["consolidation", "pleural_effusion"])):
        path = tmp_path / "data" / part / "labels.npy"
        changed = np.load(path)
        for key in columns:
            changed[:, FINDINGS.index(key)] ^= 1
        np.save(path, changed)
    LOADED.run(recipe, tmp_path / "first", report=lambda _: None)  # goes on from what is trained
    again = json.loads((tmp_path / "first/figure5.json").read_text())["lines"]
    assert again == lines


def test_wordings_of_one_statement_are_one() -> None:
    texts = (
        "Smooth nodule in the left mid lung zone, of 20 mm. No mass. Nodule in the left mid lung zone.",
        "Nodule in the left mid lung zone. No mass. Nodule in the left mid lung zone.",
        "Mild pneumothorax in the left pleural space. No mass. Mild pneumothorax in the left pleural space.",
    )
    none = np.zeros(0, np.uint8)
    said = MODULE.backbone.read(Arrays(none, none, none, [{"report": text} for text in texts]))
    assert [len(wordings) for wordings in said.wordings] == [2, 1, 1]
    assert said.of_film == ((0, 1), (0, 1), (1, 2)) and said.urgent == (1, 1, 3)


def test_the_impression_is_what_follows_the_denials() -> None:
    said = "Smooth nodule in the left mid lung zone, measuring 20 mm. No mass. No rib fracture. "
    assert MODULE.impression(said + "Nodule in the left mid lung zone. Mass.").endswith("zone. Mass.")
    assert MODULE.impression("No mass. Nothing abnormal.") == "Nothing abnormal."
    some = ([], ["cardiomegaly"], ["nodule"], ["nodule", "pneumothorax"])
    assert [MODULE.urgency(keys) for keys in some] == [0, 0, 1, 3]


def test_a_verdict_needs_intervals_that_part() -> None:
    def line(model: str, low: float, high: float) -> Any:
        return MODULE.Line("A", "nodule", model, 0, "AUROC", Interval((low + high) / 2, low, high))

    others = [line("x", 0.8, 0.9), line("y", 0.65, 0.9), line("z", 0.4, 0.5)]
    lines = [line("foundation, prompts", 0.6, 0.7), *others]
    words = [said.split("(0 labels) ")[1] for said in MODULE.verdicts(lines)]
    assert words == ["behind x (0)", "level with y (0)", "ahead of z (0)"]

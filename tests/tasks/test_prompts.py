"""Zero-shot prompts: how they are read, and that the bundled model ranks phantoms by them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sagittal.errors import BadInput
from sagittal.measure.discrimination import auroc
from sagittal.model import Model
from sagittal.phantom.cohort import draw
from sagittal.tasks.prompts import MOST, parse_prompts, prompted
from sagittal.zoo.capability import Prompt
from sagittal.zoo.load import load


def test_a_statement_is_held_against_its_denial() -> None:
    assert parse_prompts(["broken rib", "a  large heart. | a heart of normal size"]) == (
        Prompt("Broken rib.", "No broken rib."),
        Prompt("A large heart.", "A heart of normal size."),
    )


def test_a_denial_is_a_sentence() -> None:
    said = ["a broken rib", "There is a nodule.", "CT sign of oedema"]
    denied = ["No broken rib.", "No nodule.", "No CT sign of oedema."]
    assert [each.absent for each in parse_prompts(said)] == denied


@pytest.mark.parametrize(
    "text", ["No fracture", "without a fracture", "", "  ", "|", "a |", "| b", "a | b | c", "a" * 301]
)
def test_what_is_no_prompt_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_prompts([text])


def test_too_many_and_twice_are_refused() -> None:
    with pytest.raises(BadInput, match="at most"):
        parse_prompts([f"finding {i}" for i in range(MOST + 1)])
    with pytest.raises(BadInput, match="twice"):
        parse_prompts(["a nodule", "A nodule."])


def test_the_bundled_model_ranks_films_by_words_it_has_no_label_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("sagittal-small")
    asked = prompted(model, ["effusion", "an enlarged heart | a heart of normal size"])
    monkeypatch.delattr(Model, "encode_text")  # the words are heard once, not with every study
    truth, scores = [], []
    for index in range(24):
        case = draw("chest-xray", seed=77, index=index, split="heldout")
        series = case.study.series[0]
        answers = asked.classify(case.study, [series], branch="chest-xray")
        assert list(answers.raw) == list(asked.labels)
        assert all(0 <= share <= 1 for share in answers.raw.values())
        truth.append(case.truth.labels["pleural_effusion"])
        scores.append(answers.raw["effusion"])
    assert auroc(truth, scores) > 0.9


def test_predict_asks_in_words(tmp_path: Path, sagittal: Callable[..., Any]) -> None:
    drawn = sagittal("phantom", "--kind", "chest-xray", "--n", 2, "--out", tmp_path / "films", "--quiet")
    assert drawn.code == 0, drawn.err
    asked = ["--model", "sagittal-small", "--prompt", "broken rib", "--prompt", "effusion | dry pleura"]
    out = tmp_path / "p.csv"
    done = sagittal("predict", tmp_path / "films", *asked, "--out", out, "--quiet")
    assert done.code == 0, done.err
    assert "no probabilities" in done.out
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and list(rows[0]) == [
        "study",
        "patient",
        "split",
        "broken rib",
        "effusion | dry pleura",
    ]
    assert all(0 <= float(row["broken rib"]) <= 1 for row in rows)
    wrong = sagittal("predict", tmp_path / "films", *asked, "--prompt", " ", "--out", tmp_path / "q.csv")
    assert wrong.code == 2 and len(wrong.err.strip().splitlines()) == 1

"""The recipe that streams studies: what sentences say, one damaged study, priors, and a leak."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.open import open_data
from sagittal.datasets.splits import check_leaks
from sagittal.errors import BadInput
from sagittal.phantom.cohort import write_cohort
from sagittal.pretrain.recipe import UNREADABLE, changed, open_recipe, run_recipe
from sagittal.study.study import Study
from sagittal.training.stream import unreadable
from sagittal.zoo.capability import Prompt
from sagittal.zoo.load import load

RECIPE = Path(__file__).parents[2] / "recipes" / "reports.py"
TINY = ["steps=3", "batch=4", "sentences=6", "save_seconds=0"]


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    open_recipe(RECIPE)
    return sys.modules["sentences"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "cohort"
    return write_cohort("chest-xray", 6, folder, seed=4, followup=True, size=64, workers=1)


def test_what_sentences_say(recipe: ModuleType) -> None:
    report = (
        "Pleural effusion in the left pleural space, larger since 2021-12-11. No nodule. "
        "Mass in the right mid lung zone, resolved since 2021-12-11."
    )
    one, two, three = recipe.said(report)
    assert [(each.about, each.turn) for each in (one, two, three)] == [
        ("pleural_effusion", 1), ("nodule", 0), ("mass", -1),
    ]  # fmt: skip
    other = recipe.said("Since 2020-01-01 the left pleural effusion has grown.")[0]
    assert other.meaning == one.meaning and other.text != one.text
    right = recipe.said(report.replace("left", "right"))[0]
    smaller = recipe.said(report.replace("larger", "smaller"))[0]
    assert len({one.meaning, right.meaning, smaller.meaning, two.meaning}) == 4 and smaller.turn == -1


def test_one_sentence_of_each_report_is_chosen(recipe: ModuleType) -> None:
    meaning = torch.tensor([[7, 8, 0], [0, 0, 0]])
    ids = torch.arange(6).reshape(2, 3, 1)
    batch = {"meaning": meaning, "turn": meaning, "ids": ids, "mask": ids > -1}
    drawn = [recipe.chosen(batch) for _ in range(20)]
    assert {int(m[0]) for _, m, _ in drawn} == {7, 8} and {int(m[1]) for _, m, _ in drawn} == {0}
    assert all(int(t.ids[0, 0]) == int(m[0]) - 7 for t, m, _ in drawn)


@pytest.mark.parametrize("priors", [0, 1])
def test_streamed_measured_and_read_again(cohort: Path, tmp_path: Path, priors: int) -> None:
    data = Path(shutil.copytree(cohort, tmp_path / "data"))
    lines = (data / "labels.csv").read_text().splitlines()
    split = lines[0].split(",").index("split")
    cells = [line.split(",") for line in lines[1:]]
    for row in cells:
        row[split] = ("train", "train", "train", "val", "test", "test")[int(row[0][:6])]
    (data / "labels.csv").write_text("\n".join([lines[0], *(",".join(row) for row in cells)]) + "\n")
    for film in (data / "000002-0").rglob("*.dcm"):
        film.write_bytes(b"no film")
    loaded = open_recipe(RECIPE)
    settings = changed(loaded.settings, [f"data={data}", f"priors={priors}", *TINY])
    model, _ = run_recipe(loaded, settings, tmp_path / "run")
    assert model is not None
    found = json.loads((tmp_path / "run" / "results.json").read_text())
    assert 0 < found["studies"] <= 2
    for share in (found["all"]["model"], found["all"]["area"]):
        assert 0 <= share["low"] <= share["value"] <= share["high"] <= 1
    last = json.loads((tmp_path / "run" / "progress.jsonl").read_text().splitlines()[-1])
    assert 0 <= last["probes"]["direction"] <= 1
    lost = unreadable(tmp_path / "run" / UNREADABLE)
    assert len(lost) == 1 and "000002-0" in lost[0]  # its follow-up is read on without it
    assert run_recipe(loaded, settings, tmp_path / "run")[0] == model  # finished: nothing is done again

    read = load(model)
    study = next(row.load() for row in open_data(data).rows if row.split == "test" and row.prior)
    question = read.hear([Prompt("Larger pleural effusion.", "Smaller pleural effusion.")])
    known = read.ask(study, study.series[:1], question, branch="chest-xray")
    alone = read.ask(study.with_(priors=()), study.series[:1], question, branch="chest-xray")
    assert (known.raw == alone.raw) == (priors == 0)

    for row in cells:
        row[split] = "test" if row[0].endswith("-1") else "train"
    (data / "labels.csv").write_text("\n".join([lines[0], *(",".join(row) for row in cells)]) + "\n")
    with pytest.raises(BadInput, match=r"6 leaks between splits"):
        run_recipe(loaded, settings, tmp_path / "other")


def test_what_cannot_be_learnt_from_is_said_before_anything_is(cohort: Path, tmp_path: Path) -> None:
    loaded = open_recipe(RECIPE)
    for wrong in ("sentences=0", "priors=-1", "chunk=0"):
        with pytest.raises(BadInput, match="or more"):
            changed(loaded.settings, [wrong])
    data = Path(shutil.copytree(cohort, tmp_path / "data"))
    settings = changed(loaded.settings, [f"data={data}", *TINY])
    with pytest.raises(BadInput, match=r"none of \d+ studies can be used"):
        run_recipe(loaded, changed(settings, ["branch=chest-ct"]), tmp_path / "ct")
    header, *lines = (data / "labels.csv").read_text().splitlines()
    place = header.split(",").index("prior")
    cut = [
        ",".join(cell for i, cell in enumerate(line.split(",")) if i != place) for line in [header, *lines]
    ]
    (data / "labels.csv").write_text("\n".join(cut) + "\n")
    with pytest.raises(BadInput, match="no report tells of a change since a dated prior"):
        run_recipe(loaded, settings, tmp_path / "nopri")
    reports = ["study,text", *(f"{line.split(',')[0]},Hello world." for line in lines)]
    (data / "reports.csv").write_text("\n".join(reports) + "\n")
    with pytest.raises(BadInput, match="no report states a finding"):
        run_recipe(loaded, settings, tmp_path / "hello")


def test_parts_that_a_set_lacks_are_held_out_by_patient(recipe: ModuleType) -> None:
    def of(*splits: str) -> Dataset:
        rows = tuple(Row(f"s{i}", f"p{i // 2}", split, Study) for i, split in enumerate(splits))  # type: ignore[arg-type]
        return Dataset("ours", rows, ("a",), np.zeros((len(rows), 1), np.float32))

    parted = sys.modules[open_recipe(RECIPE).run.__module__].parted
    for splits in (["train"] * 40, [""] * 40, ["train"] * 30 + ["val"] * 10, ["train"] * 30 + ["test"] * 10):
        data = parted(of(*splits), 0)
        assert {row.split for row in data.rows} == {"train", "val", "test"}
        check_leaks(data)
        stated = [i for i, split in enumerate(splits) if split in ("val", "test")]
        assert all(data.rows[i].split == "test" for i in stated)

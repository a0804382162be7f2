"""`sagittal adapt` and `sagittal predict` from end to end on small pictures with a planted sign."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sagittal.adapt.common import label_cards, spec_for, splits
from sagittal.adapt.fit import adapt_to
from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.medmnist import open_medmnist
from sagittal.datasets.open import open_data
from sagittal.errors import BadInput
from sagittal.measure.discrimination import auroc
from sagittal.phantom.cohort import draw, write_cohort
from sagittal.study.spec import InputSpec
from sagittal.study.study import Study
from sagittal.tasks.classify import predict
from sagittal.zoo.load import BUNDLED, DEFAULT, load
from sagittal.zoo.ours import SagittalModel


def pictures(path: Path, counts: tuple[int, int, int] = (96, 32, 40), size: int = 20) -> Path:
    """Half of them hold a bright square."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in zip(("train", "val", "test"), counts, strict=True):
        images, truth = rng.integers(60, 120, (n, size, size)), np.arange(n) % 2
        for index in np.flatnonzero(truth):
            y, x = rng.integers(4, size - 9, 2)
            images[index, y : y + 5, x : x + 5] += 60
        arrays[f"{split}_images"] = images.astype(np.uint8)
        arrays[f"{split}_labels"] = truth.astype(np.uint8)[:, None]
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("data") / "pneumoniamnist_toy.npz")


def test_full_training_learns_the_sign_and_predict_finds_it_again(
    data: Path, tmp_path: Path, sagittal: Callable[..., Any]
) -> None:
    model = tmp_path / "model"
    done = sagittal(
        "adapt", "--method", "full", "--data", data, "--out", model, "--epochs", 8, "--json", "--quiet"
    )
    assert done.code == 0, done.err
    card = load(model).card
    assert card.branches["pneumoniamnist"].input.age_years == (1.0, 5.0)
    assert card.branches["pneumoniamnist"].input.view == ("AP",)
    assert not card.read_by_default
    out = tmp_path / "P.csv"
    ran = sagittal("predict", data, "--model", model, "--split", "test", "--out", out, "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert ran.json["studies"] == 40
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["study", "patient", "split", "pneumonia"]
    assert [row["study"] for row in rows] == [f"test/{i:06d}" for i in range(40)]
    p = np.array([float(row["pneumonia"]) for row in rows])
    truth = open_data(data).only("test").targets[:, 0]
    assert auroc(truth, p) > 0.9
    told = {r["measure"]: r["interval"]["value"] for r in done.json["card"]["results"]}
    assert told["auroc"] == pytest.approx(auroc(truth, p), abs=2e-3)  # weights rounded to bf16


def test_an_adult_or_unknown_film_is_refused_by_a_childrens_model(
    data: Path, tmp_path: Path, sagittal: Callable[..., Any]
) -> None:
    model = tmp_path / "model"
    assert (
        sagittal("adapt", "--method", "full", "--data", data, "--out", model, "--epochs", 1, "--quiet").code
        == 0
    )
    unknown = pictures(tmp_path / "films.npz", (2, 2, 3))
    out = tmp_path / "P.csv"
    refused = sagittal("predict", unknown, "--model", model, "--out", out)
    assert refused.code == 3
    assert not out.exists()
    adult = sagittal("predict", unknown, "--model", model, "--out", out, "--assume", "age=54Y,view=AP")
    assert adult.code == 3
    assert "1 to 5 years" in adult.err
    child = sagittal("predict", unknown, "--model", model, "--out", out, "--assume", "age=3Y,view=AP")
    assert child.code == 0, child.err


def test_bad_requests_are_one_line_and_leave_nothing(
    data: Path, tmp_path: Path, sagittal: Callable[..., Any]
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    for arguments in (
        ("adapt", "--method", "magic", "--data", data, "--out", tmp_path / "m"),
        ("adapt", "--method", "full", "--data", tmp_path / "none.npz", "--out", tmp_path / "m"),
        ("adapt", "--method", "full", "--data", data, "--out", taken),
        ("adapt", "--method", "probe", "--base", "unheard-of", "--data", data, "--out", tmp_path / "m"),
        ("predict", data, "--model", "unheard-of", "--out", tmp_path / "P.csv"),
        ("predict", data, "--model", "deepbet", "--out", tmp_path / "P.csv"),
    ):
        ran = sagittal(*arguments)
        assert ran.code == 2, arguments
        assert ran.out == ""
        assert ran.err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["taken"]


def folder_of(path: Path, n: int = 14) -> Path:
    """A data folder of small PNG files; every second one holds a bright square."""
    rng = np.random.default_rng(1)
    path.mkdir()
    lines = ["study,patient,split,square"]
    for i in range(n):
        image = rng.integers(60, 120, (16, 16)).astype(np.uint8)
        image[4:9, 4:9] += np.uint8(80 * (i % 2))
        Image.fromarray(image).save(path / f"{i}.png")
        lines.append(f"{i}.png,p{i},{'train' if i < n - 4 else 'val'},{i % 2}")
    (path / "labels.csv").write_text("\n".join(lines) + "\n")
    return path


def test_one_corrupt_study_is_left_out_and_listed_at_the_end(
    tmp_path: Path, sagittal: Callable[..., Any]
) -> None:
    folder, model, out = folder_of(tmp_path / "data"), tmp_path / "model", tmp_path / "P.csv"
    (folder / "5.png").write_bytes((folder / "5.png").read_bytes()[:80])
    fit = ("adapt", "--method", "full", "--epochs", 1, "--data", folder, "--out")
    ran = sagittal(*fit, model, "--quiet")
    assert ran.code == 0, ran.err
    told = "1 of 14 studies could not be read: 5.png ("
    assert ran.out.splitlines()[-1].startswith(told)
    card = load(model).card
    assert card.limitations[-1].startswith(told)  # and who uses the model reads it, too
    assert card.data[-1].n == 9
    ran = sagittal("predict", folder, "--model", model, "--out", out, "--quiet")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("13 studies scored") and told in ran.out
    with out.open(newline="") as file:
        rows = {row["study"]: row["square"] for row in csv.DictReader(file)}
    assert len(rows) == 14 and [study for study, p in rows.items() if p == ""] == ["5.png"]
    ran = sagittal("predict", folder, "--model", model, "--out", out, "--json", "--quiet")
    assert [one["study"] for one in ran.json["unreadable"]] == ["5.png"] and ran.json["refused"] == 0

    for path in folder.glob("*.png"):
        path.write_bytes(b"no picture")
    before = out.read_bytes()
    for verb in (("predict", folder, "--model", model, "--out", out), (*fit, tmp_path / "other")):
        ran = sagittal(*verb, "--quiet")
        assert ran.code == 2 and ran.err.count("\n") == 1 and "14 studies" in ran.err
    assert out.read_bytes() == before and not (tmp_path / "other").exists()


def test_a_decoder_that_fails_in_its_own_way_is_no_end_of_a_prediction(data: Path, tmp_path: Path) -> None:
    model = load("sagittal-small")
    film = draw("chest-xray", seed=1, index=0, size=256).study

    def crash() -> Any:
        raise ZeroDivisionError("by a decoder")

    rows = tuple(Row(f"s{i}", f"p{i}", "", crash if i == 1 else lambda: film) for i in range(3))
    found = predict(Dataset("ours", rows, (), np.zeros((3, 0), np.float32)), model, branch="chest-xray")
    assert [bool(row.probability) for row in found.rows] == [True, False, True]
    assert [(one.study, one.reason) for one in found.unreadable] == [
        ("s1", "ZeroDivisionError: by a decoder")
    ]
    # nor is a damaged image beside a whole one
    whole = film.series[0]
    torn = replace(whole, decode=crash)
    unread = replace(whole, readable=False, problems=("half of it is missing",))
    for series, reason in (
        ((torn, whole), ""),
        ((unread, whole), ""),
        ((torn,), "ZeroDivisionError: by a decoder"),
        ((unread,), "half of it is missing"),
    ):
        row = Row("s", "p", "", lambda series=series: replace(film, series=series))
        only = Dataset("ours", (row, rows[0]), (), np.zeros((2, 0), np.float32))
        scored = predict(only, model, branch="chest-xray").rows[0]
        assert (scored.unreadable, bool(scored.probability)) == (reason, not reason)
    # what the caller asked is no damage of a file
    with pytest.raises(BadInput, match="assume"):
        predict(Dataset("ours", rows, (), np.zeros((3, 0), np.float32)), model, assume="colour=blue")


def test_a_label_column_that_is_missing_is_named(tmp_path: Path, sagittal: Callable[..., Any]) -> None:
    folder = folder_of(tmp_path / "data")
    table = [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()]
    for columns, told in (
        (slice(0, 3), "has no label to learn; expected a column a label"),
        (slice(1, 4), "has no column 'study'"),
    ):
        (folder / "labels.csv").write_text("\n".join(",".join(row[columns]) for row in table) + "\n")
        ran = sagittal("adapt", "--method", "full", "--data", folder, "--out", tmp_path / "m", "--quiet")
        assert ran.code == 2 and told in ran.err and ran.err.count("\n") == 1
    with pytest.raises(BadInput, match="has no label 'squares'; expected 'square'"):
        open_data(folder_of(tmp_path / "again")).labelled("squares")


def test_a_set_without_val_gives_whole_patients_away_and_leaks_are_found(data: Path) -> None:
    opened = open_medmnist(data)
    only = opened.only("train")
    train, val, test = splits(only)
    assert test is None
    assert {r.patient for r in train.rows}.isdisjoint(r.patient for r in val.rows)
    assert len(train) + len(val) == len(only)
    rows = tuple(type(r)(r.study, "same", r.split, r.load) for r in opened.rows)
    with pytest.raises(BadInput, match="in train and in another split"):
        splits(type(opened)(opened.name, rows, opened.labels, opened.targets))


def test_the_contract_says_whom_the_data_showed(data: Path) -> None:
    opened = open_medmnist(data)
    spec = spec_for(opened.only("train"), opened.only("val"), InputSpec((), size=(32, 32)))
    assert (spec.modality, spec.body_part, spec.age_years) == (("DX",), "CHEST", (1.0, 5.0))
    assert spec.size == (32, 32)


def test_the_contract_covers_every_patient_learnt_from_and_no_other(data: Path, tmp_path: Path) -> None:
    from sagittal.adapt.full import FullConfig, full

    opened = open_medmnist(data)
    old = {opened.only("train").rows[7].study: 85.0, opened.only("test").rows[3].study: 97.0}

    def aged(row: Row) -> Row:
        def opens() -> Study:
            study = row.load()
            return study.with_(patient=replace(study.patient, age_years=old.get(row.study, 60.0)))

        return replace(row, load=opens)

    known = replace(opened, rows=tuple(map(aged, opened.rows)), age_years=None)
    card = full(known, tmp_path / "m", name="m", config=FullConfig(epochs=1))
    branch = next(iter(card.branches.values()))
    assert branch.input.age_years == (60.0, 85.0)
    (line,) = card.limitations
    assert line.startswith("1 of 40 test studies are outside") and "97" in line
    assert {result.interval.n for result in card.results} == {39}


def test_the_networks_scores_do_not_depend_on_the_batch(data: Path, tmp_path: Path) -> None:
    from sagittal.adapt.common import load_arrays
    from sagittal.adapt.full import FullConfig, full, probabilities

    opened = open_medmnist(data)
    full(opened, tmp_path / "m", name="m", config=FullConfig(epochs=1))
    loaded = load(tmp_path / "m")
    assert isinstance(loaded, SagittalModel)
    branch = next(iter(loaded.card.branches))
    images = load_arrays(opened.only("test"), loaded.card.branch(branch).input).images
    whole = probabilities(loaded.model, branch, images, False)
    parts = probabilities(loaded.model, branch, images, False, batch=3)
    np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_a_probe_on_a_folder_of_ones_own_is_loaded_again(data: Path, tmp_path: Path) -> None:
    own = shutil.copytree(BUNDLED / DEFAULT, tmp_path / "own")
    card = json.loads((own / "card.json").read_text())
    (own / "card.json").write_text(json.dumps(card | {"name": "ours"}))
    cohort = write_cohort("chest-xray", 24, tmp_path / "lab", seed=3, size=64, workers=1)
    fitted = adapt_to(cohort, tmp_path / "probe", base=str(own))
    assert fitted.base["name"] == "ours"
    assert len(predict(open_data(cohort), load(tmp_path / "probe")).rows) == 24
    # what phantoms calibrated is not said of real patients
    domains = {label.calibrated_on for branch in fitted.branches.values() for label in branch.labels}
    assert domains - {None} and all("real" not in domain for domain in domains - {None})
    assert all("real" not in result.domain for result in fitted.results)
    shutil.move(own, tmp_path / "gone")
    with pytest.raises(BadInput, match="unknown model"):
        load(tmp_path / "probe")


def test_calibration_never_turns_a_ranking_round() -> None:
    truth = np.array([[1.0], [1.0], [0.0], [0.0]], np.float32)
    wrong = np.array([[0.1], [0.2], [0.8], [0.9]])
    (card,) = label_cards(("nodule",), truth, wrong, "real lab", False)
    assert card.slope > 0 and card.calibrated_on is None  # too few, or too poor, to calibrate on
    (card,) = label_cards(("nodule",), truth, 1 - wrong, "real lab", False)
    assert card.slope > 0 and card.calibrated_on == "real lab"

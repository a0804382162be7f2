"""`recipes/labels_needed.py`: labels counted on curves with a known answer, and all of it at its smallest."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal.measure.discrimination import auroc
from sagittal.pretrain.recipe import changed, open_recipe
from sagittal.report.codec import dumps

LOADED = open_recipe(Path(__file__).resolve().parents[2] / "recipes/labels_needed.py")
RECIPE: Any = sys.modules[type(LOADED.settings).__module__]
COUNTED: Any = sys.modules["labels_counted"]
COUNTS = np.array([10.0, 100.0, 1000.0])


def test_labels_are_read_off_between_two_counts_by_the_logarithm() -> None:
    areas = np.array([0.5, 0.6, 0.8])
    assert COUNTED.needed(COUNTS, areas, 0.7) == pytest.approx(10**2.5)
    assert COUNTED.needed(COUNTS, areas, 0.5) == 10
    assert COUNTED.needed(COUNTS, areas, 0.81) == float("inf")


def test_a_curve_that_is_ten_times_ahead_needs_a_tenth_of_the_labels() -> None:
    other = np.tile([0.5, 0.6, 0.7], (9, 1))
    for at in (0, 1):
        found = COUNTED.ratio(other + 0.1, other, COUNTS, at)
        assert found.value == pytest.approx(10) == found.low == found.high
        assert found.auroc == pytest.approx(other[0, at] + 0.1) and not found.at_least and found.never == 0
    never = COUNTED.ratio(other + 0.25, other, COUNTS)
    assert never.at_least and never.never == 1 and never.value == pytest.approx(100)
    assert str(never) == "at least 100 (100 to 100 or more)"
    behind = COUNTED.ratio(other - 0.2, other, COUNTS, 1)
    assert behind.at_most and behind.value == pytest.approx(0.1)


def told(truth: np.ndarray, strengths: list[float], seed: int) -> np.ndarray:
    """Scores (S, C, N) of five seeds, that know more of the truth the more labels they had."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((5, len(strengths), len(truth)))
    return (np.array(strengths)[:, None] * truth + noise).astype(np.float32)


def test_resampled_seeds_and_films_hold_what_is_known_of_two_ways() -> None:
    truth = (np.arange(400) % 3 == 0).astype(np.float32)
    drawn = COUNTED.draws(truth, 5, 300)
    assert (drawn.films[:, truth == 1].sum(1) == truth.sum()).all()
    assert (drawn.films.sum(1) == 400).all() and (drawn.films[1:] != 1).any(1).all()

    def curve(scores: np.ndarray) -> np.ndarray:
        return COUNTED.curve(COUNTED.areas(truth, scores, drawn.films), drawn.seeds)

    weak, alike, strong = (
        curve(told(truth, strengths, seed))
        for seed, strengths in enumerate(([0.2, 0.6, 1.2], [0.2, 0.6, 1.2], [1.2, 1.8, 2.4]))
    )
    same = COUNTED.ratio(weak, weak, COUNTS, 1)
    assert same.value == pytest.approx(1) == same.low == same.high
    # two ways that are as good: the interval holds 1; then one that is ahead of all that the other reaches
    equal = COUNTED.ratio(alike, weak, COUNTS, 1)
    assert equal.low < 1 < equal.high and equal.high < 10
    ahead = COUNTED.ratio(strong, weak, COUNTS)
    assert 20 < ahead.low < ahead.high <= 100
    area = COUNTED.interval(weak[:, 1])
    assert area.low < area.value < area.high and area.high - area.low < 0.15


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_areas_of_resamples_are_the_aurocs_of_the_repeated_films(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.r_[0, 1, rng.integers(0, 2, 20)].astype(np.float32)
    scores = rng.integers(0, levels + 1, (2, 3, 22)).astype(np.float32)
    drawn = COUNTED.draws(truth, 2, 3, seed % 1000)
    found = COUNTED.areas(truth, scores, drawn.films)
    assert found.shape == (4, 2, 3)
    for d, films in enumerate(drawn.films):
        rows = np.repeat(np.arange(22), films.astype(int))
        assert found[d, 1, 2] == pytest.approx(auroc(truth[rows], scores[1, 2][rows]))


@given(st.integers(0, 10_000), st.floats(0.01, 0.5), st.floats(0.05, 0.9))
def test_thinning_meets_the_share_and_leaves_the_negatives(seed: int, share: float, drawn: float) -> None:
    wanted = (np.random.default_rng(seed).random(300) < drawn).astype(np.float32)
    rows = COUNTED.thinned(wanted, share)
    positive, kept = np.flatnonzero(wanted == 1), rows[wanted[rows] == 1]
    assert set(rows) >= set(np.flatnonzero(wanted == 0)) and (np.diff(rows) > 0).all()
    assert (kept == positive[: len(kept)]).all()
    assert len(kept) <= share * len(rows) + 1e-6
    # one more would be too many, unless there is none
    assert len(kept) == len(positive) or len(kept) + 1 > share * (len(rows) + 1) - 1e-6
    assert (COUNTED.thinned(wanted, None) == np.arange(300)).all()


def test_few_labels_hold_two_of_either_answer_however_rare() -> None:
    wanted = np.zeros(1000, np.float32)
    wanted[::40] = 1
    for seed in range(5):
        rows = COUNTED.subset(wanted, 10, seed)
        assert len(set(rows)) == 10 and 2 <= wanted[rows].sum() <= 8
        assert (rows == COUNTED.subset(wanted, 10, seed)).all()


def test_strata_give_equal_shares_of_a_batch() -> None:
    images = np.zeros((50, 1, 64, 64), np.float16)
    rare, rest = np.array([3, 7]), np.setdiff1d(np.arange(50), [3, 7])
    for _, (_, which, _) in zip(range(3), RECIPE.batches(images, 16, 0, [rest, rare])(0), strict=False):
        assert np.isin(which.numpy(), rare).sum() == 8 and len(np.unique(which)) == 8 + len(
            {3, 7} & {*which.tolist()}
        )


def test_what_is_seldom_said_is_drawn_as_often_as_the_rest() -> None:
    # statement 0 in every report, 1 in 40 of them, 2 in three, one film with nothing said
    of_film = [(0, 1)] * 40 + [(0,)] * 56 + [(0, 1, 2)] * 3 + [()]
    said = RECIPE.reports(sys.modules["arrays"].Arrays(*np.zeros((3, 0)), []))
    parts = RECIPE.strata(replace(said, of_film=tuple(of_film)))
    groups = sorted(tuple(part) for part in parts)
    assert groups == [tuple(range(40)), tuple(range(40, 96)), (96, 97, 98), (99,)]


def test_few_labels_start_from_the_prompt() -> None:
    rng = np.random.default_rng(1)
    wanted = (rng.random(300) < 0.5).astype(np.float32)
    noise = rng.standard_normal((300, 200)).astype(np.float32)
    told = (2 * wanted + rng.standard_normal(300)).astype(np.float32)
    table = np.c_[noise, told]
    guesses = [
        RECIPE.probe(table[:20].copy(), wanted[:20], table[20:].copy(), prompt=prompt)
        for prompt in (True, False)
    ]
    with_prompt, without = (auroc(wanted[20:], guess) for guess in guesses)
    assert with_prompt > 0.85 > without


def test_a_rare_finding_does_not_take_the_prompt_back() -> None:
    rng = np.random.default_rng(2)
    wanted = np.r_[np.arange(200) % 40 == 0, np.arange(300) % 2 == 0].astype(np.float32)
    told = wanted + rng.standard_normal(500)
    table = np.c_[rng.standard_normal((500, 100)), told].astype(np.float32)
    few, rest = table[:200], table[200:]
    balanced, plain = (
        auroc(wanted[200:], RECIPE.probe(few, wanted[:200], rest, prompt=True, balanced=b))
        for b in (True, False)
    )
    asked = auroc(wanted[200:], told[200:])
    assert balanced > asked - 0.05 > plain


SMALL = replace(
    LOADED.settings, films=40, labelled=40, test=40, prevalence=0.2, sizes=(40,), counts=(10, 0), seeds=1,
    steps=(1,), batch=8, scratch_batch=8, scratch_steps=(1, 2), resnet_steps=(1, 1), resamples=50,
    bf16=False, pneumonia="",
)  # fmt: skip


def test_all_stages_in_order_and_nothing_trained_twice(
    tmp_path: Path, plant: Callable[[Path, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, part in enumerate(("films", "labelled", "test")):
        plant(tmp_path / part, seed)
    monkeypatch.setattr(RECIPE, "phantoms", opened)
    trained: list[Any] = []
    assert LOADED.run(SMALL, tmp_path, report=trained.append) is None
    encoders = {path.parent.name for path in tmp_path.glob("*/encoder.pt")}
    rare = {"contrastive-40-rare", "both-40-rare", "contrastive-40-rare-evened"}
    assert encoders == {"contrastive-40", "both-40", "masked-40"} | rare
    text = (tmp_path / "table.txt").read_text()
    assert "contrastive-40-rare with 10 labels" in text and "resnet18 needs" in text
    task = RECIPE.tasks(SMALL, tmp_path)[0]
    assert task.wanted[task.rows].mean() <= 0.2 < task.wanted.mean()
    points = sorted((tmp_path / "curves").glob("*.npz"))
    assert len(points) == 2 * (len(encoders) + 3)
    for path in points:
        with np.load(path) as file:
            assert file["scores"].shape == (40,) and set(file["rows"]) <= set(task.rows)

    # a second call trains nothing; of a run that was stopped, only what is missing
    told = len(trained)
    LOADED.run(SMALL, tmp_path, report=trained.append)
    assert len(trained) == told and (tmp_path / "table.txt").read_text() == text
    lost = tmp_path / "curves/rib_fracture-scratch-0-0.npz"
    with np.load(lost) as file:
        before = file["scores"]
    lost.unlink()
    LOADED.run(SMALL, tmp_path, report=trained.append)
    assert len(trained) == told + 1 and (np.load(lost)["scores"] == before).all()


def opened(recipe: Any, folder: Path, part: str) -> Any:
    """Planted films, without the processes that would draw more."""
    load = {name: np.load(folder / part / f"{name}.npy") for name in ("images", "masks", "labels")}
    paths = sorted((folder / part).glob("rows-*.json"))
    rows = [row for path in paths for row in json.loads(path.read_text())]
    return sys.modules["arrays"].Arrays(*load.values(), rows)


def test_the_finding_as_it_is_drawn_is_a_setting() -> None:
    recipe = changed(LOADED.settings, ["prevalence=none"])
    assert recipe.prevalence is None and not any(plan.rare for plan in RECIPE.plans(recipe))
    assert sum(plan.rare for plan in RECIPE.plans(LOADED.settings)) == 3
    assert b"prevalence" in dumps(recipe).encode()

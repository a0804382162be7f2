"""How labels are counted in `recipes/labels_needed.py`, on curves whose answer is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "recipes"))
import labels_needed

COUNTS = np.array([10.0, 100.0, 1000.0])


def test_labels_are_read_off_between_two_counts_by_the_logarithm() -> None:
    areas = np.array([0.5, 0.6, 0.8])
    assert labels_needed.needed(COUNTS, areas, 0.7) == pytest.approx(10**2.5)
    assert labels_needed.needed(COUNTS, areas, 0.5) == 10
    assert labels_needed.needed(COUNTS, areas, 0.81) == float("inf")


def test_a_curve_that_is_ten_times_ahead_needs_a_tenth_of_the_labels() -> None:
    scratch = np.tile([0.5, 0.6, 0.7], (5, 1))
    ahead = np.tile([0.6, 0.7, 0.8], (5, 1))
    for at in (0, 1):
        found = labels_needed.ratio(ahead, scratch, COUNTS, at)
        assert found["ratio"] == pytest.approx(10) == found["low"] == found["high"]
        assert found["auroc"] == pytest.approx(ahead[0, at]) and not found["at_least"]
    never = labels_needed.ratio(ahead + 0.15, scratch, COUNTS)
    assert never["at_least"] and never["ratio"] == pytest.approx(100)


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    scratch = np.array([0.5, 0.6, 0.7]) + 0.02 * rng.standard_normal((5, 3))
    found = labels_needed.ratio(scratch + 0.1, scratch, COUNTS)
    assert found["low"] < found["ratio"] < found["high"]


def test_few_labels_start_from_the_prompt() -> None:
    rng = np.random.default_rng(1)
    wanted = (rng.random(300) < 0.5).astype(np.float32)
    noise = rng.standard_normal((300, 200)).astype(np.float32)
    told = (2 * wanted + rng.standard_normal(300)).astype(np.float32)
    table = np.c_[noise, told]
    guesses = [
        labels_needed.probe(table[:20].copy(), wanted[:20], table[20:].copy(), prompt=prompt)
        for prompt in (True, False)
    ]
    with_prompt, without = (labels_needed.auroc(wanted[20:], guess) for guess in guesses)
    assert with_prompt > 0.85 > without

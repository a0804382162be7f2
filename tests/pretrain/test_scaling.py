"""Scaling: a planted law is found, a larger run falls into its interval, a budget is spent well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sagittal.errors import BadInput
from sagittal.pretrain.scaling import Law, Trial, fit_law

CHINCHILLA = Law(1.69, 406.4, 0.34, 410.7, 0.28)
"""Hoffmann 2022, equation 10."""
SMALL = Law(0.31, 4.0, 0.45, 9.0, 0.5)


def runs(law: Law, noise: float, seed: int, sizes: np.ndarray, data: np.ndarray) -> list[Trial]:
    rng = np.random.default_rng(seed)
    return [
        Trial(n, d, float(law.loss(n, d) * np.exp(noise * rng.standard_normal())))
        for n in sizes
        for d in data
    ]


GRIDS = {
    "chinchilla": (CHINCHILLA, np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 3e10, 5), (4e9, 1.2e11)),
    "small": (SMALL, np.geomspace(1e3, 3e4, 4), np.geomspace(1e3, 2e4, 4), (1e5, 6e4)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_without_noise_the_law_itself_is_found(name: str) -> None:
    law, sizes, data, (n, d) = GRIDS[name]
    found = fit_law(runs(law, 0.0, 0, sizes, data), draws=2).law
    assert found.size_exponent == pytest.approx(law.size_exponent, abs=0.01)
    assert found.data_exponent == pytest.approx(law.data_exponent, abs=0.01)
    assert found.floor == pytest.approx(law.floor, rel=0.02)
    assert float(found.loss(n, d)) == pytest.approx(float(law.loss(n, d)), rel=2e-3)


def coverage(name: str, repeats: int, draws: int) -> float:
    law, sizes, data, (n, d) = GRIDS[name]
    inside = []
    for seed in range(repeats):
        foretold = fit_law(runs(law, 0.01, seed, sizes, data), draws=draws).foretell(n, d)
        truth = float(law.loss(n, d) * np.exp(0.01 * np.random.default_rng([seed, 7]).standard_normal()))
        inside.append(foretold.low <= truth <= foretold.high)
    return float(np.mean(inside))


def test_a_larger_run_falls_into_its_interval() -> None:
    assert coverage("small", 12, 20) >= 9 / 12


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_intervals_cover_what_they_say(name: str) -> None:
    assert 0.86 <= coverage(name, 100, 60) <= 0.99


def test_one_run_gone_wrong_does_not_bend_it() -> None:
    law, sizes, data, (n, d) = GRIDS["small"]
    trials = runs(law, 0.003, 1, sizes, data)
    trials[5] = replace(trials[5], loss=1.6 * trials[5].loss)
    assert float(fit_law(trials, draws=2).law.loss(n, d)) == pytest.approx(float(law.loss(n, d)), rel=0.05)


def test_a_budget_is_spent_where_the_loss_is_least() -> None:
    law = CHINCHILLA
    compute = 5.76e23  # Gopher's, Hoffmann 2022
    n, d = law.best(compute)
    assert 6 * n * d == pytest.approx(compute)
    assert 2e10 < n < 8e10  # 40 billion parameters, Hoffmann 2022, table 3, approach 3
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert law.loss(n * factor, d / factor) > law.loss(n, d)
    fitted = fit_law(runs(law, 0.0, 0, *GRIDS["chinchilla"][1:3]), draws=2)
    plan = fitted.plan(compute, joules_per_flop=1e-11)
    assert plan.parameters == pytest.approx(n, rel=0.3)
    assert plan.energy_wh == pytest.approx(compute * 1e-11 / 3600)
    assert plan.beyond == pytest.approx(compute / (6 * 1e9 * 3e10))


def test_too_few_runs_are_refused() -> None:
    trials = runs(SMALL, 0.0, 0, np.array([1e3, 1e4]), np.geomspace(1e3, 1e4, 5))
    with pytest.raises(BadInput, match="10 runs for a law of five values; expected 7 or more, of 3 sizes"):
        fit_law(trials)
    with pytest.raises(BadInput, match="not above 0"):
        fit_law([*runs(SMALL, 0.0, 0, np.geomspace(1e3, 1e4, 3), np.geomspace(1e3, 1e4, 3)), Trial(1, 1, -1)])

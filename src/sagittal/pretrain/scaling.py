"""Scaling laws from small runs: loss over parameters, data and compute; and what to train with a budget.

L(N, D) = E + A / N^a + B / D^b (Hoffmann 2022, approach 3), fitted to the logarithm of the loss with a Huber
loss, so that one run gone wrong does not bend it. Intervals by bootstrap of the residuals: the spread of
the law and that of a single run, which is what a held-out larger run has to fall into.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls
from scipy.stats import t as student

from sagittal.errors import BadInput
from sagittal.meter import GRAMS_PER_KWH

HUBER = 0.01
"""Residuals of the log loss beyond this count less than quadratically."""
SMALLEST, LARGEST = 0.02, 2.5
_GRID = (0.1, 0.25, 0.5, 0.8, 1.2)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """One run: ``parameters`` N, ``samples`` D it saw, each once, and the ``loss`` L on unseen data."""

    parameters: float
    samples: float
    loss: float


@dataclass(frozen=True)
class Law:
    """E + A / N^a + B / D^b; ``floor`` is E, the loss that no size and no data take away."""

    floor: float
    size_factor: float
    size_exponent: float
    data_factor: float
    data_exponent: float

    def loss(self, parameters: float | Floats, samples: float | Floats) -> Floats:
        """L at N, D, of any one shape."""
        n, d = np.asarray(parameters, float), np.asarray(samples, float)
        return np.asarray(
            self.floor + self.size_factor * n**-self.size_exponent + self.data_factor * d**-self.data_exponent
        )

    def best(self, compute: float, flops: float = 6.0) -> tuple[float, float]:
        """(N, D) of least loss where training takes ``flops`` x N x D floating-point operations in all."""
        a, b = self.size_exponent, self.data_exponent
        ratio = (a * self.size_factor / (b * self.data_factor)) ** (1 / (a + b))
        product = compute / flops
        parameters = ratio * product ** (b / (a + b))
        return parameters, product / parameters


@dataclass(frozen=True)
class Foretold:
    """A loss with the interval in which a single run is expected."""

    loss: float
    low: float
    high: float


@dataclass(frozen=True)
class Plan:
    """What to train: sizes, the loss to expect, and the energy.

    ``beyond``: how many times the largest trial's compute it is; a law says less the further it is stretched.
    """

    parameters: float
    samples: float
    loss: Foretold
    energy_wh: float
    co2e_g: float
    beyond: float


@dataclass(frozen=True, eq=False)
class Fitted:
    """A law, the laws of the bootstrap, and the log residuals (n,), widened for the five values fitted."""

    law: Law
    others: tuple[Law, ...]
    residuals: Floats
    trials: tuple[Trial, ...]
    level: float = 0.95

    def foretell(self, parameters: float, samples: float) -> Foretold:
        """The loss of a run of that size on that much data.

        The interval adds the spread of the bootstrap's laws and that of single runs, on the logarithm, and is
        Student's: with few runs more than 1.96 deviations. Quantiles of the two alone were too narrow.
        """
        centre = float(self.law.loss(parameters, samples))
        away = np.log([float(law.loss(parameters, samples)) / centre for law in self.others])
        spread = math.sqrt(float(np.mean(away**2)) + float(np.mean(self.residuals**2)))
        wide = float(student.ppf((1 + self.level) / 2, len(self.trials) - 5)) * spread
        return Foretold(centre, centre * math.exp(-wide), centre * math.exp(wide))

    def exponents(self) -> dict[str, tuple[float, float, float]]:
        """(value, low, high) of the exponents of size and data and of the floor."""
        ends = [(1 - self.level) / 2, (1 + self.level) / 2]
        found = {}
        for name in ("size_exponent", "data_exponent", "floor"):
            low, high = np.quantile([getattr(law, name) for law in self.others], ends)
            found[name] = (float(getattr(self.law, name)), float(low), float(high))
        return found

    def plan(self, compute: float, *, joules_per_flop: float, flops: float = 6.0) -> Plan:
        """Model and data size for ``compute`` floating-point operations.

        Args:
            joules_per_flop: measured on the machine that will do it: energy of the trials over their compute.
            flops: operations a parameter and sample; 6 for a token in a transformer (forward and backward).
        """
        parameters, samples = self.law.best(compute, flops)
        largest = max(flops * t.parameters * t.samples for t in self.trials)
        energy = compute * joules_per_flop / 3600
        return Plan(
            parameters, samples, self.foretell(parameters, samples), energy, energy / 1000 * GRAMS_PER_KWH,
            compute / largest,
        )  # fmt: skip


def fit_law(trials: Sequence[Trial], *, draws: int = 200, seed: int = 0) -> Fitted:
    """Fit the law to small runs.

    Raises:
        BadInput: fewer than 7 runs, fewer than 3 sizes or amounts of data, or a loss that is not above 0.
    """
    if len(trials) < 7 or len({t.parameters for t in trials}) < 3 or len({t.samples for t in trials}) < 3:
        raise BadInput(
            f"{len(trials)} runs for a law of five values", "7 or more, of 3 sizes and 3 amounts of data"
        )
    values = np.array([[t.parameters, t.samples, t.loss] for t in trials], float)
    if not np.isfinite(values).all() or values.min() <= 0:
        raise BadInput("a run has parameters, samples or a loss that is not above 0")
    n, d, loss = values.T
    law = _refined(n, d, loss, _starts(n, d, loss))
    fitted = law.loss(n, d)
    residuals = np.log(loss) - np.log(fitted)
    residuals = (residuals - np.median(residuals)) * math.sqrt(len(loss) / (len(loss) - 5))
    rng = np.random.default_rng(seed)
    others = tuple(
        _refined(n, d, fitted * np.exp(rng.choice(residuals, len(loss))), [law]) for _ in range(draws)
    )
    return Fitted(law, others, residuals, tuple(trials))


def _starts(n: Floats, d: Floats, loss: Floats) -> list[Law]:
    """For each pair of exponents the other three are a linear problem; the three best pairs."""
    found = []
    for a in _GRID:
        for b in _GRID:
            terms = np.stack([np.ones_like(n), (n / n.min()) ** -a, (d / d.min()) ** -b], 1)
            weights, error = nnls(terms / loss[:, None], np.ones_like(loss))
            e, size, data = np.maximum(weights, 1e-6 * loss.min())
            found.append((error, Law(e, size * n.min() ** a, a, data * d.min() ** b, b)))
    return [law for _, law in sorted(found, key=lambda pair: pair[0])[:3]]


def _refined(n: Floats, d: Floats, loss: Floats, starts: Sequence[Law]) -> Law:
    n0, d0, scale = float(n.min()), float(d.min()), float(loss.min())
    x, y, wanted = np.log(n / n0), np.log(d / d0), np.log(loss / scale)

    def terms(p: Floats) -> Floats:
        return np.stack([np.full_like(x, p[0]), p[1] - p[2] * x, p[3] - p[4] * y])

    def residual(p: Floats) -> Floats:
        return np.logaddexp.reduce(terms(p)) - wanted

    def slope(p: Floats) -> Floats:
        each = terms(p)
        share = np.exp(each - np.logaddexp.reduce(each))
        return np.stack([share[0], share[1], -share[1] * x, share[2], -share[2] * y], 1)

    low, high = [-15.0, -15.0, SMALLEST, -15.0, SMALLEST], [5.0, 5.0, LARGEST, 5.0, LARGEST]
    best: tuple[float, Floats] | None = None
    for law in starts:
        start = np.array(
            [
                np.log(law.floor / scale),
                np.log(law.size_factor / scale) - law.size_exponent * np.log(n0),
                law.size_exponent,
                np.log(law.data_factor / scale) - law.data_exponent * np.log(d0),
                law.data_exponent,
            ]
        )
        start = np.clip(start, np.array(low) + 1e-6, np.array(high) - 1e-6)
        done = least_squares(
            residual, start, jac=slope, bounds=(low, high), loss="huber", f_scale=HUBER, max_nfev=100
        )
        if best is None or done.cost < best[0]:
            best = (float(done.cost), done.x)
    assert best is not None
    e, size, a, data, b = best[1]
    return Law(
        float(scale * np.exp(e)),
        float(scale * np.exp(size) * n0**a),
        float(a),
        float(scale * np.exp(data) * d0**b),
        float(b),
    )

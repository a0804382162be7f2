"""How many labels: a finding thinned, few labels chosen, AUROCs of resampled films, two curves' ratio.

`labels_needed.py` draws its curves with this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagittal.measure.statistics import Interval

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]


# --- choosing films ---


def thinned(wanted: Floats, share: float | None) -> Rows:
    """The rows that stay where at most ``share`` may be positive: every negative, the first positives.

    ``wanted`` (N,) of 0 and 1 -> rows in their order; all where ``share`` is None or is not exceeded.
    """
    if share is None:
        return np.arange(len(wanted))
    most = math.floor((wanted == 0).sum() * share / (1 - share) + 1e-9)
    return np.flatnonzero((wanted == 0) | (np.cumsum(wanted == 1) <= most))


def subset(wanted: Floats, count: int, seed: int) -> Rows:
    """``count`` rows by chance, all where 0, with at least two of either answer.

    So small sets hold more of a rare finding than there is: of 10 labels two are positive, be it one film in
    fifty. Every way gets the same rows.
    """
    if not count or count >= len(wanted):
        return np.arange(len(wanted))
    rng = np.random.default_rng([17, seed, count])
    while True:
        rows = rng.choice(len(wanted), count, replace=False)
        if 2 <= wanted[rows].sum() <= count - 2:
            return np.sort(rows)


# --- resampling ---


@dataclass(frozen=True)
class Draws:
    """Resamples of test films and of seeds together; the first is the sample itself.

    Attributes:
        films: (D, N) how often each test film is drawn, positives and negatives by themselves.
        seeds: (D, S) which seeds are drawn. A seed stands for its labels, the same ones for every way, so one
            draw serves all ways.
    """

    films: NDArray[np.float32]
    seeds: NDArray[np.int64]


def draws(truth: Floats, seeds: int, count: int = 2000, seed: int = 0) -> Draws:
    """``count`` resamples beside the sample; ``truth`` (N,) of 0 and 1."""
    rng = np.random.default_rng(seed)
    films = np.ones((count + 1, len(truth)), np.float32)
    for answer in (0, 1):
        rows = np.flatnonzero(truth == answer)
        films[1:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), count)
    picks = rng.integers(0, seeds, (count + 1, seeds))
    picks[0] = np.arange(seeds)
    return Draws(films, picks)


def areas(truth: Floats, scores: Floats, films: NDArray[np.float32]) -> Numbers:
    """AUROCs (D, ...) of ``scores`` (..., N) on resamples ``films`` (D, N), exact with ties.

    A resample's share of won pairs: each pair of a positive and a negative counts as often as both are drawn.
    """
    positive = truth == 1
    there, absent = films[:, positive], films[:, ~positive]
    pairs = there.sum(1, dtype=np.float64) * absent.sum(1, dtype=np.float64)
    flat, found = scores.reshape(-1, scores.shape[-1]), []
    for row in flat:
        above, below = row[positive][:, None], row[~positive][None]
        won = (above > below).astype(np.float32) + 0.5 * (above == below).astype(np.float32)
        found.append(((there @ won) * absent).sum(1, dtype=np.float64) / pairs)
    return np.stack(found, 1).reshape(len(films), *scores.shape[:-1])


def curve(areas: Numbers, seeds: Rows) -> Numbers:
    """Mean over the drawn seeds: (D, S, C), (D, s) -> (D, C)."""
    return np.take_along_axis(areas, seeds[:, :, None], 1).mean(1)


def interval(values: Numbers) -> Interval:
    """Of the sample, the first of ``values`` (D,), by the quantiles of its resamples."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high), method="bootstrap of seeds and films")


# --- counting labels ---


def needed(counts: Numbers, areas: Numbers, wanted: float) -> float:
    """Labels at which a curve first reaches ``wanted``, between two counts by the logarithm; inf: never."""
    for i, area in enumerate(areas):
        if area >= wanted:
            if i == 0:
                return float(counts[0])
            share = (wanted - areas[i - 1]) / (area - areas[i - 1])
            return float(math.exp(np.interp(share, (0, 1), np.log(counts[i - 1 : i + 1]))))
    return float("inf")


@dataclass(frozen=True)
class Ratio:
    """How many times the labels another way needs for what this one reaches with few.

    Attributes:
        auroc: what this one reaches with few, and so what is asked of the other.
        value, low, high: the ratio and its 95 % interval. Where the other never gets there, that of all
            labels stands in, a lower bound; where it is there with the fewest already, an upper one.
        never: share of the resamples in which it never gets there.
        at_least, at_most: in the sample itself it never does; it does with the fewest.
    """

    auroc: float
    value: float
    low: float
    high: float
    never: float
    at_least: bool
    at_most: bool

    def __str__(self) -> str:
        edge = "at least " if self.at_least else "at most " if self.at_most else ""
        more = " or more" if self.never > 0.025 else ""
        value, low, high = (f"{x:.{1 if x < 10 else 0}f}" for x in (self.value, self.low, self.high))
        return f"{edge}{value} ({low} to {high}{more})"


def ratio(ours: Numbers, other: Numbers, counts: Numbers, at: int = 0) -> Ratio:
    """Of two curves (D, C), the first row the sample and the others its resamples, at ``counts[at]``."""
    labels = np.array(
        [
            needed(counts, np.maximum.accumulate(theirs), float(mine[at]))
            for mine, theirs in zip(ours, other, strict=True)
        ]
    )
    found = np.minimum(labels, counts[-1]) / counts[at]
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return Ratio(
        float(ours[0, at]), float(found[0]), float(low), float(high),
        float(np.isinf(labels[1:]).mean()), bool(np.isinf(labels[0])), bool(labels[0] <= counts[0]),
    )  # fmt: skip


# --- the table ---


@dataclass(frozen=True)
class Counted:
    """A task's table.

    Attributes:
        counts, positives: labels, and how many of them have the finding (mean of the seeds); tested: films.
        auroc: of every way, one entry a count; seeds: that are done; minutes: of processor time.
        prompts: AUROC without a label; ratios: of a way with so many labels, beside which, how many times.
    """

    task: str
    counts: tuple[int, ...]
    positives: tuple[float, ...]
    tested: int
    auroc: dict[str, tuple[Interval, ...]]
    seeds: dict[str, int]
    minutes: dict[str, float]
    prompts: dict[str, Interval]
    ratios: tuple[tuple[str, int, str, Ratio], ...]


def counted(
    task: str, truth: Floats, scores: dict[str, Floats], prompts: dict[str, Floats], *,
    counts: tuple[int, ...], positives: tuple[float, ...], minutes: dict[str, float], beside: tuple[str, ...],
    resamples: int,
) -> Counted:  # fmt: skip
    """From test scores (S, C, N) of every way, and of prompts (N,).

    ``beside``: the ways that the pre-trained ones are compared with, over the seeds that both have.
    """
    films = draws(truth, 1, resamples).films
    found = {way: areas(truth, each, films) for way, each in scores.items()}
    seeds = {way: len(each) for way, each in scores.items()}

    def mean(way: str, count: int) -> Numbers:
        return curve(found[way][:, :count], draws(truth, count, resamples).seeds)

    ratios = []
    for base in (way for way in beside if way in found):
        for way in (way for way in found if way not in ("untrained", *beside)):
            both = min(seeds[base], seeds[way])
            ours, other = mean(way, both), mean(base, both)
            for at, count in enumerate(counts[:-1]):
                ratios.append((way, count, base, ratio(ours, other, np.array(counts, float), at)))
    auroc = {way: tuple(interval(column) for column in mean(way, n).T) for way, n in seeds.items()}
    asked = {way: interval(areas(truth, each, films)) for way, each in prompts.items()}
    return Counted(task, counts, positives, len(truth), auroc, seeds, minutes, asked, tuple(ratios))


def shown(found: Counted) -> str:
    """The table as text; no ratio for what is not better than chance, which needs no labels."""
    at = "".join(f"{count:>23,}" for count in found.counts)
    sick = "".join(f"{positives:>23.1f}" for positives in found.positives)
    lines = [
        f"{found.task}: AUROC on {found.tested} test films (95 % interval of seeds and films together)",
        f"{'labels':30}{at}   seeds  minutes",
        f"{'with the finding':30}{sick}   (at least two of either answer: few labels are richer)",
    ]
    for way, mine in sorted(found.auroc.items(), key=lambda item: -item[1][0].value):
        cells = "".join(f"{f'{a.value:.3f} ({a.low:.3f}-{a.high:.3f})':>23}" for a in mine)
        lines.append(f"{way:30}{cells}{found.seeds[way]:8}{found.minutes[way]:9.1f}")
    lines += [f"{way}, by a prompt, no label: {area}" for way, area in found.prompts.items()]
    for way, count, base, each in found.ratios:
        if found.auroc[way][found.counts.index(count)].low <= 0.5:
            continue
        lines.append(f"{way} with {count:,} labels ({each.auroc:.3f}): {base} needs {each} times as many")
    return "\n".join(lines) + "\n"

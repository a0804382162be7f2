"""The loop: stop and resume equals going on, divergence stops, a budget is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sagittal.training import checkpoint
from sagittal.training.loop import Diverged, FitConfig, Progress, fit
from sagittal.training.schedule import warmup_cosine

Batch = tuple[Tensor, Tensor]


class Problem:
    """A small network with dropout (so that the random state matters) and its batches."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.2), nn.GELU(), nn.Linear(16, 1))

    def batches(self, start: int) -> Iterator[Batch]:
        index = start
        while True:
            x = torch.randn(8, 4, generator=torch.Generator().manual_seed(index))
            yield x, x.sum(1, keepdim=True)
            index += 1

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        return {"error": (self.net(batch[0]) - batch[1]).square().mean()}

    def fit(self, config: FitConfig, folder: Path | None = None, **more: object) -> Progress:
        return fit(self.net, self.objective, self.batches, config, folder=folder, **more)  # type: ignore[arg-type]


CONFIG = FitConfig(steps=30, report_steps=5, save_seconds=0.0)


class Interrupted(Exception):
    pass


def test_stopped_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    whole, curve = Problem(), []
    whole.fit(CONFIG, report=curve.append)
    first, second = Problem(), []

    def stop(progress: Progress) -> None:
        second.append(progress)
        if progress.step == 15:
            raise Interrupted

    with pytest.raises(Interrupted):
        first.fit(CONFIG, tmp_path, report=stop)
    resumed = Problem()
    with torch.no_grad():
        resumed.net[0].weight.zero_()  # whatever the new process starts from
    after: list[Progress] = []
    resumed.fit(CONFIG, tmp_path, report=after.append)
    assert [p.step for p in after] == [15, 20, 25, 30]
    wanted = {p.step: p.losses["error"] for p in curve}
    assert {p.step: p.losses["error"] for p in [*second, *after[1:]]} == wanted
    for a, b in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    first = Problem()
    first.fit(CONFIG, tmp_path)
    second, written = Problem(), checkpoint.found(tmp_path)[-1].stat().st_mtime_ns
    progress = second.fit(CONFIG, tmp_path)
    assert progress.step == 30
    assert checkpoint.found(tmp_path)[-1].stat().st_mtime_ns == written
    for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_accumulating_equals_one_large_batch() -> None:
    config = FitConfig(steps=4, average=None, clip=1e9)
    large, small = Problem(), Problem()
    for problem in (large, small):
        problem.net[1].p = 0.0  # type: ignore[union-attr]

    def pairs(start: int) -> Iterator[Batch]:
        parts = small.batches(2 * start)
        while True:
            a, b = next(parts), next(parts)
            yield torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])

    fit(large.net, large.objective, pairs, config)
    small.fit(FitConfig(steps=4, average=None, clip=1e9, accumulate=2))
    for a, b in zip(large.net.parameters(), small.net.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_divergence_stops_and_keeps_the_batch(tmp_path: Path, bad: float) -> None:
    problem = Problem()

    def batches(start: int) -> Iterator[Batch]:
        for index, (x, y) in enumerate(problem.batches(start), start):
            yield x, y * bad if index == 7 else y

    with pytest.raises(Diverged, match=r"the loss is not a number at step 8; its batch is in diverged\.pt"):
        fit(problem.net, problem.objective, batches, CONFIG, folder=tmp_path)
    kept = torch.load(tmp_path / "diverged.pt", weights_only=True)
    assert torch.equal(kept[0], next(problem.batches(7))[0])
    assert checkpoint.found(tmp_path)[-1].name == "step-000000007"
    assert all(torch.isfinite(p).all() for p in problem.net.parameters())


def test_a_budget_in_seconds_is_kept_and_the_rate_comes_down() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.25
        return now[0]

    seen: list[Progress] = []
    config = FitConfig(steps=10_000, max_seconds=20.0, report_steps=1)
    last = Problem().fit(config, report=seen.append, clock=clock)
    assert 20 <= last.seconds <= 21
    assert last.learning_rate < 0.03 * config.learning_rate
    assert max(p.learning_rate for p in seen) == pytest.approx(config.learning_rate, rel=0.02)
    assert seen[1].items_per_second > 0


def test_ctrl_c_saves(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Problem().fit(FitConfig(steps=30, report_steps=5, save_seconds=1e9), tmp_path, report=stop)
    assert [path.name for path in checkpoint.found(tmp_path)] == ["step-000000005"]


def test_frozen_weights_stay_and_averages_are_of_the_run() -> None:
    problem = Problem()
    problem.net[0].requires_grad_(False)
    before = [p.clone() for p in problem.net[0].parameters()]
    problem.fit(FitConfig(steps=20, average=0.9))
    assert all(torch.equal(a, b) for a, b in zip(before, problem.net[0].parameters(), strict=True))


def test_batches_may_end() -> None:
    problem = Problem()
    one = [next(problem.batches(0))]
    assert fit(problem.net, problem.objective, lambda n: iter(one[n:]), CONFIG).step == 1


def test_schedule() -> None:
    assert warmup_cosine(0.0) < 0.01
    assert warmup_cosine(0.05) == pytest.approx(1)
    assert warmup_cosine(0.525) == pytest.approx(0.505)
    assert warmup_cosine(1.0) == warmup_cosine(3.0) == pytest.approx(0.01)

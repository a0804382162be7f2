"""The loop: stop and resume equals going on, divergence stops, a budget is kept."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sagittal.errors import BadInput
from sagittal.layers.batch_norm import BatchNorm
from sagittal.training import checkpoint, loop, precision
from sagittal.training.loop import Diverged, FitConfig, Progress, fit
from sagittal.training.schedule import warmup_cosine

Batch = tuple[Tensor, Tensor]


class Problem:
    """A small network with dropout (so that the random state matters) and its batches."""

    def __init__(self, *, norm: bool = False) -> None:
        torch.manual_seed(0)
        self.seen: list[int] = []
        normalise = BatchNorm(16) if norm else nn.Identity()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.2), normalise, nn.GELU(), nn.Linear(16, 1))

    def batches(self, start: int) -> Iterator[Batch]:
        index = start
        while True:
            x = torch.randn(8, 4, generator=torch.Generator().manual_seed(index))
            self.seen.append(index)
            yield x, x.sum(1, keepdim=True)
            index += 1

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        return {"error": (self.net(batch[0]) - batch[1]).square().mean()}

    def fit(self, config: FitConfig, folder: Path | None = None, **more: object) -> Progress:
        return fit(self.net, self.objective, self.batches, config, folder=folder, **more)  # type: ignore[arg-type]


CONFIG = FitConfig(steps=30, report_steps=5, save_seconds=0.0, bf16=False)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, accumulate=3, average=0.9),
        replace(CONFIG, average=None, warmup=0.5, weight_decay=0.3),
        replace(CONFIG, bf16=True),
    ],
    ids=["plain", "accumulated", "no average, long warm-up", "bf16"],
)
@pytest.mark.parametrize("norm", [False, True], ids=["", "batch normalisation"])
def test_stopped_and_resumed_equals_uninterrupted(tmp_path: Path, config: FitConfig, norm: bool) -> None:
    whole, curve = Problem(norm=norm), []
    whole.fit(config, report=curve.append)
    assert whole.seen == list(range(30 * config.accumulate))
    first, second = Problem(norm=norm), []

    def stop(progress: Progress) -> None:
        second.append(progress)
        if progress.step == 15:
            raise Interrupted

    with pytest.raises(Interrupted):
        first.fit(config, tmp_path, report=stop)
    resumed = Problem(norm=norm)
    with torch.no_grad():
        resumed.net[0].weight.zero_()  # whatever the new process starts from
    torch.rand(7)
    after: list[Progress] = []
    resumed.fit(config, tmp_path, report=after.append)
    # the checkpoint is of the step before: a report comes first
    assert [p.step for p in after] == [15, 20, 25, 30]
    assert resumed.seen == list(range(14 * config.accumulate, 30 * config.accumulate))
    wanted = {p.step: (p.losses["error"], p.learning_rate) for p in curve}
    assert {p.step: (p.losses["error"], p.learning_rate) for p in [*second, *after[1:]]} == wanted
    for a, b in zip(whole.net.state_dict().values(), resumed.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_probes_change_nothing_and_are_the_same_when_resumed(tmp_path: Path) -> None:
    """The random state, dropout's mode, and a part that stays in evaluation mode all along."""
    config = replace(CONFIG, probe_steps=8)  # every second report, and the last

    def probed(problem: Problem, folder: Path | None, stop: int = 0) -> list[Progress]:
        seen: list[Progress] = []

        def report(progress: Progress) -> None:
            seen.append(progress)
            if progress.step == stop:
                raise Interrupted

        def probes() -> dict[str, float]:
            assert not any(part.training for part in problem.net.modules())
            assert not torch.is_grad_enabled()
            x = torch.randn(64, 4)
            error = (problem.net(x) - x.sum(1, keepdim=True)).square().mean()
            return {"error": float(error), "nothing": float("nan")}

        with contextlib.suppress(Interrupted):
            problem.fit(config, folder, report=report, probes=probes)
        return seen

    plain: list[Progress] = []
    alone = Problem()
    alone.fit(config, report=plain.append)
    assert all(p.probes == {} for p in plain)
    together = Problem()
    curve = probed(together, None)
    assert [(p.step, p.losses) for p in curve] == [(p.step, p.losses) for p in plain]
    for a, b in zip(alone.net.parameters(), together.net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [p.step for p in curve if p.probes] == [10, 20, 30]
    assert all(set(p.probes) <= {"error"} for p in curve)
    errors = [p.probes["error"] for p in curve if p.probes]
    assert errors[-1] < errors[0]  # always of the same numbers, so they may be compared
    first = probed(Problem(), tmp_path, stop=20)
    after = probed(Problem(), tmp_path)
    by_step = {p.step: p.probes for p in curve}
    assert {p.step: p.probes for p in [*first, *after]} == by_step


def test_a_part_in_evaluation_mode_is_left_in_it_by_probes() -> None:
    problem, modes = Problem(), set()

    def objective(batch: Batch) -> dict[str, Tensor]:
        modes.add(problem.net[1].training)
        problem.net[1].eval()
        return problem.objective(batch)

    config = replace(CONFIG, probe_steps=5)
    fit(problem.net, objective, problem.batches, config, probes=lambda: {"one": 1.0})
    assert modes == {True, False}  # in training mode at the start alone
    modes.clear()
    with pytest.raises(ZeroDivisionError):
        fit(problem.net, objective, problem.batches, config, probes=lambda: {"one": 1 / 0})
    assert problem.net[0].training and not problem.net[1].training


def test_a_damaged_newest_checkpoint_gives_the_same_run_and_a_line(tmp_path: Path) -> None:
    whole, first, resumed = Problem(), Problem(), Problem()
    whole.fit(CONFIG)

    def stop(progress: Progress) -> None:
        if progress.step == 20:
            raise Interrupted

    with pytest.raises(Interrupted):
        first.fit(CONFIG, tmp_path, report=stop)
    newest = checkpoint.found(tmp_path)[-1]
    (newest / "weights.safetensors").write_bytes(b"\0" * 100)
    after: list[Progress] = []
    resumed.fit(CONFIG, tmp_path, report=after.append)
    assert [len(p.notes) for p in after] == [1, 0, 0]
    assert after[0].notes[0].startswith(f"checkpoint {newest.name} cannot be read")
    for a, b in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_full_disk_stops_with_one_line_and_the_run_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped, resumed = Problem(), Problem(), Problem()
    whole.fit(CONFIG)
    really, calls = checkpoint.save_file, []

    def sometimes(tensors: dict[str, Tensor], path: Path) -> None:
        calls.append(path)
        if len(calls) == 8:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        really(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", sometimes)
    with pytest.raises(BadInput, match="No space left on device; make room and run again") as error:
        stopped.fit(CONFIG, tmp_path)
    assert "\n" not in str(error.value)
    assert [path.name for path in checkpoint.found(tmp_path)] == ["step-000000006", "step-000000007"]
    assert resumed.fit(CONFIG, tmp_path).step == 30
    for a, b in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_precision_is_measured_once_and_kept_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: set[torch.dtype] = set()

    def objective(batch: Batch) -> dict[str, Tensor]:
        guess = problem.net(batch[0])
        kinds.add(guess.dtype)
        return {"error": (guess - batch[1]).square().mean()}

    for pays, wanted in ((True, torch.bfloat16), (False, torch.float32)):
        problem = Problem()
        monkeypatch.setattr(loop, "bf16_pays", lambda _, pays=pays: pays)
        kinds.clear()
        last = fit(problem.net, objective, problem.batches, FitConfig(steps=2), folder=tmp_path / str(pays))
        assert kinds == {wanted}
        assert last.bf16 is pays
    problem = Problem()
    kinds.clear()
    fit(problem.net, objective, problem.batches, FitConfig(steps=4), folder=tmp_path / "True")
    assert kinds == {torch.bfloat16}


def test_bf16_pays_where_its_block_is_faster_by_the_stated_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert precision.block_seconds(torch.device("cpu"), bf16=True) > 0
    for fast, wanted in ((0.5, True), (0.89, True), (0.95, False), (2.0, False)):
        precision.bf16_pays.cache_clear()
        monkeypatch.setattr(precision, "block_seconds", lambda _, bf16, fast=fast: fast if bf16 else 1.0)
        assert precision.bf16_pays(torch.device("cpu")) is wanted
    precision.bf16_pays.cache_clear()


def test_without_a_compiler_the_run_is_the_same_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import BackendCompilerFailed

    plain, compiled = Problem(), Problem()
    plain.fit(CONFIG)

    def compile_(function: object) -> object:
        def broken(batch: Batch) -> None:
            torch.rand(3)
            raise BackendCompilerFailed("inductor", RuntimeError("no C++ compiler"), None)

        return broken

    monkeypatch.setattr(torch, "compile", compile_)
    seen: list[Progress] = []
    compiled.fit(replace(CONFIG, compile=True), report=seen.append)
    assert seen[0].notes[0].startswith("not compiled: ")
    assert "no C++ compiler" in seen[0].notes[0]
    for a, b in zip(plain.net.parameters(), compiled.net.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_a_compiled_run_reaches_the_same_weights() -> None:
    plain, compiled = Problem(), Problem()
    for problem in (plain, compiled):
        problem.net[1].p = 0.0  # type: ignore[union-attr]
    plain.fit(CONFIG)
    seen: list[Progress] = []
    compiled.fit(replace(CONFIG, compile=True), report=seen.append)
    if any(p.notes for p in seen):
        pytest.skip(str(seen[0].notes))
    for a, b in zip(plain.net.parameters(), compiled.net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


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
    config = FitConfig(steps=4, average=None, clip=1e9, bf16=False)
    large, small = Problem(), Problem()
    for problem in (large, small):
        problem.net[1].p = 0.0  # type: ignore[union-attr]

    def pairs(start: int) -> Iterator[Batch]:
        parts = small.batches(2 * start)
        while True:
            a, b = next(parts), next(parts)
            yield torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])

    fit(large.net, large.objective, pairs, config)
    small.fit(FitConfig(steps=4, average=None, clip=1e9, bf16=False, accumulate=2))
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


@pytest.mark.parametrize("kind", [BatchNorm, nn.BatchNorm1d])
def test_averaged_weights_have_averaged_batch_statistics(kind: type[nn.Module]) -> None:
    """The moving mean of what stood after each step, young means following quickly."""
    averaged, plain = Problem(norm=True), Problem(norm=True)
    averaged.net[2], plain.net[2] = kind(16), kind(16)
    seen: list[list[Tensor]] = []

    def watched(batch: Batch) -> dict[str, Tensor]:
        terms = plain.objective(batch)
        seen.append([buffer.clone() for buffer in plain.net[2].buffers()])
        return terms

    averaged.fit(replace(CONFIG, steps=5, average=0.4))
    fit(plain.net, watched, plain.batches, replace(CONFIG, steps=5, average=None))
    mean, variance, count = averaged.net[2].buffers()
    assert int(count) == 5
    for which, found in enumerate((mean, variance)):
        wanted = seen[0][which]
        for step in range(5):
            wanted = torch.lerp(wanted, seen[step][which], 1 - min(0.4, (1 + step) / (10 + step)))
        torch.testing.assert_close(found, wanted)
        assert not torch.allclose(found, seen[-1][which])


def test_a_frozen_norm_keeps_its_last_statistics() -> None:
    """As a teacher's: its weights are nobody's average here."""
    averaged, plain = Problem(norm=True), Problem(norm=True)
    for problem, average in ((averaged, 0.5), (plain, None)):
        problem.net[:3].requires_grad_(False)
        problem.fit(replace(CONFIG, steps=5, average=average))
    pairs = zip(averaged.net[2].buffers(), plain.net[2].buffers(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_batches_may_end() -> None:
    problem = Problem()
    one = [next(problem.batches(0))]
    assert fit(problem.net, problem.objective, lambda n: iter(one[n:]), CONFIG).step == 1


def test_schedule() -> None:
    assert warmup_cosine(0.0) < 0.01
    assert warmup_cosine(0.05) == pytest.approx(1)
    assert warmup_cosine(0.525) == pytest.approx(0.505)
    assert warmup_cosine(1.0) == warmup_cosine(3.0) == pytest.approx(0.01)

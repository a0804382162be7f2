"""Fit a module: AdamW, warm-up and cosine, clipping, averaging, exact resume, a budget in seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sagittal.errors import SagittalError
from sagittal.layers.batch_norm import across
from sagittal.training import checkpoint
from sagittal.training.distributed import World, clip, inside, replaced, spread, unsynchronised
from sagittal.training.precision import bf16_pays
from sagittal.training.schedule import warmup_cosine
from sagittal.training.state import State

B = TypeVar("B")
Terms = Mapping[str, Tensor]
Probes = Callable[[], Mapping[str, float]]
"""What a model knows by now, by name: asked in evaluation mode, without gradients, by every process."""


class Diverged(SagittalError):
    """The loss or its gradient is no longer a number."""


@dataclass(frozen=True)
class FitConfig:
    """How to fit.

    Attributes:
        steps: optimiser steps at most.
        max_seconds: wall-clock budget; the schedule follows whichever of steps and seconds is further on, so
            the learning rate has come down when the budget ends. None: steps alone.
        warmup, floor: share of the run to warm up; last learning rate as a share of the first.
        clip: largest gradient norm.
        average: decay of the moving average of the weights and of the statistics of batch normalisation,
            which the module holds at the end; None: none.
        accumulate: batches a step.
        save_seconds: least time between checkpoints.
        report_steps: steps between calls of ``report``.
        probe_steps: steps between probes, rounded up to whole reports; and one at the end. 0: none.
        bf16: autocast to bfloat16; None: where it is measured to be faster (`precision.bf16_pays`). A resumed
            run keeps the precision that it began with.
        compile: `torch.compile` the objective; without a working compiler it runs as it is; a note says so.
        shard: of several processes, each holds a part of the weights (FSDP2) and not a copy (DDP).
        seed: of torch's generator at the start of the run.
    """

    steps: int
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: float = 0.05
    floor: float = 0.01
    clip: float = 1.0
    average: float | None = 0.99
    accumulate: int = 1
    max_seconds: float | None = None
    save_seconds: float = 60.0
    report_steps: int = 20
    probe_steps: int = 0
    bf16: bool | None = None
    compile: bool = False
    shard: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """State of a run after ``step`` steps: means of the loss terms since the last report, over all processes.

    ``notes``: lines a person should see once, such as a damaged checkpoint that was passed over.
    ``probes``: what the first process's probes gave at this step; empty where it was not their turn.
    """

    step: int
    done: float
    losses: dict[str, float]
    learning_rate: float
    seconds: float
    items_per_second: float
    bf16: bool = False
    notes: tuple[str, ...] = ()
    probes: dict[str, float] = field(default_factory=dict)


def fit(
    module: nn.Module,
    objective: Callable[[B], Terms],
    batches: Callable[[int], Iterator[B]],
    config: FitConfig,
    *,
    folder: Path | None = None,
    report: Callable[[Progress], None] | None = None,
    probes: Probes | None = None,
    clock: Callable[[], float] = time.monotonic,
    world: World | None = None,
) -> Progress:
    """Minimise the sum of ``objective(batch)``'s terms over the parameters of ``module`` that want gradients.

    Args:
        module: what is optimised, saved and averaged; the objective closes over it.
        batches: ``batches(n)`` yields batch n, n + 1, … : the same ones at every call, which is what makes a
            resumed run equal an uninterrupted one. It may end; then so does the run. Each of several
            processes gives its own part of the batch, all of equal size.
        folder: where checkpoints go and are resumed from, the same for every process; None keeps none.
        report: called every ``report_steps`` and at the end, by the first process alone.
        probes: asked every ``probe_steps``, of the weights as they are (not their average), for `Progress`.
            Nothing of the run changes by it: ``module`` is in evaluation mode for the time, and torch's
            random numbers, which begin at the seed for each probe, go on as if nobody had drawn any. What is
            no number is left out. Every process asks the same, so that FSDP2 can bring the weights together.
        world: the processes that fit together (`distributed.world`); None: this one.

    Raises:
        Diverged: the loss or gradient is NaN or infinite. The batch is in ``folder/diverged.pt``; the last
            checkpoint stands.
        BadInput: a checkpoint cannot be written (the disk is full); the one before stands.
        KeyboardInterrupt: stopped by Ctrl-C, or by SIGTERM under `distributed.world`; the state is saved.
    """
    return _Fitter(module, objective, config, folder, report, probes, clock, world or World()).run(batches)


class _Fitter:
    """The loop's state and its few steps."""

    def __init__(
        self,
        module: nn.Module,
        objective: Callable[[Any], Terms],
        config: FitConfig,
        folder: Path | None,
        report: Callable[[Progress], None] | None,
        probes: Probes | None,
        clock: Callable[[], float],
        world: World,
    ) -> None:
        self.module, self.config, self.world = module, config, world
        self.folder, self.report, self.clock = folder, report, clock
        self.probes = probes if config.probe_steps > 0 else None
        self.probe_every = config.report_steps * math.ceil(config.probe_steps / config.report_steps)
        self.plain = objective
        compiled: Callable[[Any], Terms] = torch.compile(objective) if config.compile else objective
        self.untried = config.compile
        self.objective = spread(
            module, compiled, world, shard=config.shard
        )  # before parameters are collected
        self.state = State(module, config.learning_rate, config.weight_decay)
        self.device = next(iter(self.state.parameters.values())).device
        self.bf16 = False
        self.whole = True
        self.saved_step = -1
        self.sums: dict[str, float] = {}
        self.since = (0, 0.0, 0)
        self.notes: tuple[str, ...] = ()

    def run(self, batches: Callable[[int], Iterator[Any]]) -> Progress:
        config, state, world = self.config, self.state, self.world
        torch.manual_seed(config.seed + world.rank)
        if not self._resume():
            measured = config.bf16 is None and world.rank == 0 and bf16_pays(self.device)
            self.bf16 = world.any(measured) or bool(config.bf16)
        began = self.clock() - state.seconds
        self.since = (state.step, state.seconds, 0)
        saved = self.clock()
        items = 0
        was_training = self.module.training
        self.module.train()
        last = self._progress(items, tell=False)
        try:
            source = batches(state.step * config.accumulate)
            while self._done() < 1:
                taken = [batch for _, batch in zip(range(config.accumulate), source, strict=False)]
                if world.any(len(taken) < config.accumulate):
                    break
                self._step(taken)
                items += sum(_length(batch) for batch in taken)
                # all processes go by the first one's clock, and stop together
                first = world.rank == 0
                due = first and self.clock() - saved >= config.save_seconds
                state.seconds, save, stop = world.total(
                    [self.clock() - began if first else 0.0, float(due), float(world.stop.is_set())]
                )
                if state.step % config.report_steps == 0:
                    last = self._progress(items)
                if stop:
                    raise KeyboardInterrupt
                if self.folder is not None and save:
                    self._save()
                    saved = self.clock()
        except KeyboardInterrupt:
            # half an update is worse than the last checkpoint, and so is waiting for a process that is gone
            if self.whole and (world.size == 1 or world.stop.is_set()):
                self._save()
            raise
        if self.since[0] != state.step:
            last = self._progress(items, end=True)
        self._save()
        if config.average is not None:
            state.take_average()
        across(self.module, False)
        self.module.train(was_training)
        return last

    def _done(self) -> float:
        spent = self.state.seconds / self.config.max_seconds if self.config.max_seconds else 0.0
        return max(self.state.step / self.config.steps, spent)

    def _step(self, batches: list[Any]) -> None:
        config, optimiser = self.config, self.state.optimiser
        factor = warmup_cosine(self._done(), warmup=config.warmup, floor=config.floor)
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * factor
        optimiser.zero_grad(set_to_none=True)
        bad: Any = None
        for index, batch in enumerate(batches):
            with unsynchronised(self.objective, index + 1 < len(batches)):
                terms = self._terms(batch)
                loss = torch.stack([term.float() for term in terms.values()]).sum() / config.accumulate
                if not torch.isfinite(loss):
                    bad = (batch,)
                    if self.world.size == 1:
                        break
                loss.backward()  # also of a bad loss: the other processes wait for its gradient
            for name, term in terms.items():
                self.sums[name] = self.sums.get(name, 0.0) + float(term.detach()) / config.accumulate
        if self.world.any(bad is not None):
            self._diverge(bad, "loss")
        norm = clip(list(self.state.parameters.values()), config.clip, self.world, shard=config.shard)
        if not torch.isfinite(norm):
            self._diverge((batches[-1],), "gradient")
        self.whole = False
        optimiser.step()
        if config.average is not None:
            self.state.follow(config.average)
        self.state.step += 1
        self.whole = True

    def _terms(self, batch: Any) -> Terms:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            if not self.untried:
                return self.objective(batch)
            self.untried = False
            random = torch.get_rng_state()
            try:
                return self.objective(batch)
            except Exception as error:
                if not type(error).__module__.startswith("torch._"):
                    raise
                # no compiler here, or it cannot compile this: the objective itself gives the same numbers
                self.notes += (f"not compiled: {' '.join(str(error).split())[:200]}",)
                torch.set_rng_state(random)
                self.objective = replaced(self.objective, self.plain)
                return self.objective(batch)

    def _progress(self, items: int, *, tell: bool = True, end: bool = False) -> Progress:
        step, seconds, counted = self.since
        state = self.state
        steps, spent = max(1, state.step - step), state.seconds - seconds
        names = sorted(self.sums) if self.world.size > 1 else list(self.sums)
        sums = self.world.total([self.sums[name] for name in names] + [float(items - counted)])
        losses = {name: value / steps / self.world.size for name, value in zip(names, sums, strict=False)}
        rate = sums[-1] / spent if spent > 0 else 0.0
        self.since, self.sums = (state.step, state.seconds, items), {}
        lr = float(state.optimiser.param_groups[0]["lr"])
        done = min(1.0, self._done())
        probed: dict[str, float] = {}
        if self.probes is not None and tell and (end or done >= 1 or state.step % self.probe_every == 0):
            probed = self._probe(self.probes)
        progress = Progress(state.step, done, losses, lr, state.seconds, rate, self.bf16, self.notes, probed)
        if self.report is not None and tell and self.world.rank == 0:
            self.report(progress)
            self.notes = ()
        return progress

    def _probe(self, probes: Probes) -> dict[str, float]:
        """The run is afterwards as it was before."""
        modes = [(part, part.training) for part in self.module.modules()]
        self.module.eval()
        own = [self.device] if self.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(own), torch.no_grad():
                torch.manual_seed(self.config.seed)
                found = inside(self.objective, probes)
        finally:
            for part, mode in modes:
                part.training = mode
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}

    def _save(self) -> None:
        if self.folder is None or self.saved_step == self.state.step:
            return
        self.saved_step = self.state.step
        random = self.world.each(torch.get_rng_state())
        state = {
            "step": self.state.step,
            "seconds": self.state.seconds,
            "bf16": self.bf16,
            "processes": self.world.size,
            "random": random,
        }
        checkpoint.write(self.folder, self.state.step, self.state.tensors(), state, self.world)

    def _resume(self) -> bool:
        saved = checkpoint.latest(self.folder, self.state.place, self.world) if self.folder else None
        if saved is None:
            return False
        tensors, state, self.notes = saved
        self.state.restore(tensors)
        self.state.step, self.state.seconds = int(state["step"]), float(state["seconds"])
        self.bf16, self.saved_step = bool(state["bf16"]), self.state.step
        if state["processes"] == self.world.size:
            torch.set_rng_state(state["random"][self.world.rank])
        else:
            # nothing random can be the same with other processes; it must not repeat the start either
            torch.manual_seed((self.config.seed + self.world.rank) * 1_000_003 + self.state.step)
        return True

    def _diverge(self, bad: Any, what: str) -> None:
        where = ""
        if self.folder is not None:
            name = "diverged.pt" if self.world.rank == 0 else f"diverged-{self.world.rank}.pt"
            if bad is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                torch.save(bad[0], self.folder / name)
            where = f"; its batch is in {name if self.world.size == 1 else 'diverged*.pt'}"
        raise Diverged(f"the {what} is not a number at step {self.state.step + 1}{where}")


def _length(batch: Any) -> int:
    """How many items a batch has: the first dimension of its first tensor; 1 when there is none."""
    if isinstance(batch, Tensor):
        return int(batch.shape[0]) if batch.ndim else 1
    values = (
        batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else ()
    )
    return next((_length(value) for value in values if value is not None), 1)

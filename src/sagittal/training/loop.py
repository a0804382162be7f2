"""Fit a module: AdamW, warm-up and cosine, clipping, averaging, exact resume, a budget in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sagittal.errors import SagittalError
from sagittal.training import checkpoint
from sagittal.training.schedule import warmup_cosine

B = TypeVar("B")
Terms = Mapping[str, Tensor]


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
        average: decay of the moving average of the weights, which the module holds at the end; None: none.
        accumulate: batches a step.
        save_seconds: least time between checkpoints.
        report_steps: steps between calls of ``report``.
        bf16: autocast to bfloat16 (only where the processor gains from it).
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
    bf16: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """State of a run after ``step`` steps: means of the loss terms since the last report."""

    step: int
    done: float
    losses: dict[str, float]
    learning_rate: float
    seconds: float
    items_per_second: float


@dataclass
class _Run:
    """What changes while fitting."""

    step: int = 0
    seconds: float = 0.0
    average: dict[str, Tensor] = field(default_factory=dict)


def fit(
    module: nn.Module,
    objective: Callable[[B], Terms],
    batches: Callable[[int], Iterator[B]],
    config: FitConfig,
    *,
    folder: Path | None = None,
    report: Callable[[Progress], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Progress:
    """Minimise the sum of ``objective(batch)``'s terms over the parameters of ``module`` that want gradients.

    Args:
        module: what is optimised, saved and averaged; the objective closes over it.
        batches: ``batches(n)`` yields batch n, n + 1, … : the same ones at every call, which is what makes a
            resumed run equal an uninterrupted one. It may end; then so does the run.
        folder: where checkpoints go and are resumed from; None keeps none.
        report: called every ``report_steps`` and at the end.

    Raises:
        Diverged: the loss or gradient is NaN or infinite. The batch is in ``folder/diverged.pt``; the last
            checkpoint stands.
    """
    return _Fitter(module, objective, config, folder, report, clock).run(batches)


class _Fitter:
    """The loop's state and its few steps."""

    def __init__(
        self,
        module: nn.Module,
        objective: Callable[[Any], Terms],
        config: FitConfig,
        folder: Path | None,
        report: Callable[[Progress], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self.module, self.objective, self.config = module, objective, config
        self.folder, self.report, self.clock = folder, report, clock
        self.parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.device = next(iter(self.parameters.values())).device
        # biases, norms and gates are not shrunk: only matrices and kernels are
        groups = [
            {
                "params": [p for p in self.parameters.values() if p.ndim >= 2],
                "weight_decay": config.weight_decay,
            },
            {"params": [p for p in self.parameters.values() if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
        self.state = _Run()
        self.whole = True
        self.saved_step = -1
        self.sums: dict[str, float] = {}
        self.since = (0, 0.0, 0)

    def run(self, batches: Callable[[int], Iterator[Any]]) -> Progress:
        config, state = self.config, self.state
        torch.manual_seed(config.seed)
        self._resume()
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
                if len(taken) < config.accumulate:
                    break
                self._step(taken)
                items += sum(_length(batch) for batch in taken)
                state.seconds = self.clock() - began
                if state.step % config.report_steps == 0:
                    last = self._progress(items)
                if self.folder is not None and self.clock() - saved >= config.save_seconds:
                    self._save()
                    saved = self.clock()
        except KeyboardInterrupt:
            if self.whole:  # half an update is worse than the last checkpoint
                self._save()
            raise
        if self.since[0] != state.step:
            last = self._progress(items)
        self._save()
        if config.average is not None and state.average:
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    parameter.copy_(state.average[name])
        self.module.train(was_training)
        return last

    def _done(self) -> float:
        spent = self.state.seconds / self.config.max_seconds if self.config.max_seconds else 0.0
        return max(self.state.step / self.config.steps, spent)

    def _step(self, batches: list[Any]) -> None:
        config = self.config
        factor = warmup_cosine(self._done(), warmup=config.warmup, floor=config.floor)
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * factor
        self.optimiser.zero_grad(set_to_none=True)
        for batch in batches:
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=config.bf16):
                terms = self.objective(batch)
                loss = torch.stack([term.float() for term in terms.values()]).sum() / config.accumulate
            if not torch.isfinite(loss):
                self._diverge(batch, "loss")
            loss.backward()
            for name, term in terms.items():
                self.sums[name] = self.sums.get(name, 0.0) + float(term.detach()) / config.accumulate
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), config.clip)
        if not torch.isfinite(norm):
            self._diverge(batches[-1], "gradient")
        self.whole = False
        self.optimiser.step()
        self._average()
        self.state.step += 1
        self.whole = True

    @torch.no_grad()
    def _average(self) -> None:
        if self.config.average is None:
            return
        average = self.state.average
        # a young average follows quickly, or the random start would stay in it
        decay = min(self.config.average, (1 + self.state.step) / (10 + self.state.step))
        names = [name for name, p in self.parameters.items() if p.grad is not None or name not in average]
        for name in names:
            if name not in average:
                average[name] = self.parameters[name].detach().clone()
        torch._foreach_lerp_([average[n] for n in names], [self.parameters[n] for n in names], 1 - decay)

    def _progress(self, items: int, *, tell: bool = True) -> Progress:
        step, seconds, counted = self.since
        state = self.state
        steps, spent = max(1, state.step - step), state.seconds - seconds
        losses = {name: value / steps for name, value in self.sums.items()}
        rate = (items - counted) / spent if spent > 0 else 0.0
        self.since, self.sums = (state.step, state.seconds, items), {}
        lr = float(self.optimiser.param_groups[0]["lr"])
        progress = Progress(state.step, min(1.0, self._done()), losses, lr, state.seconds, rate)
        if self.report is not None and tell:
            self.report(progress)
        return progress

    def _save(self) -> None:
        if self.folder is None or self.saved_step == self.state.step:
            return
        self.saved_step = self.state.step
        weights = dict(self.module.state_dict())
        weights |= {f"average:{name}": tensor for name, tensor in self.state.average.items()}
        checkpoint.write(
            self.folder,
            self.state.step,
            {name: tensor.clone() for name, tensor in weights.items()},
            {
                "step": self.state.step,
                "seconds": self.state.seconds,
                "optimiser": self.optimiser.state_dict(),
                "random": torch.get_rng_state(),
            },
        )

    def _resume(self) -> None:
        saved = checkpoint.found(self.folder) if self.folder is not None else []
        if not saved:
            return
        weights, state = checkpoint.read(saved[-1])
        prefix = "average:"
        self.state.average = {
            n.removeprefix(prefix): t.to(self.device) for n, t in weights.items() if n.startswith(prefix)
        }
        self.module.load_state_dict({n: t for n, t in weights.items() if not n.startswith(prefix)})
        self.optimiser.load_state_dict(state["optimiser"])
        self.state.step, self.state.seconds = int(state["step"]), float(state["seconds"])
        self.saved_step = self.state.step
        torch.set_rng_state(state["random"])

    def _diverge(self, batch: Any, what: str) -> None:
        where = ""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            torch.save(batch, self.folder / "diverged.pt")
            where = "; its batch is in diverged.pt"
        raise Diverged(f"the {what} is not a number at step {self.state.step + 1}{where}")


def _length(batch: Any) -> int:
    """How many items a batch has: the first dimension of its first tensor; 1 when there is none."""
    if isinstance(batch, Tensor):
        return int(batch.shape[0]) if batch.ndim else 1
    values = (
        batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else ()
    )
    return next((_length(value) for value in values if value is not None), 1)

"""Samples to batches, in an order that is a function of the position alone.

    samples = Shuffled(Shards(folder), seed=0, window=4096)        # position -> sample, without end
    batches = loader(Batched(samples, 32, world.rank, world.size), workers=2)
    fit(module, objective, batches, ...)                           # batches(n) starts at batch n

Nothing is held but a batch and the order of an epoch, and nothing is read in order to be skipped: batch n
is the same in a run that began there, with any number of processes and workers. Sources are sequences:
`shards.Shards`, `Folder`, a list, `pretrain.studies.Studies`. An iterator becomes one by
`shards.write_shards`, or is shuffled as it comes by `buffered`.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sagittal.errors import BadInput

T = TypeVar("T")
Sample = Mapping[str, Tensor]
BLOCK = 64
"""Samples that lie together in a source and are moved together before the window mixes them."""
CYCLE = 1000
"""Turns after which a mixture has kept its weights."""


@lru_cache(maxsize=16)
def epoch_order(n: int, seed: int, epoch: int, window: int | None) -> NDArray[np.int64]:
    """(n,) every index of 0..n-1 once, the same for the same arguments.

    ``window`` None: a permutation. Else blocks of 64 neighbours are permuted and then mixed within windows of
    so many samples, so that a disk reads in long runs: what a shuffle buffer does, at any position at once.
    """
    rng = np.random.default_rng([seed, epoch])
    if window is None:
        return rng.permutation(n)
    starts = rng.permutation(np.arange(0, n, BLOCK))
    order = np.concatenate([np.arange(start, min(start + BLOCK, n)) for start in starts])
    for start in range(0, n, window):
        rng.shuffle(order[start : start + window])
    return order


@dataclass(frozen=True)
class Shuffled(Generic[T]):
    """Position -> sample of ``source``: every epoch all of them, each in its own order."""

    source: Sequence[T]
    seed: int = 0
    window: int | None = None

    def __post_init__(self) -> None:
        if not len(self.source):
            raise BadInput("there are no samples to learn from", "at least one")
        if self.window is not None and self.window < 1:
            raise BadInput(f"a shuffle window of {self.window}", "at least 1")

    def __call__(self, position: int) -> T:
        epoch, place = divmod(position, len(self.source))
        return self.source[int(epoch_order(len(self.source), self.seed, epoch, self.window)[place])]


@lru_cache(maxsize=16)
def _turns(quota: tuple[int, ...], seed: int, cycle: int) -> NDArray[np.int64]:
    """Which source has each turn of a cycle."""
    turns = np.repeat(np.arange(len(quota)), quota)
    return np.random.default_rng([seed, cycle]).permutation(turns)


@dataclass(frozen=True)
class Mixture(Generic[T]):
    """Position -> what one of several has next, by weight: of samples, or of whole batches.

    In each 1000 turns every part has its share to the nearest turn, in an order that the seed gives, and
    goes on in its own order where it stood. `turn` says whose turn a position is.
    """

    parts: Mapping[str, Callable[[int], T]]
    weights: Mapping[str, float]
    seed: int = 0

    def __post_init__(self) -> None:
        if set(self.parts) != set(self.weights) or not self.parts:
            raise BadInput(
                f"weights are of {', '.join(self.weights) or 'nothing'}", f"of {', '.join(self.parts)}"
            )
        if min(self.weights.values()) <= 0 or not np.isfinite(sum(self.weights.values())):
            raise BadInput(f"weights are {dict(self.weights)}", "numbers above 0")

    @property
    def quota(self) -> tuple[int, ...]:
        """Turns of each part in a cycle; by largest remainder, at least one."""
        wanted = np.array([self.weights[name] for name in self.parts])
        wanted = wanted / wanted.sum() * CYCLE
        turns = np.floor(wanted).astype(int)
        for index in np.argsort(turns - wanted, kind="stable")[: CYCLE - turns.sum()]:
            turns[index] += 1
        return tuple(int(max(1, n)) for n in turns)

    def turn(self, position: int) -> tuple[str, int]:
        """(the part whose turn it is, how many turns it had before)."""
        quota = self.quota
        cycle, place = divmod(position, sum(quota))
        turns = _turns(quota, self.seed, cycle)
        chosen = int(turns[place])
        return list(self.parts)[chosen], cycle * quota[chosen] + int((turns[:place] == chosen).sum())

    def __call__(self, position: int) -> T:
        name, before = self.turn(position)
        return self.parts[name](before)


@dataclass(frozen=True)
class Tolerant(Generic[T]):
    """Position -> sample; one that cannot be read is replaced by the next, and written to ``log``.

    The log has a JSON line for each, from whichever worker or process met it; `unreadable` reads it.

    Raises:
        BadInput: ``limit`` in a row cannot be read: then it is not the samples that are broken.
    """

    samples: Callable[[int], T]
    log: Path
    limit: int = 20

    def __call__(self, position: int) -> T:
        for ahead in range(self.limit):
            try:
                return self.samples(position + ahead)
            except BadInput as error:
                last = error
                with self.log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(str(error)) + "\n")
        raise BadInput(f"{self.limit} samples in a row cannot be read, the last: {last}")


def unreadable(log: Path) -> tuple[str, ...]:
    """What `Tolerant` passed over: each reason once, in the order in which they were met."""
    if not log.exists():
        return ()
    return tuple(dict.fromkeys(json.loads(line) for line in log.read_text("utf-8").splitlines()))


def stacked(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Samples -> one batch, each tensor (B, ...).

    Raises:
        BadInput: they do not have the same tensors, or shapes.
    """
    names = list(samples[0])
    for sample in samples:
        if list(sample) != names or any(sample[n].shape != samples[0][n].shape for n in names):
            shapes = ({n: tuple(t.shape) for n, t in s.items()} for s in (samples[0], sample))
            raise BadInput(
                "samples of one batch differ: {} and {}".format(*shapes), "the same tensors in each"
            )
    return {name: torch.stack([sample[name] for sample in samples]) for name in names}


@dataclass(frozen=True)
class Batched(Generic[T]):
    """n -> this rank's part of global batch n: ``size`` samples in all, the same for any number of ranks."""

    samples: Callable[[int], T]
    size: int
    rank: int = 0
    ranks: int = 1
    collate: Callable[[Sequence[T]], dict[str, Tensor]] = stacked  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.size % self.ranks or self.size < 1:
            raise BadInput(
                f"a batch of {self.size} over {self.ranks} processes", "equal parts of at least one"
            )

    def __call__(self, n: int) -> dict[str, Tensor]:
        part = self.size // self.ranks
        first = n * self.size + self.rank * part
        return self.collate([self.samples(position) for position in range(first, first + part)])


class _Numbered(Dataset[T]):
    """Batches by number, for workers."""

    def __init__(self, batches: Callable[[int], T]) -> None:
        self.batches = batches

    def __getitem__(self, n: int) -> T:
        return self.batches(n)


def loader(batches: Callable[[int], T], workers: int = 0) -> Callable[[int], Iterator[T]]:
    """What `fit` asks for, read ahead by so many processes, in order; 0: none."""

    def start(n: int) -> Iterator[T]:
        if not workers:
            return map(batches, itertools.count(n))
        numbers = range(n, n + 2**40)
        # with a generator of its own, or starting would move the one that a resumed run goes on with
        own = torch.Generator()
        return iter(
            DataLoader(
                _Numbered(batches), batch_size=None, sampler=numbers, num_workers=workers, generator=own
            )
        )

    return start


def buffered(samples: Iterable[T], buffer: int, seed: int) -> Iterator[T]:
    """An iterator's samples in a new order, with at most ``buffer`` in memory; each once.

    For what has no length and no index. It is resumed by reading again what was read, so write shards first
    where that costs.
    """
    rng = np.random.default_rng(seed)
    held: list[T] = []
    for sample in samples:
        if len(held) < buffer:
            held.append(sample)
            continue
        place = int(rng.integers(buffer))
        yield held[place]
        held[place] = sample
    rng.shuffle(held)
    yield from held


@dataclass(frozen=True)
class Folder(Sequence[Sample]):
    """The files of a folder as samples, in the order of their paths.

    Args:
        read: path -> sample; may raise BadInput.
        pattern: of `Path.rglob`.

    Raises:
        BadInput: no file fits.
    """

    root: Path
    read: Callable[[Path], Sample]
    pattern: str = "*"

    def __post_init__(self) -> None:
        found = sorted(path for path in self.root.rglob(self.pattern) if path.is_file())
        if not found:
            kinds = Counter(path.suffix for path in self.root.rglob("*") if path.is_file()).most_common(3)
            there = ", ".join(f"{n} {kind or 'without suffix'}" for kind, n in kinds) or "nothing"
            raise BadInput(f"{self.root} holds no file {self.pattern}", fix=f"it holds {there}")
        object.__setattr__(self, "paths", tuple(found))

    paths: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        return self.read(self.paths[index])

"""Several objectives over several data sets in one run: each step is one of them, drawn by its weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

_BLOCK = 4096
"""Steps drawn together, so that counting those before a step stays cheap."""


@dataclass(frozen=True)
class Part:
    """One objective on its data.

    Attributes:
        weight: share of the steps, beside those of the other parts.
        batches: ``batches(n)`` yields its own batch n, n + 1, ... and does not end.
        loss: of a batch, by name.
    """

    weight: float
    batches: Callable[[int], Iterator[Any]]
    loss: Callable[[Any], Mapping[str, Tensor]]


class Drawn(NamedTuple):
    """A batch and the part that it belongs to."""

    part: str
    batch: Any


class Mixture:
    """What `training.loop.fit` takes, made of parts: ``fit(module, mixture.loss, mixture.batches, config)``.

    Which part is step n's depends on ``seed`` and n alone, so a resumed run goes on as it would have: every
    part is asked for exactly the batches that it has not given yet. Terms are named "part.term".
    """

    def __init__(self, parts: Mapping[str, Part], seed: int = 0) -> None:
        if not parts or any(part.weight <= 0 for part in parts.values()):
            raise ValueError("parts must not be empty, and every weight must be above 0")
        self.parts, self.seed, self.names = dict(parts), seed, tuple(parts)
        weights = np.array([part.weight for part in parts.values()])
        self._shares = weights / weights.sum()

    def batches(self, start: int) -> Iterator[Drawn]:
        """Batch ``start``, ``start`` + 1, ..."""
        block, offset = divmod(start, _BLOCK)
        given = np.zeros(len(self.names), np.int64)
        for before in range(block):
            given += np.bincount(self._block(before), minlength=len(given))
        given += np.bincount(self._block(block)[:offset], minlength=len(given))
        sources = {
            name: part.batches(int(count))
            for (name, part), count in zip(self.parts.items(), given, strict=True)
        }
        while True:
            for which in self._block(block)[offset:]:
                name = self.names[which]
                yield Drawn(name, next(sources[name]))
            block, offset = block + 1, 0

    def loss(self, drawn: Drawn) -> dict[str, Tensor]:
        """The terms of a batch's own objective."""
        terms = self.parts[drawn.part].loss(drawn.batch)
        return {f"{drawn.part}.{name}": term for name, term in terms.items()}

    def _block(self, number: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self.seed, number])
        return rng.choice(len(self.names), _BLOCK, p=self._shares)

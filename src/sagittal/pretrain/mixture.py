"""Several objectives over several data sets in one run: each step is one of them, by its weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

from torch import Tensor

from sagittal.training import stream


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

    Which part is step n's (`training.stream.Mixture.turn`) depends on ``seed`` and n alone, so a resumed run
    goes on as it would have: every part is asked for exactly the batches that it has not given yet. Terms are
    named "part.term".
    """

    def __init__(self, parts: Mapping[str, Part], seed: int = 0) -> None:
        if not parts or any(part.weight <= 0 for part in parts.values()):
            raise ValueError("parts must not be empty, and every weight must be above 0")
        self.parts, self.names = dict(parts), tuple(parts)
        weights = {name: part.weight for name, part in parts.items()}
        self.turns = stream.Mixture(dict.fromkeys(parts, int), weights, seed)

    def batches(self, start: int) -> Iterator[Drawn]:
        """Batch ``start``, ``start`` + 1, ..."""
        sources: dict[str, Iterator[Any]] = {}
        for position in count(start):
            name, given = self.turns.turn(position)
            if name not in sources:
                sources[name] = self.parts[name].batches(given)
            yield Drawn(name, next(sources[name]))

    def loss(self, drawn: Drawn) -> dict[str, Tensor]:
        """The terms of a batch's own objective."""
        terms = self.parts[drawn.part].loss(drawn.batch)
        return {f"{drawn.part}.{name}": term for name, term in terms.items()}

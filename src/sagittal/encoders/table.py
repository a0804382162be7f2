"""Tables: laboratory values, vital signs, codes of the record, omics; one row an entry, in any order.

rows = table_of(config, [[("creatinine", 1.3, "mg/dL", -12.0), ("diabetes", None, "", None)]])
features = TableEncoder(config, width)(rows)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sagittal.errors import BadInput
from sagittal.layers.features import Features, masked_mean
from sagittal.layers.initial import embedding, normal
from sagittal.layers.mixer import MixerConfig, blocks
from sagittal.layers.positions import waves

NUMBER, MISSING, CODE = 0, 1, 2
Entry = tuple[str, float | None, str, float | None]


@dataclass(frozen=True)
class Concept:
    """What a row may be about.

    Attributes:
        unit: that values are kept in; empty for a concept without values (a code: it was noted, that is all).
        centre, scale: a usual value and a usual spread, in that unit.
        units: other units, and by what a value in them is multiplied to be in ``unit``.
    """

    unit: str = ""
    centre: float = 0.0
    scale: float = 1.0
    units: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TableConfig:
    """``concepts`` by name; ``layers`` blocks of ``mixer`` (None: attention with ``heads`` heads)."""

    concepts: dict[str, Concept] = field(default_factory=dict)
    layers: int = 2
    heads: int = 6
    mixer: MixerConfig | None = None


class Rows(NamedTuple):
    """A batch of tables, all (B, R): ``mask`` is True where a row is real.

    ``concept`` int64; ``state`` int64: NUMBER, MISSING (asked for, not there) or CODE (has no value);
    ``value`` in scales from the centre, read only for NUMBER; ``hours`` from the study, negative before it,
    NaN when unknown.
    """

    concept: Tensor
    state: Tensor
    value: Tensor
    hours: Tensor
    mask: Tensor


def table_of(config: TableConfig, tables: Sequence[Sequence[Entry]]) -> Rows:
    """Entries (concept, value, unit, hours from the study), a list a patient, as ``Rows``.

    A value of None or NaN of a concept that has a unit is MISSING; an entry that is not listed was not asked.

    Raises:
        BadInput: a concept or a unit that the configuration does not know, an infinite value.
    """
    places = {name: index for index, name in enumerate(config.concepts)}
    longest = max((len(table) for table in tables), default=0)
    rows = Rows(*(torch.zeros(len(tables), max(longest, 1), dtype=kind) for kind in KINDS))
    for row, table in enumerate(tables):
        for column, (name, value, unit, hours) in enumerate(table):
            if name not in places:
                raise BadInput(f"the table has the concept {name[:80]!r}", "one that the model knows")
            state, number = _read(name, config.concepts[name], value, unit)
            rows.concept[row, column], rows.state[row, column] = places[name], state
            rows.value[row, column] = number
            rows.hours[row, column] = math.nan if hours is None else hours
            rows.mask[row, column] = True
    return rows


KINDS = (torch.int64, torch.int64, torch.float32, torch.float32, torch.bool)


def _read(name: str, concept: Concept, value: float | None, unit: str) -> tuple[int, float]:
    """State, and value in scales from the centre."""
    if not concept.unit:
        if value is not None:
            raise BadInput(f"{name} has the value {value}", "no value: it is a code")
        return CODE, 0.0
    if value is None or math.isnan(value):
        return MISSING, 0.0
    factors: Mapping[str, float] = {concept.unit: 1.0, **concept.units}
    if unit not in factors:
        raise BadInput(f"{name} is in {unit[:40]!r}", f"one of {', '.join(factors)}")
    if math.isinf(value):
        raise BadInput(f"{name} is infinite", "a number")
    return NUMBER, (value * factors[unit] - concept.centre) / concept.scale


class TableEncoder(nn.Module):
    """Rows (B, R) -> Features with tokens (B, R, width) and their mask; ``pooled`` of an empty table is zero.

    Each row is its concept, plus its value times the concept's direction (Gorishniy 2021), plus its state,
    plus its time; large values are compressed (asinh). Rows are put in order of time, then concept, state and
    value, before they are mixed: whatever the mixer, their order in the input changes nothing.
    """

    def __init__(self, config: TableConfig, width: int) -> None:
        super().__init__()
        count = max(len(config.concepts), 1)
        self.concept, self.slope = (embedding(count, width, std=0.1) for _ in range(2))
        self.state = embedding(3, width, std=0.02)
        self.time = nn.Linear(width, width)
        self.no_time = normal(width, std=0.02)
        self.blocks = blocks(config.mixer or MixerConfig(heads=config.heads), width, config.layers)
        self.norm = nn.LayerNorm(width)

    def forward(self, rows: Rows) -> Features:
        rows = in_order(rows)
        number = torch.where(rows.state == NUMBER, rows.value, 0.0).asinh()
        timed = ~rows.hours.isnan()
        hours = torch.where(timed, rows.hours, 0.0).asinh()
        when = self.time(waves(hours.unsqueeze(-1), self.time.in_features, 0.5, 50.0))
        tokens = (
            self.concept(rows.concept)
            + number.unsqueeze(-1) * self.slope(rows.concept)
            + self.state(rows.state)
            + torch.where(timed.unsqueeze(-1), when, self.no_time)
        )
        for block in self.blocks:
            tokens = block(tokens, rows.mask)
        tokens = self.norm(tokens)
        return Features((), tokens, masked_mean(tokens, rows.mask), rows.mask)


def in_order(rows: Rows) -> Rows:
    """The same rows by time (unknown last), concept, state and value; padding after all of them."""
    value = torch.where(rows.state == NUMBER, rows.value, 0.0)
    order = torch.arange(rows.mask.shape[1], device=rows.mask.device).expand_as(rows.concept)
    keys = (value, rows.state, rows.concept, torch.nan_to_num(rows.hours, nan=math.inf), ~rows.mask)
    for key in keys:  # stable, so the last key leads
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return Rows(*(x.gather(1, order) for x in rows))

"""Tables: units, what is missing, times, the order of rows; and learning from what is missing."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from sagittal.encoders.table import MISSING, Concept, Entry, Rows, TableConfig, TableEncoder, table_of
from sagittal.errors import BadInput
from sagittal.layers.config import from_json, to_json
from sagittal.layers.mixer import MixerConfig

CONFIG = TableConfig(
    {
        "creatinine": Concept("umol/L", 80, 20, {"mg/dL": 88.42}),
        "sodium": Concept("mmol/L", 140, 4),
        "diabetes": Concept(),
        "EGFR expression": Concept("TPM", 10, 10),
    },
    layers=2,
    heads=2,
)
TABLE: list[Entry] = [
    ("creatinine", 120.0, "umol/L", -2.0),
    ("creatinine", 90.0, "umol/L", -400.0),
    ("sodium", None, "", -2.0),
    ("diabetes", None, "", None),
    ("EGFR expression", 200.0, "TPM", -2.0),
]


def encode(table: list[Entry], config: TableConfig = CONFIG) -> torch.Tensor:
    torch.manual_seed(0)
    return TableEncoder(config, 16)(table_of(config, [table])).pooled[0]


def test_shapes_and_an_empty_table() -> None:
    torch.manual_seed(0)
    features = TableEncoder(CONFIG, 16)(table_of(CONFIG, [TABLE, [], TABLE[:2]]))
    assert features.tokens.shape == (3, 5, 16)
    assert features.mask is not None
    assert features.mask.sum(1).tolist() == [5, 0, 2]
    assert features.pooled[1].abs().max() == 0
    torch.testing.assert_close(features.pooled[2], encode(TABLE[:2]))


@pytest.mark.parametrize("kind", ["attention", "state_space", "recurrent", "lstm", "hybrid"])
@settings(max_examples=6)
@given(order=st.permutations(range(5)))
def test_the_order_of_rows_does_not_matter(kind: str, order: list[int]) -> None:
    config = TableConfig(CONFIG.concepts, 3, mixer=MixerConfig(kind, heads=2))
    assert torch.equal(encode([TABLE[i] for i in order], config), encode(TABLE, config))


def test_a_value_is_the_same_in_every_unit() -> None:
    other = [("creatinine", 120.0 / 88.42, "mg/dL", -2.0), *TABLE[1:]]
    torch.testing.assert_close(encode(other), encode(TABLE))


def test_value_time_and_concept_each_matter() -> None:
    base = encode(TABLE[:1])
    for other in (("creatinine", 121.0, "umol/L", -2.0), ("creatinine", 120.0, "umol/L", 2.0),
                  ("creatinine", 120.0, "umol/L", None), ("EGFR expression", 30.0, "TPM", -2.0)):  # fmt: skip
        assert (encode([other]) - base).abs().max() > 1e-4


def test_missing_is_neither_zero_nor_usual_nor_absent() -> None:
    """Asked for and not there; a value of nothing; the usual value; and never asked: all different."""
    found = [
        encode([("sodium", None, "", -2.0)]),
        encode([("sodium", 0.0, "mmol/L", -2.0)]),
        encode([("sodium", 140.0, "mmol/L", -2.0)]),
        encode([]),
    ]
    apart = torch.cdist(torch.stack(found), torch.stack(found)) + 9 * torch.eye(4)
    assert apart.min() > 1e-3
    assert torch.equal(encode([("sodium", math.nan, "mmol/L", -2.0)]), found[0])
    rows = table_of(CONFIG, [TABLE])
    assert rows.state[0, 2] == MISSING
    loud = Rows(rows.concept, rows.state, rows.value.masked_fill(rows.state == MISSING, torch.nan), *rows[3:])
    torch.manual_seed(0)
    assert torch.equal(TableEncoder(CONFIG, 16)(loud).pooled[0], encode(TABLE))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (("potassium", 4.0, "mmol/L", 0.0), "'potassium'; expected one that the model knows"),
        (("creatinine", 1.0, "g", 0.0), "creatinine is in 'g'; expected one of umol/L, mg/dL"),
        (("creatinine", math.inf, "mg/dL", 0.0), "creatinine is infinite"),
        (("diabetes", 1.0, "", 0.0), "diabetes has the value 1.0; expected no value: it is a code"),
    ],
)
def test_what_cannot_be_read_is_told(entry: Entry, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        table_of(CONFIG, [[entry]])


def test_configuration_comes_back() -> None:
    assert from_json(TableConfig, to_json(CONFIG)) == CONFIG


def test_gradients_reach_every_weight() -> None:
    encoder = TableEncoder(CONFIG, 16)
    encoder(table_of(CONFIG, [TABLE])).tokens.square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


def test_learns_a_rise_between_two_times() -> None:
    """The label is whether the later value is the higher one: it takes values and times together."""
    torch.manual_seed(0)
    config = TableConfig({"x": Concept("u", 0, 1)}, layers=2, heads=2)
    encoder, read = TableEncoder(config, 16), nn.Linear(16, 1)
    optimiser = torch.optim.Adam([*encoder.parameters(), *read.parameters()], 1e-2)

    def batch(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        value, hours = torch.randn(count, 2), torch.tensor([-48.0, -1.0]).repeat(count, 1)
        swap = torch.rand(count) < 0.5
        label = (value[:, 1] > value[:, 0]).float()
        value, hours = (torch.where(swap[:, None], x.flip(1), x) for x in (value, hours))
        zeros = torch.zeros(count, 2, dtype=torch.int64)
        rows = Rows(zeros, zeros, value, hours, torch.ones(count, 2, dtype=torch.bool))
        return read(encoder(rows).pooled)[:, 0], label

    for _ in range(80):
        guess, label = batch(64)
        optimiser.zero_grad()
        functional.binary_cross_entropy_with_logits(guess, label).backward()
        optimiser.step()
    with torch.no_grad():
        guess, label = batch(256)
    assert ((guess > 0) == (label > 0)).float().mean() > 0.85

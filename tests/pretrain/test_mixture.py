"""Mixtures: shares by weight, and a stopped run goes on with the batches it had not seen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sagittal.pretrain.mixture import Mixture, Part
from sagittal.training.loop import FitConfig, fit


def _part(weight: float, loss: float = 0.0) -> Part:
    return Part(weight, lambda start: iter(count(start)), lambda batch: {"term": torch.tensor(loss + batch)})


MIXTURE = Mixture({"films": _part(3), "scans": _part(1)}, seed=5)


def test_shares_follow_the_weights() -> None:
    drawn = list(islice(MIXTURE.batches(0), 8000))
    share = sum(each.part == "films" for each in drawn) / len(drawn)
    assert share == pytest.approx(0.75, abs=0.02)


@given(st.integers(0, 9000))
def test_every_start_goes_on_where_an_uninterrupted_run_is(start: int) -> None:
    assert list(islice(MIXTURE.batches(start), 5)) == WHOLE[start : start + 5]


WHOLE = list(islice(MIXTURE.batches(0), 9005))


def test_each_part_gives_its_batches_in_order_and_each_once() -> None:
    for name in MIXTURE.names:
        numbers = [each.batch for each in WHOLE if each.part == name]
        assert numbers == list(range(len(numbers)))


def test_terms_carry_the_name_of_their_part() -> None:
    (drawn,) = islice(MIXTURE.batches(0), 1)
    assert list(MIXTURE.loss(drawn)) == [f"{drawn.part}.term"]


@pytest.mark.parametrize("parts", [{}, {"one": _part(0.0)}])
def test_weights_must_be_above_zero(parts: dict[str, Part]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Mixture(parts)


def test_two_objectives_are_learnt_together() -> None:
    """One number is pulled to 1, another to 2, by data sets of their own."""
    module = nn.ParameterDict({"a": torch.zeros(()), "b": torch.zeros(())})

    def pull(name: str, value: float) -> Part:
        def loss(batch: Tensor) -> dict[str, Tensor]:
            return {"error": (module[name] - batch).square()}

        def batches(start: int) -> Iterator[Tensor]:
            return (torch.tensor(value) for _ in count(start))

        return Part(1.0, batches, loss)

    mixture = Mixture({"one": pull("a", 1.0), "two": pull("b", 2.0)})
    config = FitConfig(steps=200, learning_rate=5e-2, average=None, weight_decay=0.0)
    fit(module, mixture.loss, mixture.batches, config)
    assert float(module["a"].detach()) == pytest.approx(1.0, abs=0.05)
    assert float(module["b"].detach()) == pytest.approx(2.0, abs=0.05)

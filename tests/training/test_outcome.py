"""Losses of grades and survival against published values, their definitions, and planted truths."""

from __future__ import annotations

import math

import pytest
import torch

from sagittal.decoders.survival import event_free
from sagittal.training.outcome import cox_loss, hazard_loss, ordinal_loss

NAN = math.nan
# Therneau and Grambsch, Modeling Survival Data (2000), appendix E.1: x, time, status
X = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
TIME = torch.tensor([1.0, 1, 6, 6, 8, 9], dtype=torch.float64)
STATUS = torch.tensor([1.0, 0, 1, 1, 0, 1], dtype=torch.float64)


@pytest.mark.parametrize(
    ("ties", "beta", "likelihood"),
    [
        ("breslow", 0.0, -4.564348),
        ("breslow", 1.475285, -3.824750),
        ("efron", 0.0, -4.276666),
        ("efron", 1.676857, -3.358979),
    ],
)
def test_cox_published_likelihoods(ties: str, beta: float, likelihood: float) -> None:
    loss = cox_loss(beta * X, TIME, STATUS, ties=ties)  # type: ignore[arg-type]
    assert -4 * loss.item() == pytest.approx(likelihood, abs=5e-6)  # four events


@pytest.mark.parametrize(("ties", "beta"), [("breslow", 1.475285), ("efron", 1.676857)])
def test_cox_is_flat_at_the_published_maximum(ties: str, beta: float) -> None:
    b = torch.tensor(beta, dtype=torch.float64, requires_grad=True)
    cox_loss(b * X, TIME, STATUS, ties=ties).backward()  # type: ignore[arg-type]
    assert abs(b.grad.item()) < 1e-6


@pytest.mark.parametrize(
    ("ties", "likelihood"), [("breslow", -15.659191593323209), ("efron", -15.064303120491543)]
)
def test_cox_agrees_with_statsmodels(ties: str, likelihood: float) -> None:
    """statsmodels 0.15.0, PHReg(...).loglike, on ties among events and with censoring."""
    time = torch.tensor([4.0, 3, 3, 7, 7, 7, 1, 9, 2, 9, 5, 5], dtype=torch.float64)
    event = torch.tensor([1.0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1], dtype=torch.float64)
    risk = torch.tensor(
        [0.3, -0.5, 1.2, 0.1, -0.7, 0.4, 0.9, -1.1, 1.5, -0.2, 0.6, -0.3], dtype=torch.float64
    )
    loss = cox_loss(risk, time, event, ties=ties)  # type: ignore[arg-type]
    assert -event.sum().item() * loss.item() == pytest.approx(likelihood, abs=1e-9)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    turned = cox_loss(risk[order] + 5.0, time[order], event[order], ties=ties)  # type: ignore[arg-type]
    assert turned.item() == pytest.approx(loss.item(), abs=1e-9)
    unknown = cox_loss(
        torch.cat([risk, risk[:2]]),
        torch.cat([time, torch.tensor([NAN, 2.0])]),
        torch.cat([event, torch.tensor([1.0, NAN])]),
        ties=ties,  # type: ignore[arg-type]
    )
    assert unknown.item() == pytest.approx(loss.item(), abs=1e-9)


def test_cox_without_an_event_costs_nothing_and_large_risks_do_not_overflow() -> None:
    risk = torch.randn(5, requires_grad=True)
    loss = cox_loss(risk, torch.arange(5.0), torch.zeros(5))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(risk.grad, torch.zeros(5))
    large = torch.tensor([500.0, -500.0, 0.0], requires_grad=True)
    loss = cox_loss(large, torch.tensor([1.0, 1.0, 2.0]), torch.ones(3))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(large.grad).all()


def test_hazards_by_hand() -> None:
    hazard = torch.tensor([0.1, 0.2, 0.5])
    edges = torch.tensor([1.0, 2.0, 4.0])
    logits = hazard.logit().expand(1, 1, 3)

    def likelihood(time: float, event: float) -> float:
        return math.exp(-hazard_loss(logits, torch.tensor([[time]]), torch.tensor([[event]]), edges).item())

    assert likelihood(0.5, 1) == pytest.approx(0.1)
    assert likelihood(1.0, 1) == pytest.approx(0.1)  # an edge closes its interval
    assert likelihood(0.0, 1) == pytest.approx(0.1)
    assert likelihood(1.5, 1) == pytest.approx(0.9 * 0.2)
    assert likelihood(3.0, 1) == pytest.approx(0.9 * 0.8 * 0.5)
    assert likelihood(9.0, 1) == pytest.approx(0.9 * 0.8 * 0.5)  # after the last edge: free until then
    assert likelihood(0.5, 0) == pytest.approx(1.0)  # lost in the first interval: nothing is known
    assert likelihood(1.0, 0) == pytest.approx(0.9)
    assert likelihood(2.5, 0) == pytest.approx(0.9 * 0.8)
    assert likelihood(NAN, 1) == 1.0
    assert event_free(logits)[0, 0].tolist() == pytest.approx([0.9, 0.72, 0.36])


def test_hazards_find_the_life_table() -> None:
    """The maximum is deaths over those at risk, interval by interval: what a life table says."""
    generator = torch.Generator().manual_seed(0)
    edges = torch.tensor([1.0, 2.0, 3.0])
    time = torch.ceil(-3 * torch.rand(400, 1, generator=generator).log())
    event = (torch.rand(400, 1, generator=generator) < 0.7).float()
    # a case censored at an edge lived through the interval that it closes
    table = torch.stack([((time == k) & (event > 0)).sum() / (time >= k).sum() for k in (1, 2, 3)])
    logits = table.logit().requires_grad_()
    best = hazard_loss(logits.expand(400, 1, 3), time, event, edges)
    best.backward()
    assert logits.grad.abs().max() < 1e-6
    assert best < hazard_loss((table.logit() + 0.1).expand(400, 1, 3), time, event, edges)


def test_ordinal_by_hand() -> None:
    logits = torch.tensor([[[1.0, -1.0]], [[0.0, 0.0]], [[5.0, 5.0]]])
    level = torch.tensor([[1.0], [2.0], [NAN]])
    first = -2 * math.log(1 / (1 + math.exp(-1)))
    assert ordinal_loss(logits, level).item() == pytest.approx((first + 2 * math.log(2)) / 2)
    assert ordinal_loss(logits, torch.full((3, 1), NAN)).item() == 0
    with pytest.raises(ValueError, match="levels must be 0 to 2"):
        ordinal_loss(logits, torch.full((3, 1), 3.0))

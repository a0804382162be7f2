"""Decoders of grades and survival: in order by construction, and planted truths are found."""

from __future__ import annotations

import pytest
import torch

from sagittal.decoders.ordinal import OrdinalDecoder, expected_level, level_probabilities
from sagittal.decoders.survival import HazardDecoder, RiskDecoder, baseline_hazard, event_free
from sagittal.measure.survival import concordance
from sagittal.training.outcome import cox_loss, hazard_loss, ordinal_loss


def test_thresholds_stay_in_order_whatever_the_weights() -> None:
    torch.manual_seed(0)
    decoder = OrdinalDecoder(16, 2, ("fazekas", "grade"), 5)
    torch.testing.assert_close(
        decoder.thresholds()[0], torch.tensor([1.5, 0.5, -0.5, -1.5]), atol=1e-3, rtol=0
    )
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=3.0)
    logits = decoder(torch.randn(7, 4, 16))
    assert logits.shape == (7, 2, 4)
    assert (logits.diff(dim=-1) < 0).all()
    levels = level_probabilities(logits)
    assert levels.shape == (7, 2, 5)
    assert (levels >= 0).all()
    torch.testing.assert_close(levels.sum(-1), torch.ones(7, 2))
    torch.testing.assert_close((levels * torch.arange(5.0)).sum(-1), expected_level(logits))
    assert OrdinalDecoder(16, 2, ("any",), 2)(torch.randn(1, 3, 16)).shape == (1, 1, 1)
    with pytest.raises(ValueError, match="at least 2"):
        OrdinalDecoder(16, 2, ("any",), 1)


def tokens(value: torch.Tensor) -> torch.Tensor:
    """One number a case, written along one direction of four tokens (B, 4, 16)."""
    direction = torch.linspace(-1, 1, 16)
    return value[:, None, None] * direction + 0.1 * torch.randn(len(value), 4, 16)


def test_ordinal_learns_a_planted_order() -> None:
    torch.manual_seed(0)
    decoder = OrdinalDecoder(16, 2, ("grade",), 4)
    value = torch.rand(256) * 4 - 2
    level = (value + 2).floor().clamp(0, 3)[:, None]
    optimiser = torch.optim.AdamW(decoder.parameters(), 3e-2)
    for _ in range(120):
        optimiser.zero_grad()
        ordinal_loss(decoder(tokens(value)), level).backward()
        optimiser.step()
    guess = level_probabilities(decoder(tokens(value))).argmax(-1)
    assert (guess == level).float().mean() > 0.75
    assert ((guess - level).abs() <= 1).all()


def test_risk_and_hazards_learn_a_planted_risk() -> None:
    torch.manual_seed(0)
    log_risk = torch.rand(300) * 4 - 2
    due = -torch.rand(300).log() / log_risk.exp()
    lost = -2 * torch.rand(300).log()
    time, event = torch.minimum(due, lost), (due <= lost).float()
    best = concordance(time, event, log_risk)
    risk, hazard = RiskDecoder(16, 2, ("death",)), HazardDecoder(16, 2, ("death",), (0.2, 0.5, 1.0, 2.0))
    optimiser = torch.optim.AdamW([*risk.parameters(), *hazard.parameters()], 2e-2)
    for _ in range(80):
        optimiser.zero_grad()
        seen = tokens(log_risk)
        loss = cox_loss(risk(seen)[:, 0], time, event)
        loss = loss + hazard_loss(hazard(seen), time[:, None], event[:, None], hazard.edges)
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        seen = tokens(log_risk)
        relative, free = risk(seen)[:, 0], event_free(hazard(seen))[:, 0]
    assert concordance(time, event, relative) > best - 0.03
    assert concordance(time, event, 1 - free[:, 2]) > best - 0.03
    truth = torch.exp(-log_risk.exp())  # P(event-free at 1): the hazard is constant
    blind = (truth.mean() - truth).abs().mean()
    assert (free[:, 2] - truth).abs().mean() < 0.4 * blind
    times, cumulative = baseline_hazard(relative, time, event)
    at_one = cumulative[int((times <= 1).sum()) - 1]
    assert (torch.exp(-at_one * relative.exp()) - truth).abs().mean() < 0.4 * blind
    with pytest.raises(ValueError, match="edges must rise"):
        HazardDecoder(16, 2, ("death",), (1.0, 1.0))


def test_baseline_by_hand() -> None:
    times, hazard = baseline_hazard(
        torch.zeros(4), torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    )
    assert times.tolist() == [1.0, 2.0]
    assert hazard.tolist() == pytest.approx([1 / 4, 1 / 4 + 2 / 3])  # Nelson-Aalen


def test_padding_is_not_seen() -> None:
    torch.manual_seed(0)
    seen, mask = torch.randn(2, 5, 16), torch.tensor([[True] * 3 + [False] * 2] * 2)
    other = torch.where(mask[..., None], seen, 9.0)
    for decoder in (
        OrdinalDecoder(16, 2, ("a",), 3),
        RiskDecoder(16, 2, ("a",)),
        HazardDecoder(16, 2, ("a",), (1, 2)),
    ):
        assert torch.equal(decoder(seen, mask), decoder(other, mask))
        assert not torch.allclose(decoder(seen), decoder(other))

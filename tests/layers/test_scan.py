"""The parallel scan against the recurrence it stands for: values, gradients, lengths, extreme decays."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.layers.scan import scan, sequential


def case(count: int, seed: int, kind: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    shape = (2, count, 3)
    return torch.rand(shape, dtype=kind), torch.randn(shape, dtype=kind), torch.randn(2, 3, dtype=kind)


@settings(max_examples=40)
@given(st.integers(1, 200), st.integers(0, 5))
def test_equals_the_recurrence_at_every_length(count: int, seed: int) -> None:
    parts = case(count, seed)
    torch.testing.assert_close(scan(*parts), sequential(*parts), rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_the_recurrence() -> None:
    parts = [x.requires_grad_() for x in case(13, 0)]
    assert torch.autograd.gradcheck(scan, parts)
    weight = torch.randn(2, 13, 3, dtype=torch.float64)
    ours = torch.autograd.grad((scan(*parts) * weight).sum(), parts)
    theirs = torch.autograd.grad((sequential(*parts) * weight).sum(), parts)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("decay", [0.0, 1e-30, 1.0])
def test_forgetting_everything_and_nothing(decay: float) -> None:
    """Products of such decays underflow; a scan that divides by them would give NaN."""
    _, drive, start = case(5000, 1, torch.float32)
    states = scan(torch.full_like(drive, decay), drive, start)
    wanted = drive.double().cumsum(1) + start.double().unsqueeze(1) if decay == 1 else drive.double()
    assert torch.isfinite(states).all()
    assert (states[:, 1:] - wanted[:, 1:]).abs().max() < 1e-3

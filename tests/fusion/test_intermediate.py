"""Fusion: any subset of modalities; an absent one changes nothing, a present one is heard."""

from __future__ import annotations

import pytest
import torch

from sagittal.fusion.intermediate import IntermediateFusion
from sagittal.layers.features import Features


def text(mask: torch.Tensor) -> Features:
    tokens = torch.randn(*mask.shape, 16)
    return Features((), tokens, tokens.mean(1), mask)


@pytest.fixture
def fuse() -> IntermediateFusion:
    torch.manual_seed(0)
    fusion = IntermediateFusion(16, 2, ("text",))
    torch.nn.init.constant_(fusion.blocks["text"].gates, 0.5)
    return fusion


def test_starts_as_identity() -> None:
    tokens = torch.randn(2, 5, 16)
    fused = IntermediateFusion(16, 2, ("text",))(tokens, {"text": text(torch.ones(2, 3, dtype=torch.bool))})
    assert torch.equal(fused, tokens)


def test_absent_is_identity_to_the_bit(fuse: IntermediateFusion) -> None:
    tokens = torch.randn(2, 5, 16)
    assert torch.equal(fuse(tokens, {}), tokens)
    assert torch.equal(fuse(tokens, {"text": None}), tokens)


def test_absent_for_one_of_a_batch(fuse: IntermediateFusion) -> None:
    tokens = torch.randn(2, 5, 16)
    fused = fuse(tokens, {"text": text(torch.tensor([[True, True, False], [False] * 3]))})
    assert torch.equal(fused[1], tokens[1])
    assert not torch.allclose(fused[0], tokens[0])


def test_the_gate_learns_first_then_the_rest() -> None:
    fusion = IntermediateFusion(16, 2, ("text",))
    block = fusion.blocks["text"]
    other, tokens = text(torch.ones(2, 3, dtype=torch.bool)), torch.randn(2, 5, 16)
    fusion(tokens, {"text": other}).square().sum().backward()
    assert block.gates.grad.abs().min() > 0
    torch.nn.init.constant_(block.gates, 0.5)
    fusion(tokens, {"text": other}).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in fusion.parameters())


def test_unknown_modality_is_named(fuse: IntermediateFusion) -> None:
    with pytest.raises(ValueError, match=r"among \['text'\], got \['labs'\]"):
        fuse(torch.randn(1, 2, 16), {"labs": None})

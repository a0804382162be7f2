"""Fusions on toys whose right answer is known: an interaction, independent evidence, fair dropout."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.fusion.dropout import drop_modalities
from sagittal.fusion.early import EarlyFusion
from sagittal.fusion.intermediate import MutualFusion
from sagittal.fusion.late import Combination, LateFusion
from sagittal.fusion.resampler import Resampler
from sagittal.layers.features import Features

NAMES = ("a", "b", "c")


class Head(nn.Module):
    """A fusion and one logit on what it pools."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion, self.out = fusion, nn.Linear(16, 1)

    def forward(self, given: dict[str, Features]) -> Tensor:
        fused = self.fusion(given)
        if isinstance(fused, Tensor):
            return fused[:, 0]
        pooled = fused.pooled if isinstance(fused, Features) else fused["a"].pooled + fused["b"].pooled
        return self.out(pooled)[:, 0]


@pytest.mark.parametrize("kind", ["early", "mutual", "resampler", "late"])
def test_an_interaction_needs_more_than_late_fusion(kind: str) -> None:
    """The truth is whether two modalities agree: neither says anything alone, nor does any sum of both."""
    torch.manual_seed(0)
    names = ("a", "b")
    fusion = {
        "early": lambda: EarlyFusion(16, 2, names),
        "mutual": lambda: MutualFusion(16, 2, names),
        "resampler": lambda: Resampler(16, 2, names, count=2),
        "late": lambda: LateFusion(16, names, 1),
    }[kind]()
    head = Head(fusion)
    code = torch.randn(2, 2, 16)  # what "no" and "yes" look like in each

    def batch(n: int) -> tuple[dict[str, Features], Tensor]:
        bits = torch.randint(2, (2, n))
        tokens = [code[m, bits[m]][:, None] + 0.3 * torch.randn(n, 3, 16) for m in range(2)]
        given = {name: Features((), t, t.mean(1)) for name, t in zip(names, tokens, strict=True)}
        return given, (bits[0] == bits[1]).float()

    optimiser = torch.optim.AdamW(head.parameters(), 1e-2)
    for _ in range(80):
        given, truth = batch(64)
        optimiser.zero_grad()
        functional.binary_cross_entropy_with_logits(head(given), truth).backward()
        optimiser.step()
    given, truth = batch(500)
    right = ((head(given) > 0).float() == truth).float().mean().item()
    assert right < 0.85 if kind == "late" else right > 0.95


def test_late_fusion_is_calibrated_for_every_subset() -> None:
    """Independent evidence: the true log odds is the sum of what is there, which no fixed mean can be."""
    generator = torch.Generator().manual_seed(0)
    strength = torch.tensor([0.8, 1.2, 1.6])
    n = 6000

    def draw() -> tuple[dict[str, Tensor], Tensor]:
        truth = (torch.rand(n, generator=generator) < 0.5).float()
        x = strength * (2 * truth[:, None] - 1) / 2 + torch.randn(n, 3, generator=generator)
        logits = strength * x  # log p(x | 1) / p(x | 0) of each
        return {name: logits[:, i, None] for i, name in enumerate(NAMES)}, truth[:, None]

    combine = Combination(NAMES, 1)
    optimiser = torch.optim.Adam(combine.parameters(), 3e-2)
    predictions, truth = draw()
    for _ in range(150):
        there = torch.rand(n, 3, generator=generator) < 0.6
        shown = {name: there[:, i] for i, name in enumerate(NAMES)}
        optimiser.zero_grad()
        functional.binary_cross_entropy_with_logits(combine(predictions, shown), truth).backward()
        optimiser.step()
    predictions, truth = draw()
    for size in (1, 2, 3):
        for subset in combinations(NAMES, size):
            exact = torch.stack([predictions[name] for name in subset]).sum(0)
            fused = combine({name: predictions[name] for name in subset})
            best = functional.binary_cross_entropy_with_logits(exact, truth)
            mean = functional.binary_cross_entropy_with_logits(exact / size, truth)
            reached = functional.binary_cross_entropy_with_logits(fused, truth)
            assert reached < best + 0.012, subset
            slope = (fused * exact).mean() / exact.square().mean()
            assert abs(slope - 1) < 0.2, subset
            if size == 3:
                assert mean > best + 0.02  # the fixed mean is no solution
    assert abs(combine({}, rows=1).item()) < 0.3  # prevalence one half


def drop(
    rate: float, n: int = 4000, seed: int = 0, missing: float = 0.0, keep_one: bool = True
) -> tuple[Tensor, Tensor]:
    """(had, kept), both (3, n) bool."""
    torch.manual_seed(5)
    had = torch.rand(3, n) >= missing
    given = {}
    for i, name in enumerate(NAMES):
        tokens = torch.ones(n, 2, 4)
        mask = had[i][:, None].expand(-1, 2) if missing else None
        given[name] = Features((torch.ones(n, 1, 2, 2),), tokens, tokens.mean(1), mask)
    shown = drop_modalities(given, rate, torch.Generator().manual_seed(seed), keep_one=keep_one)
    kept = torch.zeros(3, n, dtype=torch.bool)
    for i, name in enumerate(NAMES):
        if name in shown:
            found = shown[name]
            kept[i] = found.mask.any(1) if found.mask is not None else True
            for each in (found.tokens, found.pooled, found.pyramid[0]):
                assert torch.equal(each.flatten(1).any(1), kept[i])  # gone everywhere, or nowhere
    return had, kept


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.8, 1.0])
def test_dropout_has_its_rate_and_never_drops_all(rate: float) -> None:
    _, kept = drop(rate)
    assert kept.any(0).all()
    expected = rate - rate**3 / 3  # one of three is saved, evenly, when all three would go
    assert (~kept).float().mean(1).sub(expected).abs().max() < 0.035


@pytest.mark.parametrize("rate", [0.3, 0.8, 1.0])
def test_beside_something_that_stays_all_may_go(rate: float) -> None:
    _, kept = drop(rate, keep_one=False)
    assert (~kept).float().mean(1).sub(rate).abs().max() < 0.035
    assert abs((~kept).all(0).float().mean() - rate**3) < 0.035


def test_dropout_keeps_what_was_missing_missing() -> None:
    had, kept = drop(0.7, missing=0.4)
    assert not (kept & ~had).any()
    assert torch.equal(kept.any(0), had.any(0))


def test_dropout_repeats_with_its_seed_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second, other = (drop(0.5, n=50, seed=s)[1] for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    torch.set_rng_state(state)
    tokens = torch.ones(4, 2, 4)
    drop_modalities({"a": Features((), tokens, tokens[:, 0])}, 0.5, torch.Generator())
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="rates must be 0 to 1"):
        drop_modalities({"a": None}, 1.5, torch.Generator())

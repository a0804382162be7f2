"""The current study beside earlier ones: what changed is known only with them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.fusion.timeline import Timeline, age_code
from sagittal.layers.features import Features
from sagittal.training.loop import FitConfig, fit

WIDTH = 16


def _features(tokens: Tensor, mask: Tensor | None = None) -> Features:
    return Features((), tokens, tokens.mean(1), mask)


@pytest.fixture
def timeline() -> Timeline:
    torch.manual_seed(0)
    module = Timeline(WIDTH, 2)
    with torch.no_grad():
        module.look.gates.fill_(1.0)
    return module


def test_without_earlier_studies_nothing_changes(timeline: Timeline) -> None:
    now, prior = torch.randn(2, 3, WIDTH), _features(torch.randn(2, 4, WIDTH))
    assert timeline(now, [], torch.empty(2, 0)) is now
    out = timeline(now, [prior], torch.tensor([[float("nan")], [30.0]]))
    assert torch.equal(out[0], now[0]) and not torch.equal(out[1], now[1])


def test_the_order_of_the_dates_given_changes_nothing(timeline: Timeline) -> None:
    now = torch.randn(2, 3, WIDTH)
    a, b = (_features(torch.randn(2, 4, WIDTH)) for _ in range(2))
    days = torch.tensor([[30.0, 400.0], [10.0, 20.0]])
    one, other = timeline(now, [a, b], days), timeline(now, [b, a], days.flip(1))
    assert one.detach() == pytest.approx(other.detach(), abs=1e-6)
    assert not torch.allclose(one, timeline(now, [a, b], days.flip(1)))


def test_ages_must_fit(timeline: Timeline) -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 1\)"):
        timeline(torch.randn(2, 3, WIDTH), [_features(torch.randn(2, 4, WIDTH))], torch.zeros(2, 2))


def test_far_dates_are_told_apart_by_their_ratio() -> None:
    days = torch.tensor([7.0, 8.0, 700.0, 701.0])
    code = age_code(days, 32)
    assert code.shape == (4, 32)
    near, far = (code[0] - code[1]).norm(), (code[2] - code[3]).norm()
    assert near > 5 * far


def test_larger_or_smaller_is_known_with_the_prior_only() -> None:
    """A size now says nothing of growth; beside that of the prior it does, whichever of two is the later."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.timeline, self.say = nn.Linear(1, WIDTH), Timeline(WIDTH, 2), nn.Linear(WIDTH, 1)

        def forward(self, sizes: Tensor, days: Tensor) -> Tensor:
            now, *earlier = (self.embed(size[:, None, None]) for size in sizes.T)
            return self.say(self.timeline(now, [_features(each) for each in earlier], days)).flatten()

    def draw(seed: int) -> tuple[Tensor, Tensor, Tensor]:
        random = torch.Generator().manual_seed(seed)
        sizes = torch.randn(64, 3, generator=random)
        days = torch.rand(64, 2, generator=random) * 1000
        latest = sizes[torch.arange(64), 1 + days.argmin(1)]
        return sizes, days, (sizes[:, 0] > latest).float()

    torch.manual_seed(0)
    model = Model()
    fit(
        model,
        lambda b: {"grown": functional.binary_cross_entropy_with_logits(model(b[0], b[1]), b[2])},
        lambda n: map(draw, range(n, 10_000)),
        FitConfig(steps=120, learning_rate=2e-2),
    )
    sizes, days, grown = (torch.cat(each) for each in zip(*map(draw, range(20_000, 20_010)), strict=True))
    with torch.no_grad():
        both = ((model(sizes, days) > 0) == grown.bool()).float().mean()
        alone = ((model(sizes, torch.full_like(days, float("nan"))) > 0) == grown.bool()).float().mean()
    assert both > 0.9 and alone < 0.8

"""Flow matching: solvers of their order, a mixture with known moments, and a condition that chooses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sagittal.decoders.image import ImageDecoder, sample
from sagittal.layers.features import Features
from sagittal.training.flow import flow_loss, keep_condition

MEAN, SPREAD = 1.5, 0.4


def gaussian(x: Tensor, t: Tensor, condition: Features | None) -> Tensor:
    """The exact velocity towards N(1.5, 0.4): every sample ends at 1.5 + 0.4 * its noise."""
    t = t[:, None]
    slope = (t * SPREAD**2 - (1 - t)) / ((1 - t) ** 2 + (t * SPREAD) ** 2)
    return MEAN + slope * (x - t * MEAN)


def error(solver: str, steps: int) -> float:
    noise = torch.randn((200, 3), generator=torch.Generator().manual_seed(4))
    drawn = sample(gaussian, (200, 3), steps=steps, solver=solver, seed=4)  # type: ignore[arg-type]
    return (drawn - (MEAN + SPREAD * noise)).abs().mean().item()


def test_solvers_have_their_order() -> None:
    assert error("heun", 64) < 1e-3
    assert 1.7 < error("euler", 32) / error("euler", 64) < 2.3
    assert 3.4 < error("heun", 16) / error("heun", 32) < 4.6
    with pytest.raises(ValueError, match="at least 1"):
        sample(gaussian, (1, 1), steps=0)


def test_guidance_is_a_line_through_without_and_with() -> None:
    def constant(x: Tensor, t: Tensor, condition: Features | None) -> Tensor:
        return torch.full_like(x, 1.0 if condition is None else 3.0)

    tokens = torch.zeros(2, 1, 4)
    wish = Features((), tokens, tokens[:, 0])
    noise = sample(constant, (2, 1), steps=1) - 1
    for guidance, speed in ((0.0, 1.0), (1.0, 3.0), (2.5, 6.0)):
        drawn = sample(constant, (2, 1), wish, steps=3, guidance=guidance)
        torch.testing.assert_close(drawn, noise + speed)


class Points(nn.Module):
    """A velocity of points (B, 2) with a wish for one of two modes."""

    def __init__(self) -> None:
        super().__init__()
        self.wishes = nn.Embedding(2, 8)
        self.net = nn.Sequential(
            nn.Linear(2 + 1 + 8, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 2)
        )

    def wish(self, mode: Tensor) -> Features:
        tokens = self.wishes(mode)[:, None]
        return Features((), tokens, tokens[:, 0])

    def forward(self, x: Tensor, t: Tensor, condition: Features | None = None) -> Tensor:
        wish = x.new_zeros(len(x), 8)
        if condition is not None:
            there = (
                condition.mask.any(1) if condition.mask is not None else torch.ones_like(t, dtype=torch.bool)
            )
            wish = torch.where(there[:, None], condition.pooled, wish)
        return self.net(torch.cat([x, t[:, None], wish], 1))


MODES = torch.tensor([[-1.5, 0.0], [1.5, 1.0]])
SPREADS = torch.tensor([[0.5, 0.3], [0.3, 0.5]])
SHARE = 0.3  # of the first mode


def mixture(n: int) -> tuple[Tensor, Tensor]:
    mode = (torch.rand(n) > SHARE).long()
    return MODES[mode] + SPREADS[mode] * torch.randn(n, 2), mode


@pytest.fixture(scope="module")
def points() -> Points:
    torch.manual_seed(0)
    network, steps = Points(), 500
    optimiser = torch.optim.AdamW(network.parameters(), 5e-3, fused=True)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 5e-3 * (1 - step / steps)
        x, mode = mixture(512)
        optimiser.zero_grad()
        flow_loss(network, x, network.wish(mode), drop=0.4).backward()
        optimiser.step()
    return network


def test_without_a_condition_the_marginal_has_its_moments(points: Points) -> None:
    drawn = sample(points, (4000, 2), steps=20)
    torch.manual_seed(1)
    exact, _ = mixture(100_000)
    assert abs((drawn[:, 0] < 0).float().mean().item() - SHARE) < 0.05
    assert (drawn.mean(0) - exact.mean(0)).abs().max() < 0.15
    assert (drawn.T.cov() - exact.T.cov()).abs().max() < 0.25
    for mode, here in enumerate((drawn[:, 0] < 0, drawn[:, 0] >= 0)):
        assert (drawn[here].mean(0) - MODES[mode]).abs().max() < 0.12
        assert (drawn[here].std(0) - SPREADS[mode]).abs().max() < 0.25  # some lie between


def test_the_condition_chooses_the_mode(points: Points) -> None:
    for mode in range(2):
        wish = points.wish(torch.full((1000,), mode))
        drawn = sample(points, (1000, 2), wish, steps=20)
        assert (drawn.mean(0) - MODES[mode]).abs().max() < 0.12
        assert (drawn.std(0) - SPREADS[mode]).abs().max() < 0.12
        dropped = sample(
            points, (1000, 2), keep_condition(wish, torch.zeros(1000, dtype=torch.bool)), steps=20
        )
        assert torch.equal(dropped, sample(points, (1000, 2), steps=20))
        assert torch.equal(dropped, sample(points, (1000, 2), wish, steps=20, guidance=0))


def test_the_seed_decides(points: Points) -> None:
    first, second, other = (sample(points, (5, 2), steps=2, seed=s) for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("axes", [2, 3])
def test_shapes_gradients_and_rows_without_a_wish(axes: int) -> None:
    torch.manual_seed(0)
    size = (5, 10, 12)[-axes:]  # odd sizes come back whole
    decoder = ImageDecoder(
        16, 2, channels=2, widths=(8, 16), kernels=[(3,) * axes] * 2, strides=[(1,) * axes, (2,) * axes]
    )
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.1)
    x, t, tokens = torch.randn(3, 2, *size), torch.rand(3), torch.randn(3, 4, 16)
    wish = Features(
        (), tokens, tokens.mean(1), torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    )
    velocity = decoder(x, t, wish)
    assert velocity.shape == x.shape
    without = decoder(x, t)
    assert torch.allclose(velocity[2], without[2], atol=1e-6)
    assert (velocity[:2] - without[:2]).abs().amax((1, 2, 3)).min() > 1e-4
    assert (decoder(x, t + 0.3) - without).abs().max() > 1e-4
    flow_loss(decoder, x, wish, drop=0.0).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in decoder.parameters())


def test_the_network_draws_what_is_asked_for() -> None:
    """Pictures of a bright left or right half."""
    torch.manual_seed(0)
    decoder = ImageDecoder(16, 2, widths=(8, 16), kernels=[(3, 3)] * 2, strides=[(1, 1), (2, 2)])
    words = nn.Embedding(2, 16)

    def wish(side: Tensor) -> Features:
        return Features((), words(side)[:, None], words(side))

    optimiser = torch.optim.AdamW([*decoder.parameters(), *words.parameters()], 1e-2, fused=True)
    for step in range(120):
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 * (1 - step / 120)
        side = torch.randint(2, (32,))
        image = torch.full((32, 1, 8, 8), -1.0)
        image[side == 0, :, :, :4] = 1.0
        image[side == 1, :, :, 4:] = 1.0
        optimiser.zero_grad()
        flow_loss(decoder, image, wish(side)).backward()
        optimiser.step()
    side = torch.arange(2).repeat(16)
    drawn = sample(decoder, (32, 1, 8, 8), wish(side), steps=8)
    halves = torch.stack([drawn[..., :4].mean((1, 2, 3)), drawn[..., 4:].mean((1, 2, 3))], 1)
    rows = torch.arange(32)
    assert (halves[rows, side] - halves[rows, 1 - side] > 0.8).float().mean() > 0.9

"""Picture and volume encoders: shapes of what they return, and gradients to every weight."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.encoders.volume import VolumeConfig, VolumeEncoder


@pytest.fixture(params=["picture", "volume"])
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor, int]:
    """(encoder, image, how many tokens)."""
    torch.manual_seed(0)
    if request.param == "picture":
        small = PictureConfig(channels=2, widths=(8, 16, 24), blocks=(1, 1, 1), strides=(2, 2, 2), heads=2)
        return PictureEncoder(small, 16), torch.randn(2, 2, 32, 24), 12
    thick = VolumeConfig(
        channels=2,
        widths=(8, 16),
        blocks=(1, 1),
        kernels=((1, 3, 3), (3, 3, 3)),
        strides=((1, 2, 2), (2, 2, 2)),
        heads=2,
    )
    return VolumeEncoder(thick, 16), torch.randn(2, 2, 6, 16, 12), 36


def test_shapes(case: tuple[nn.Module, torch.Tensor, int]) -> None:
    encoder, image, tokens = case
    features = encoder(image)
    assert features.tokens.shape == (2, tokens, 16)
    assert features.pyramid[-1][0, 0].numel() == tokens
    assert features.mask is None
    torch.testing.assert_close(features.pooled, features.tokens.mean(1))


def test_gradients_reach_every_weight(case: tuple[nn.Module, torch.Tensor, int]) -> None:
    encoder, image, _ = case
    encoder(image, torch.tensor([[True, False]] * 2)).tokens.square().sum().backward()
    silent = [name for name, p in encoder.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert silent == []


def test_place_matters(case: tuple[nn.Module, torch.Tensor, int]) -> None:
    """The same blob on the left and on the right gives other tokens, not only moved ones."""
    encoder, image, _ = case
    left, right = torch.zeros_like(image), torch.zeros_like(image)
    left[..., :4], right[..., -4:] = 1.0, 1.0
    a, b = encoder(left).pooled, encoder(right).pooled
    assert (a - b).abs().max() > 1e-3

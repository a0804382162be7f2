"""The loss of flow matching (Lipman 2023), with the condition left out now and then (Ho 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from sagittal.decoders.image import Velocity
from sagittal.layers.features import Features


def flow_loss(
    network: Velocity,
    image: Tensor,
    condition: Features | None = None,
    *,
    drop: float = 0.1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mean squared error of the velocity on straight lines from noise to image (B, C, *S).

    x(t) = (1 - t) noise + t image, t even in 0..1; the velocity to learn is image - noise.

    Args:
        drop: share of rows whose condition is left out, so that the same network also knows the marginal.
        generator: on the CPU; None: torch's own.
    """
    noise = torch.randn(image.shape, generator=generator).to(image)
    t = torch.rand(len(image), generator=generator).to(image)
    kept = torch.rand(len(image), generator=generator) >= drop
    if condition is not None:
        condition = keep_condition(condition, kept.to(image.device))
    along = t.reshape(-1, *(1,) * (image.ndim - 1))
    wanted = image - noise
    return (network(noise + along * wanted, t, condition) - wanted).square().mean()


def keep_condition(condition: Features, kept: Tensor) -> Features:
    """The condition in the rows ``kept`` (B,) bool, none in the others."""
    mask = condition.mask
    if mask is None:
        mask = torch.ones(condition.tokens.shape[:2], dtype=torch.bool, device=condition.tokens.device)
    return Features(condition.pyramid, condition.tokens, condition.pooled, mask & kept[:, None])

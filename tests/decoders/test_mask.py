"""Mask decoder: where it stops, how fine it draws, and that tokens reach their own pixels."""

from __future__ import annotations

import pytest
import torch

from sagittal.decoders.mask import MaskDecoder

WIDTHS = (8, 16, 24)


def maps(axes: int) -> list[torch.Tensor]:
    return [torch.randn(2, width, *(16 >> stage,) * axes) for stage, width in enumerate(WIDTHS)]


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize(("finest", "detail", "size"), [(0, 1, 16), (1, 1, 8), (1, 2, 16), (2, 4, 16)])
def test_where_it_stops_and_how_fine_it_draws(axes: int, finest: int, detail: int, size: int) -> None:
    decoder = MaskDecoder(12, WIDTHS, [(3,) * axes] * 3, 5, (detail,) * axes, finest)
    pyramid = maps(axes)
    logits = decoder(pyramid, torch.randn(2, pyramid[-1][0, 0].numel(), 12))
    assert logits.shape == (2, 5, *(size,) * axes)
    assert -6 < logits.mean().item() < 0  # starts by saying no
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in decoder.parameters())


def test_tokens_enter_at_their_own_place() -> None:
    torch.manual_seed(0)
    decoder = MaskDecoder(12, WIDTHS, [(1, 1)] * 3, 1)
    pyramid, tokens = maps(2), torch.randn(2, 16, 12)
    changed = tokens.clone()
    changed[:, 5] += 10.0  # row 1, column 1 of the 4 x 4 grid: pixels 4..7 of 16
    moved = (decoder(pyramid, changed) - decoder(pyramid, tokens)).abs().amax((0, 1))
    inside = torch.zeros(16, 16, dtype=torch.bool)
    inside[4:8, 4:8] = True
    assert moved[inside].mean() > 3 * moved[~inside].mean()

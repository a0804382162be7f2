"""Masked images: exact masks, targets that are structure, and a model that beats the mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.pretrain.masked import MaskedHead, Masking, block_mask, masked_loss, target
from sagittal.training.loop import FitConfig, fit

MASKING = Masking((8, 8), 0.5, (2, 2))


@pytest.mark.parametrize(("size", "block"), [((32, 40), (8, 8)), ((8, 20, 16), (4, 8, 8))])
def test_each_row_hides_the_same_number(size: tuple[int, ...], block: tuple[int, ...]) -> None:
    masking = Masking(block, 0.4, (2,) * len(size))
    blocks = block_mask(5, size, masking, torch.Generator().manual_seed(0))
    grid = [-(-n // b) for n, b in zip(size, block, strict=True)]
    count = torch.Size(grid).numel()
    assert blocks.shape == (5, 1, *grid)
    assert (blocks.flatten(1).sum(1) == round(0.4 * count)).all()
    assert not torch.equal(blocks[0], blocks[1])


def test_target_is_the_block_normalised() -> None:
    image = torch.randn(2, 3, 16, 24)
    wanted = target(image, Masking((8, 8), 0.5, (1, 1)))
    assert wanted.shape == (2, 3, 2, 3, 64)
    block = image[1, 2, 8:16, 16:24].flatten()
    torch.testing.assert_close(
        wanted[1, 2, 1, 2], (block - block.mean()) / block.std(correction=0), atol=1e-3, rtol=1e-3
    )
    shifted = target(image * 3 + 5, Masking((8, 8), 0.5, (1, 1)))
    torch.testing.assert_close(shifted, wanted, atol=1e-3, rtol=1e-3)


def test_target_of_a_volume_and_of_an_odd_size() -> None:
    assert target(torch.randn(1, 2, 8, 16, 16), Masking((4, 8, 8), 0.5, (2, 4, 4))).shape == (
        1,
        2,
        2,
        2,
        2,
        8,
    )
    assert target(torch.randn(1, 1, 17, 9), MASKING).shape == (1, 1, 3, 2, 16)


def test_hidden_pixels_are_gone_and_the_others_stay() -> None:
    head, image = MaskedHead(16, 24, 1, MASKING), torch.randn(2, 1, 20, 24)
    blocks = block_mask(2, (20, 24), MASKING)
    hidden = head.hide(image, blocks)
    pixels = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)[..., :20, :]
    assert (hidden[pixels] == 0).all()
    assert torch.equal(hidden[~pixels], image[~pixels])


def test_the_mean_predictor_scores_one() -> None:
    wanted = target(torch.randn(4, 1, 32, 32), MASKING)
    blocks = block_mask(4, (32, 32), MASKING)
    assert float(masked_loss(torch.zeros_like(wanted), wanted, blocks)) == pytest.approx(1, abs=0.02)
    assert float(masked_loss(wanted, wanted, blocks)) == 0
    flat = torch.zeros(4, 1, 32, 32)
    assert float(masked_loss(target(flat, MASKING) + 1, target(flat, MASKING), blocks)) == 0


def waves(seed: int, n: int = 8) -> Tensor:
    """Plane waves of random direction: what is hidden follows from what is seen."""
    random = torch.Generator().manual_seed(seed)
    axis = torch.arange(32.0)
    fy, fx, phase = (torch.rand(3, n, 1, 1, generator=random) * 2 - 1).unbind(0)
    wave = torch.sin(0.35 * (fy * axis[:, None] + fx * axis) + 3.14 * phase)
    return wave[:, None] + 0.05 * torch.randn(n, 1, 32, 32, generator=random)


def test_beats_the_mean_predictor() -> None:
    torch.manual_seed(0)
    config = PictureConfig(widths=(8, 16, 32), blocks=(1, 1, 1), strides=(2, 2, 2), heads=2)
    encoder, head = PictureEncoder(config, 32), MaskedHead(32, 32, 1, MASKING)

    def error(seed: int) -> Tensor:
        image = waves(seed)
        blocks = block_mask(len(image), (32, 32), MASKING, torch.Generator().manual_seed(seed))
        wanted = target(image, MASKING)
        return masked_loss(head(encoder(head.hide(image, blocks)), wanted.shape[2:4]), wanted, blocks)

    fit(
        nn.ModuleList([encoder, head]),
        lambda seed: {"masked": error(int(seed))},
        lambda start: iter(torch.arange(start, 10_000)),
        FitConfig(steps=70, learning_rate=6e-3),
    )
    with torch.no_grad():
        assert float(error(99_999)) < 0.6

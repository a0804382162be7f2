"""Label decoder: evidence of masks, and shapes with and without them."""

from __future__ import annotations

import math

import pytest
import torch

from sagittal.decoders.label import LabelDecoder, evidence_size, mask_evidence


def test_evidence_of_a_planted_spot() -> None:
    logits = torch.full((1, 2, 20, 20), -10.0)
    logits[0, 1, 3:5, 3:7] = 10.0
    evidence = mask_evidence(logits, few=8, share=0.01)
    assert evidence.shape == (1, 2, evidence_size(2))
    torch.testing.assert_close(evidence[0, 0, :2], torch.tensor([-1.0, -1.0]))
    torch.testing.assert_close(evidence[0, 1, :2], torch.tensor([1.0, 1.0]))
    share = torch.tensor(8 / 400)
    torch.testing.assert_close(evidence[0, 1, 2], share.logit() / 10, atol=1e-3, rtol=0)


def test_extent_of_two_boxes_gives_their_ratio() -> None:
    logits = torch.full((1, 2, 50, 100), -20.0)
    logits[0, 0, 10:40, 10:90] = 20.0  # a chest of 80 columns
    logits[0, 1, 20:30, 40:80] = 20.0  # a heart of 40
    rows, columns = mask_evidence(logits)[0, :, 3:6], mask_evidence(logits)[0, :, 6:9]
    torch.testing.assert_close(columns[0], torch.tensor([-8.0, 8.0, 0.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(columns[1, :2], torch.tensor([-2.0, 6.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close((columns[1, 2] / 5).exp(), torch.tensor(0.5), atol=1e-3, rtol=0)
    torch.testing.assert_close(rows[1], torch.tensor([-2.0, 2.0, 5 * math.log(1 / 3)]), atol=1e-3, rtol=0)


def test_a_label_learns_a_width() -> None:
    """Hearts over and under half the chest, at random places: brightness and area do not tell, width does."""
    torch.manual_seed(0)
    decoder = LabelDecoder(16, 2, ("cardiomegaly",), ("chest", "heart"))
    ratio = torch.rand(96) * 0.3 + 0.35
    masks = torch.full((96, 2, 16, 100), -10.0)
    for i, share in enumerate(ratio.tolist()):
        left, wide = int(torch.randint(2, 15, (1,))), int(torch.randint(60, 80, (1,)))
        masks[i, 0, 2:14, left : left + wide] = 10.0
        masks[i, 1, 4 : 6 + i % 8, left + 10 : left + 10 + round(share * wide)] = 10.0
    tokens, wanted = torch.zeros(96, 4, 16), (ratio > 0.5).float()[:, None]
    optimiser = torch.optim.AdamW(decoder.parameters(), 2e-2)
    for _ in range(120):
        optimiser.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(decoder(tokens, masks), wanted).backward()
        optimiser.step()
    right = ((decoder(tokens, masks) > 0).float() == wanted).float().mean()
    assert right > 0.93


@pytest.mark.parametrize("size", [(2,), (1, 1), (3, 4, 5)])
def test_evidence_of_tiny_masks(size: tuple[int, ...]) -> None:
    assert torch.isfinite(mask_evidence(torch.randn(2, 3, *size))).all()


def test_a_label_starts_by_trusting_its_own_mask() -> None:
    torch.manual_seed(0)
    decoder = LabelDecoder(16, 2, ("nodule", "fracture"), ("heart", "nodule"))
    tokens, dark = torch.randn(1, 4, 16), torch.full((1, 2, 8, 8), -8.0)
    bright = dark.clone()
    bright[:, 1, 2:6, 2:6] = 8.0
    before, after = decoder(tokens, dark), decoder(tokens, bright)
    assert (after - before)[0, 0] > 1
    assert (after - before)[0, 1] == 0


def test_without_masks() -> None:
    decoder = LabelDecoder(16, 2, ("nodule",), ())
    logits = decoder(torch.randn(3, 4, 16))
    assert logits.shape == (3, 1)
    logits.sum().backward()
    assert all(p.grad is not None for p in decoder.parameters())

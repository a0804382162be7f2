"""Label decoder: evidence of masks, and shapes with and without them."""

from __future__ import annotations

import pytest
import torch

from sagittal.decoders.label import EVIDENCE, LabelDecoder, mask_evidence


def test_evidence_of_a_planted_spot() -> None:
    logits = torch.full((1, 2, 20, 20), -10.0)
    logits[0, 1, 3:5, 3:7] = 10.0
    evidence = mask_evidence(logits, few=8, share=0.01)
    assert evidence.shape == (1, 2, EVIDENCE)
    torch.testing.assert_close(evidence[0, 0, :2], torch.tensor([-1.0, -1.0]))
    torch.testing.assert_close(evidence[0, 1, :2], torch.tensor([1.0, 1.0]))
    share = torch.tensor(8 / 400)
    torch.testing.assert_close(evidence[0, 1, 2], share.logit() / 10, atol=1e-3, rtol=0)


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

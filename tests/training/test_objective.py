"""Losses against known values, and unknown answers that cost nothing."""

from __future__ import annotations

import math

import pytest
import torch

from sagittal.training.objective import focal_loss, label_loss, mask_loss, shrink


def test_label_loss_of_a_coin_is_log_two() -> None:
    assert float(label_loss(torch.zeros(3, 2), torch.ones(3, 2))) == pytest.approx(math.log(2))


def test_unknown_labels_cost_nothing() -> None:
    logits = torch.randn(2, 2, requires_grad=True)
    target = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
    for loss in (label_loss(logits, target), focal_loss(logits, target)):
        (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
        assert (gradient[:, 1] == 0).all()
        assert (gradient[:, 0] != 0).all()
    assert label_loss(logits, torch.full((2, 2), float("nan"))).item() == 0


def test_focal_with_no_focus_is_cross_entropy() -> None:
    logits, target = torch.randn(5, 3), (torch.rand(5, 3) > 0.5).float()
    torch.testing.assert_close(focal_loss(logits, target, gamma=0.0), label_loss(logits, target))
    assert focal_loss(logits, target) < label_loss(logits, target)


@pytest.mark.parametrize("size", [(8, 8), (4, 8, 8)])
def test_mask_loss_of_perfect_and_opposite_masks(size: tuple[int, ...]) -> None:
    target = (torch.rand(2, 3, *size) > 0.5).float()
    right, wrong = (target * 2 - 1) * 20, (1 - target * 2) * 20
    assert float(mask_loss(right, target)) == pytest.approx(0, abs=1e-3)
    assert float(mask_loss(wrong, target)) > 15


def test_unknown_masks_cost_nothing_and_weights_count() -> None:
    logits = torch.randn(2, 2, 8, 8, requires_grad=True)
    target = (torch.rand(2, 2, 8, 8) > 0.5).float()
    known = torch.tensor([[True, False], [True, True]])
    (gradient,) = torch.autograd.grad(mask_loss(logits, target, known=known), logits)
    assert (gradient[0, 1] == 0).all()
    assert gradient[1, 1].abs().max() > 0
    (gradient,) = torch.autograd.grad(mask_loss(logits, target, weight=torch.tensor([1.0, 0.0])), logits)
    assert (gradient[:, 1] == 0).all()


def test_a_finer_target_is_averaged() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2, :1] = 1
    assert shrink(target, torch.zeros(1, 1, 2, 2)).flatten().tolist() == [0.5, 0, 0, 0]
    logits = torch.randn(1, 1, 2, 2)
    torch.testing.assert_close(mask_loss(logits, target), mask_loss(logits, shrink(target, logits)))


def test_balance_frees_a_tiny_lesion_from_saying_no() -> None:
    """One voxel of ten thousand, all logits at -8: without the term there is next to no slope towards yes."""
    target = torch.zeros(1, 1, 100, 100)
    target[0, 0, 50, 50] = 1.0

    def slope(balance: float) -> float:
        logits = torch.full((1, 1, 100, 100), -8.0, requires_grad=True)
        mask_loss(logits, target, balance=balance).backward()
        assert logits.grad is not None
        return -float(logits.grad[0, 0, 50, 50])

    assert slope(0.1) > 50 * slope(0.0) > 0
    empty = torch.zeros(1, 1, 8, 8)
    torch.testing.assert_close(
        mask_loss(empty - 3, empty, balance=0.5), mask_loss(empty - 3, empty)
    )  # nothing inside: nothing added

"""Overlaps: published cubes, identities, and the rule for empties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sagittal.measure.segmentation import box, box_iou, dice, dice_by_label, iou, volume_ml


def test_two_cubes_have_their_published_dice() -> None:
    """100^3 beside 102x100x100 voxels, a 95th percentile distance of 2: Dice .990."""
    first, second = np.zeros((104, 104, 104), bool), np.zeros((104, 104, 104), bool)
    first[:100, :100, :100] = True
    second[:102, :100, :100] = True
    assert dice(first, second) == pytest.approx(0.990, abs=1e-3)


@given(
    array_shapes(min_dims=2, max_dims=3, max_side=6).flatmap(
        lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
    )
)
def test_dice_and_iou_agree_and_are_symmetric(masks: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = masks
    d, j = dice(a, b), iou(a, b)
    assert d == dice(b, a)
    assert d == pytest.approx(2 * j / (1 + j))
    assert dice(a, a) == iou(a, a) == 1.0
    if a.any() != b.any():
        assert d == j == 0.0


@given(arrays(bool, (5, 6, 7)))
def test_a_masks_box_is_the_smallest_that_holds_it(mask: np.ndarray) -> None:
    found = box(mask)
    if found is None:
        assert not mask.any()
        return
    window = tuple(slice(found[i], found[i + 3]) for i in range(3))
    assert mask[window].sum() == mask.sum()
    for axis in range(3):
        edges = np.moveaxis(mask[window], axis, 0)
        assert edges[0].any()
        assert edges[-1].any()


@given(arrays(bool, (6, 7)), arrays(bool, (6, 7)))
def test_box_iou_is_the_iou_of_the_filled_boxes(first: np.ndarray, second: np.ndarray) -> None:
    def filled(mask: np.ndarray) -> np.ndarray:
        out = np.zeros_like(mask)
        found = box(mask)
        if found is not None:
            out[found[0] : found[2], found[1] : found[3]] = True
        return out

    assert box_iou(box(first), box(second)) == pytest.approx(iou(filled(first), filled(second)))


def test_labels_are_scored_one_by_one() -> None:
    truth = np.array([[0, 1, 1], [2, 2, 0]])
    drawn = np.array([[0, 1, 0], [2, 2, 0]])
    assert dice_by_label(drawn, truth, (1, 2, 3)) == pytest.approx({1: 2 / 3, 2: 1.0, 3: 1.0})


def test_volume_counts_millilitres() -> None:
    assert volume_ml(np.ones((10, 10, 10)), (1, 1, 1)) == 1.0
    assert volume_ml(np.ones((22, 4, 5)), (6.5, 0.5, 0.5)) == pytest.approx(22 * 20 * 6.5 * 0.25 / 1000)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        dice(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="boxes"):
        box_iou((0, 0, 1, 1), (0, 0, 0, 1, 1, 1))
    with pytest.raises(ValueError, match="high"):
        box_iou((2, 2, 1, 1), (0, 0, 1, 1))

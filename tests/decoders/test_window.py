"""Sliding windows give back what a network that looks at single voxels gives on the whole."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sagittal.decoders.window import Window, gaussian, slide, starts


def pointwise(batch: Tensor) -> Tensor:
    """Two output channels, linear in each voxel."""
    return torch.cat([2 * batch[:, :1] - 1, batch.sum(1, keepdim=True)], dim=1)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 14), min_size=3, max_size=3),
    st.lists(st.integers(1, 8), min_size=3, max_size=3),
    st.floats(0, 0.9),
    st.integers(1, 5),
)
def test_equals_direct(shape: list[int], size: list[int], overlap: float, batch: int) -> None:
    image = torch.randn(2, *shape)
    out = slide(pointwise, image, Window(tuple(size), overlap, batch))
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, pointwise(image[None])[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(40, 30), (17, 40, 30)])
def test_constant_and_ramp(shape: tuple[int, ...]) -> None:
    window = Window(tuple(min(n, 16) for n in shape))
    axes = torch.meshgrid(*(torch.arange(float(n)) for n in shape), indexing="ij")
    ramp = sum(weight * axis for weight, axis in zip((1.0, -2.0, 0.5), axes, strict=False))
    for image in (torch.full(shape, 3.0), ramp):
        out = slide(lambda batch: batch, image[None], window)
        torch.testing.assert_close(out[0], image, atol=1e-4, rtol=1e-5)


def test_starts_cover_to_the_very_end() -> None:
    for length in range(1, 60):
        for size in range(1, 20):
            first = starts(length, size, 0.5)
            assert first[0] == 0
            assert first[-1] == max(0, length - size)
            assert all(0 < b - a <= size for a, b in itertools.pairwise(first))


def test_the_middle_weighs_most() -> None:
    weight = gaussian((9, 9))
    assert weight[4, 4] == weight.max() == 1
    assert weight.min() > 0


def test_empty_windows_are_not_computed() -> None:
    seen = []

    def count(batch: Tensor) -> Tensor:
        seen.append(len(batch))
        return batch + 1

    image = torch.zeros(1, 32, 32, 32)
    image[:, :4, :4, :4] = 1.0
    out = slide(count, image, Window((8, 8, 8), overlap=0.0, skip_below=0.0, empty=-9.0))
    assert sum(seen) == 1 + 3  # the one with something in it; one a slab tells how many channels there are
    assert out[0, 0, 0, 0] == 2
    assert out[0, 10, 10, 20] == -9


def test_finish_is_applied_slab_by_slab() -> None:
    image, depths = torch.randn(1, 40, 8, 8), []

    def argmax(slab: Tensor) -> Tensor:
        depths.append(slab.shape[1])
        return slab.argmax(0, keepdim=True).to(torch.uint8)

    out = slide(lambda b: torch.cat([b, -b], 1), image, Window((8, 8, 8)), finish=argmax)
    assert torch.equal(out[0] == 0, image[0] >= 0)
    assert out.dtype == torch.uint8
    assert max(depths) <= 8


def test_wrong_window_is_named() -> None:
    with pytest.raises(ValueError, match="must have 3 axes, got 2"):
        slide(pointwise, torch.zeros(1, 4, 4, 4), Window((2, 2)))
    with pytest.raises(ValueError, match="overlap"):
        Window((2, 2), overlap=1.0)

"""The pyramid: sizes in 2D and 3D, odd sizes, one image apart from its batch, channels that are missing."""

from __future__ import annotations

import pytest
import torch

from sagittal.layers.convolution import (
    Patchify,
    Pyramid,
    ResidualBlock,
    convolution,
    enlarge,
    grow,
    resize,
    shuffle,
)


def pyramid(axes: int, channels: int = 1) -> Pyramid:
    kernels, strides = [(3,) * axes] * 3, [(2,) * axes, (2,) * axes, (1,) * axes]
    return Pyramid(channels, (8, 16, 24), (0, 1, 2), kernels, strides)


@pytest.mark.parametrize("size", [(16, 24), (8, 16, 12)])
def test_each_stage_divides_by_its_stride(size: tuple[int, ...]) -> None:
    maps = pyramid(len(size))(torch.randn(2, 1, *size))
    half, quarter = (tuple(n // step for n in size) for step in (2, 4))
    assert [tuple(m.shape[1:]) for m in maps] == [(8, *half), (16, *quarter), (24, *quarter)]


@pytest.mark.parametrize("size", [(15, 21), (7, 9, 11)])
def test_a_block_rounds_odd_sizes_up(size: tuple[int, ...]) -> None:
    axes = len(size)
    block = ResidualBlock(8, 16, (3,) * axes, (2,) * axes)
    assert block(torch.randn(1, 8, *size)).shape == (1, 16, *(-(-n // 2) for n in size))


def test_thick_slices_keep_z() -> None:
    kernels, strides = [(1, 3, 3), (3, 3, 3)], [(1, 2, 2), (1, 2, 2)]
    net = Pyramid(6, (8, 16), (1, 1), kernels, strides)
    assert [tuple(m.shape[2:]) for m in net(torch.randn(1, 6, 5, 16, 16))] == [(5, 8, 8), (5, 4, 4)]


def test_an_image_is_the_same_whatever_shares_its_batch() -> None:
    torch.manual_seed(0)
    net, images = pyramid(2), torch.randn(3, 1, 16, 16)
    together, alone = net(images)[-1][:1], net(images[:1])[-1]
    torch.testing.assert_close(together, alone)


def test_a_missing_channel_is_not_read() -> None:
    torch.manual_seed(0)
    net, image = pyramid(2, channels=2), torch.randn(1, 2, 16, 16)
    other = image.clone()
    other[:, 1] = 7.0
    present = torch.tensor([[True, False]])
    torch.testing.assert_close(net(image, present)[-1], net(other, present)[-1])
    assert not torch.allclose(net(image)[-1], net(other)[-1])
    assert not torch.allclose(net(image, present)[-1], net(image)[-1])


def test_stages_must_agree() -> None:
    with pytest.raises(ValueError, match="one entry a stage"):
        Pyramid(1, (8, 16), (1,), [(3, 3)], [(2, 2)])
    with pytest.raises(ValueError, match="multiple of 8, got 12"):
        Pyramid(1, (12,), (1,), [(3, 3)], [(2, 2)])


@pytest.mark.parametrize("size", [(9, 7), (3, 6, 5)])
def test_enlarging_keeps_every_cell_where_it_is(size: tuple[int, ...]) -> None:
    """A coarse grid of an odd-sized image is drawn over its own pixels, not stretched over all of them."""
    image = torch.zeros(1, 1, *size)
    image[(..., *(slice(2, 4) for _ in size))] = 1.0
    coarse = resize(grow(image, (2,) * len(size)), [-(-n // 2) for n in size], smooth=False)
    large = enlarge(coarse, size)
    assert large.shape == image.shape
    assert int(large.flatten().argmax()) in image.flatten().nonzero().flatten().tolist()


def test_shuffle_lays_channels_out_as_torch_does() -> None:
    x = torch.randn(2, 12, 3, 5)
    torch.testing.assert_close(shuffle(x, (2, 2)), torch.nn.functional.pixel_shuffle(x, 2))
    assert shuffle(torch.randn(2, 24, 3, 4, 5), (1, 2, 2)).shape == (2, 6, 3, 8, 10)


@pytest.mark.parametrize(("size", "stride"), [((8, 12), (2, 4)), ((4, 8, 6), (1, 4, 2))])
def test_patches_are_looked_at_as_a_convolution_does(size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    stem, image = Patchify(3, 8, stride), torch.randn(2, 3, *size)
    look, normalise, _ = stem
    torch.testing.assert_close(stem(image), normalise(look(image)).relu())


@pytest.mark.parametrize("edge", [False, True])
@pytest.mark.parametrize("deep", [1, 2, 3])
def test_few_slices_learn_in_bfloat16_as_in_float32(deep: int, edge: bool) -> None:
    """torch 2.13 on a processor fills the weight gradient of two slices with what lay in memory."""
    layer = convolution(64, 64, (3, 3, 3), edge=edge)
    weight = layer.get_parameter("weight")
    for trial in range(8):
        torch.manual_seed(trial)
        x, slope = torch.randn(4, 64, deep, 4, 4), torch.randn(4, 64, deep, 4, 4)
        gradients = []
        for low in (True, False):
            layer.zero_grad()
            rubbish = [torch.full((64 * 64 * 27,), 1e25) for _ in range(3)]
            del rubbish
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
                found = layer(x)
            assert found.shape == x.shape
            (found.float() * slope).sum().backward()
            assert weight.grad is not None
            gradients.append(weight.grad.clone())
        torch.testing.assert_close(*gradients, rtol=0.05, atol=0.05 * float(gradients[1].abs().max()))

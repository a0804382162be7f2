"""Encoders of images: what they return, gradients to every weight, any mixer, padding, inflation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from sagittal.encoders.image import ImageConfig, build, plan
from sagittal.encoders.picture import PictureConfig, PictureEncoder, local_contrast
from sagittal.encoders.slices import SliceConfig
from sagittal.encoders.vit import VitConfig
from sagittal.encoders.volume import VolumeConfig, inflate
from sagittal.errors import BadInput
from sagittal.layers.config import from_json, to_json
from sagittal.layers.features import Extent
from sagittal.layers.mixer import MixerConfig

CONV = PictureConfig(channels=2, widths=(8, 16, 24), blocks=(1, 1, 1), strides=(2, 2, 2), heads=2)
THICK = VolumeConfig(
    channels=2,
    widths=(8, 16),
    blocks=(1, 1),
    kernels=((1, 3, 3), (3, 3, 3)),
    strides=((1, 2, 2), (2, 2, 2)),
    heads=2,
)
FLAT_VIT = VitConfig(patch=(8, 6), channels=2, layers=2, heads=2, widths=(8, 8, 16))
DEEP_VIT = VitConfig(patch=(2, 4, 4), channels=2, layers=3, heads=2, widths=(8, 16))
CASES: dict[str, tuple[ImageConfig, tuple[int, ...], int]] = {
    "picture": (CONV, (32, 24), 12),
    "picture with contrast": (replace(CONV, contrast=5), (32, 24), 12),
    "volume": (THICK, (6, 16, 12), 36),
    "vit 2D": (FLAT_VIT, (32, 24), 16),
    "vit 3D": (DEEP_VIT, (6, 16, 12), 36),
    "slices": (SliceConfig("slices", CONV, 1, 2), (5, 16, 16), 20),
    "slices of vit": (SliceConfig("slices", FLAT_VIT, 1, 2), (3, 16, 12), 12),
}
MIXERS = [
    MixerConfig("state_space", state=4),
    MixerConfig("recurrent", heads=2),
    MixerConfig("lstm"),
    MixerConfig("hybrid", heads=2, window=4),
    MixerConfig(heads=2, window=3),
]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor, int]:
    """(encoder, image, how many tokens)."""
    torch.manual_seed(0)
    config, size, tokens = CASES[request.param]
    return build(config, 16), torch.randn(2, 2, *size), tokens


def test_shapes(case: tuple[nn.Module, torch.Tensor, int]) -> None:
    encoder, image, tokens = case
    features = encoder(image)
    assert features.tokens.shape == (2, tokens, 16)
    assert features.pyramid[-1][0, 0].numel() == tokens
    assert all(each.ndim == image.ndim for each in features.pyramid)
    assert features.mask is None
    torch.testing.assert_close(features.pooled, features.tokens.mean(1))


def test_gradients_reach_every_weight(case: tuple[nn.Module, torch.Tensor, int]) -> None:
    encoder, image, _ = case
    features = encoder(image, torch.tensor([[True, False]] * 2))
    sum(x.square().sum() for x in (features.tokens, *features.pyramid)).backward()
    silent = [name for name, p in encoder.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert silent == []


def test_place_matters(case: tuple[nn.Module, torch.Tensor, int]) -> None:
    """The same blob on the left and on the right gives other tokens, not only moved ones."""
    encoder, image, _ = case
    left, right = torch.zeros_like(image), torch.zeros_like(image)
    left[..., :4], right[..., -4:] = 1.0, 1.0
    a, b = encoder(left).pooled, encoder(right).pooled
    assert (a - b).abs().max() > 1e-3


def test_the_plan_is_what_comes_out(case: tuple[nn.Module, torch.Tensor, int]) -> None:
    for config, size, _ in CASES.values():
        out, features = plan(config), build(config, 16)(torch.randn(1, 2, *size))
        assert [each.shape[1] for each in features.pyramid] == list(out.widths)
        assert (out.axes, len(out.kernels), out.channels) == (len(size), len(out.widths), 2)
        assert from_json(type(config), to_json(config)) == config


@pytest.mark.parametrize("mixer", MIXERS, ids=lambda mixer: mixer.kind)
def test_any_mixer_in_any_encoder(mixer: MixerConfig) -> None:
    for config, size, tokens in CASES.values():
        encoder = build(replace(config, mixer=mixer), 16)
        image = torch.randn(1, 2, *size)
        found = encoder(image).tokens
        assert found.shape == (1, tokens, 16)
        far = image.clone()
        far[..., -1, -1] += 50
        assert (encoder(far).tokens - found).abs().amax(-1).gt(0).sum() > 1


@pytest.mark.parametrize("mixer", [None, *MIXERS], ids=lambda mixer: mixer.kind if mixer else "default")
@pytest.mark.parametrize("config", [FLAT_VIT, DEEP_VIT, SliceConfig("slices", FLAT_VIT, 2, 2)], ids=str)
def test_a_padded_image_is_the_image(config: VitConfig | SliceConfig, mixer: MixerConfig | None) -> None:
    """Padding at the end of every axis, told by the size, holding anything."""
    torch.manual_seed(0)
    if isinstance(config, SliceConfig):
        config = replace(config, picture=replace(config.picture, mixer=mixer))
    encoder = build(replace(config, mixer=mixer), 16)
    image = torch.randn(1, 2, *((4,) if plan(config).axes == 3 else ()), 8, 12)
    small = encoder(image)
    spread = torch.randn(1, 2, *(n + 9 for n in image.shape[2:])) * 1e3
    spread[(slice(None), slice(None), *(slice(0, n) for n in image.shape[2:]))] = image
    large = encoder(spread, None, Extent(None, torch.tensor([image.shape[2:]])))
    assert large.mask is not None
    torch.testing.assert_close(large.tokens[large.mask][None], small.tokens, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(large.pooled, small.pooled, rtol=1e-4, atol=1e-4)


def test_a_pyramid_of_a_vit_fits_images_of_any_size() -> None:
    features = build(FLAT_VIT, 16)(torch.randn(1, 2, 33, 25))
    assert [tuple(each.shape[2:]) for each in features.pyramid] == [(17, 9), (9, 9), (5, 5)]


def test_spacing_reaches_depth_between_slices() -> None:
    encoder = build(CASES["slices"][0], 16)
    image = torch.randn(1, 2, 5, 16, 16)
    thin, thick = (encoder(image, None, Extent(torch.tensor([[z, 1.0, 1.0]]))).tokens for z in (1.0, 5.0))
    assert (thin - thick).abs().max() > 1e-3


def test_an_inflated_encoder_sees_in_a_constant_volume_what_it_saw_in_the_picture() -> None:
    """Carreira 2017; here to rounding at every slice, ends included, down to the tokens."""
    torch.manual_seed(0)
    config = replace(CONV, blocks=(0, 1, 2), strides=(2, 1, 2))
    picture = PictureEncoder(config, 16)
    inflated, encoder = inflate(picture, config, 16, strides=(1, 2, 2))
    assert from_json(VolumeConfig, to_json(inflated)) == inflated
    image = torch.randn(2, 2, 16, 24)
    flat, deep = picture(image), encoder(image.unsqueeze(2).expand(-1, -1, 7, -1, -1))
    assert [each.shape[2] for each in deep.pyramid] == [7, 4, 2]
    for a, b in zip(flat.pyramid, deep.pyramid, strict=True):
        torch.testing.assert_close(b, a.unsqueeze(2).expand_as(b), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(deep.tokens, flat.tokens.repeat(1, 2, 1), rtol=1e-4, atol=1e-5)
    # and depth can be learnt: the gate has a gradient
    moving = encoder(torch.randn(1, 2, 7, 16, 24)).tokens
    moving.square().sum().backward()
    assert encoder.trunk.depth.grad.abs() > 0


def test_local_contrast_is_each_pixel_beside_those_around_it() -> None:
    torch.manual_seed(0)
    image = 10 * torch.randn(2, 3, 12, 9)
    found = local_contrast(image, 5)
    around = image[1, 2, 4:9, 2:7]
    wanted = (image[1, 2, 6, 4] - around.mean()) / around.std(correction=0)
    torch.testing.assert_close(found[1, 2, 6, 4], wanted, rtol=1e-3, atol=1e-3)


def test_local_contrast_does_not_know_the_exposure() -> None:
    torch.manual_seed(0)
    image = 10 * torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(local_contrast(3 * image + 7, 7), local_contrast(image, 7), rtol=0, atol=1e-2)
    assert local_contrast(torch.full((1, 1, 8, 8), 0.4), 5).abs().max() < 1e-3


@pytest.mark.parametrize(("deviation", "kept"), [(0.1, 0.95), (0.07, 0.91), (0.032, 0.71), (0.01, 0.30)])
def test_local_contrast_loses_what_its_docstring_says_at_low_contrast(deviation: float, kept: float) -> None:
    board = torch.ones(20, 20)
    board[::2, ::2], board[1::2, 1::2] = -1, -1
    found = local_contrast(deviation * board[None, None], 19)[0, 0, 10, 10].abs()
    assert float(found) == pytest.approx(kept, abs=0.01)


@pytest.mark.parametrize("window", [-5, 1, 4])
def test_a_window_has_a_pixel_in_its_middle_and_others_around_it(window: int) -> None:
    with pytest.raises(BadInput, match="an odd number from 3 on, or 0"):
        build(replace(CONV, contrast=window), 16)


@pytest.mark.parametrize("name", ["picture", "volume"])
def test_a_convolution_does_not_ask_how_large_a_pixel_is(name: str) -> None:
    config, size, _ = CASES[name]
    encoder, image = build(config, 16), torch.randn(1, 2, *size)
    extent = Extent(torch.full((1, len(size)), 3.0))
    assert torch.equal(encoder(image, None, extent).tokens, encoder(image).tokens)


def test_a_picture_with_contrast_is_not_inflated() -> None:
    config = replace(CONV, contrast=5)
    with pytest.raises(ValueError, match="local contrast"):
        inflate(PictureEncoder(config, 16), config, 16)

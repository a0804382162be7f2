"""Patches: one matrix product is the convolution, places are millimetres, padding is not there."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sagittal.layers.features import Extent
from sagittal.layers.patches import LONGEST, SHORTEST, Patches, inside, places
from sagittal.layers.positions import waves


def codes(layer: Patches, image: torch.Tensor, extent: Extent | None = None) -> torch.Tensor:
    """What the tokens of an empty image hold: their place alone."""
    torch.nn.init.zeros_(layer.look.bias)
    return layer(torch.zeros_like(image), None, extent)[0]


@pytest.mark.parametrize("patch", [(4, 4), (2, 4, 4)])
def test_looks_as_a_convolution_does(patch: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = Patches(24, 2, patch)
    image = torch.randn(2, 2, *(3 * step for step in patch))
    weight = layer.look.weight.unflatten(1, (2, *patch))
    convolve = functional.conv2d if len(patch) == 2 else functional.conv3d
    wanted = convolve(image, weight, layer.look.bias, stride=patch).flatten(2).transpose(1, 2)
    tokens, mask, grid = layer(image)
    torch.testing.assert_close(tokens - codes(layer, image), wanted - layer.look.bias)
    assert mask is None
    assert grid == (3,) * len(patch)


def test_the_same_place_has_the_same_code_at_two_spacings() -> None:
    """128 mm drawn with 1 mm and with 2 mm voxels; and slices 5 mm apart beside slices 1 mm apart."""
    fine, coarse = Patches(48, 1, (8, 8)), Patches(48, 1, (4, 4))
    a = codes(fine, torch.zeros(1, 1, 128, 128), Extent(torch.tensor([[1.0, 1.0]])))
    b = codes(coarse, torch.zeros(1, 1, 64, 64), Extent(torch.tensor([[2.0, 2.0]])))
    torch.testing.assert_close(a, b)
    thin, thick = Patches(48, 1, (5, 8, 8)), Patches(48, 1, (1, 8, 8))
    a = codes(thin, torch.zeros(1, 1, 60, 16, 16), Extent(torch.tensor([[1.0, 0.7, 0.7]])))
    b = codes(thick, torch.zeros(1, 1, 12, 16, 16), Extent(torch.tensor([[5.0, 0.7, 0.7]])))
    torch.testing.assert_close(a, b)
    other = codes(thick, torch.zeros(1, 1, 12, 16, 16), Extent(torch.tensor([[1.0, 0.7, 0.7]])))
    assert (b - other).abs().max() > 0.5


def test_places_are_millimetres_from_the_middle() -> None:
    where = places((2, 3), (4, 2), torch.tensor([[0.5, 2.0]]), torch.tensor([[8, 6]]))
    wanted = [[-1.0, -4], [-1, 0], [-1, 4], [1, -4], [1, 0], [1, 4]]
    assert where[0].tolist() == wanted
    code = waves(where, 32, SHORTEST, LONGEST)
    assert torch.cdist(code, code).add(9 * torch.eye(6)).min() > 0.1


def test_padding_is_masked_and_never_seen() -> None:
    torch.manual_seed(0)
    layer = Patches(24, 1, (4, 4))
    size = torch.tensor([[8, 12], [5, 4], [0, 0]])
    image = torch.randn(3, 1, 12, 12)
    tokens, mask, _ = layer(image, None, Extent(None, size))
    assert mask is not None
    assert mask.sum(1).tolist() == [6, 2, 0]
    assert torch.equal(mask, inside((3, 3), (4, 4), size))
    loud = image.clone()
    loud[0, :, 8:], loud[1, :, 5:], loud[1, :, :, 4:], loud[2] = 1e6, torch.nan, -1e6, torch.inf
    assert torch.equal(layer(loud, None, Extent(None, size))[0], tokens)
    alone, _, _ = layer(image[:1, :, :8])
    torch.testing.assert_close(tokens[0][mask[0]], alone[0])  # the middle is that of the real part


def test_an_absent_channel_is_a_constant_of_its_own() -> None:
    layer, image = Patches(24, 2, (4, 4)), torch.randn(1, 2, 8, 8)
    torch.nn.init.constant_(layer.missing, 0.3)
    filled = image.clone()
    filled[:, 1] = 0.3
    assert torch.equal(layer(image, torch.tensor([[True, False]]))[0], layer(filled)[0])


def test_a_patch_has_two_or_three_sizes() -> None:
    with pytest.raises(ValueError, match=r"2 or 3 sizes of at least 1, got \(4,\)"):
        Patches(24, 1, (4,))

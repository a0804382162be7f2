"""The masked autoencoder: what is hidden is not seen, and is foretold better than by the mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sagittal.encoders.vit import VitConfig, VitEncoder
from sagittal.pretrain.autoencoder import Autoencoder, AutoencoderConfig, Guess
from sagittal.training.loop import FitConfig, fit


def _model(patch: tuple[int, ...] = (4, 4)) -> Autoencoder:
    torch.manual_seed(0)
    encoder = VitEncoder(VitConfig(patch=patch, layers=2, heads=4, widths=()), 32)
    return Autoencoder(encoder, 32, AutoencoderConfig(width=32, layers=1, heads=4))


@pytest.mark.parametrize(("patch", "size"), [((4, 4), (16, 24)), ((2, 4, 4), (6, 8, 8))])
def test_shapes_and_how_many_are_hidden(patch: tuple[int, ...], size: tuple[int, ...]) -> None:
    model = _model(patch)
    image = torch.randn(3, 1, *size)
    guess = model(image, torch.Generator().manual_seed(0))
    count = torch.Size(n // p for n, p in zip(size, patch, strict=True)).numel()
    assert guess.patches.shape == (3, count, torch.Size(patch).numel())
    assert (guess.hidden.sum(1) == round(0.75 * count)).all()
    assert model.loss(image, guess).ndim == 0


def test_what_is_hidden_is_not_seen() -> None:
    model = _model()
    image = torch.randn(2, 1, 16, 16)
    one = model(image, torch.Generator().manual_seed(3))
    pixels = one.hidden.reshape(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    other = model(torch.where(pixels, torch.randn_like(image), image), torch.Generator().manual_seed(3))
    assert torch.equal(one.hidden, other.hidden) and torch.equal(one.patches, other.patches)
    seen = model(torch.where(pixels, image, torch.randn_like(image)), torch.Generator().manual_seed(3))
    assert not torch.allclose(one.patches, seen.patches)


def test_beats_the_mean_predictor() -> None:
    """Stripes of one direction: the visible quarter tells the rest. The mean predictor's loss is 1."""

    def draw(seed: int) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        phase = torch.rand(16, 1, 1, generator=random) * 6.28
        wave = torch.sin(torch.arange(16) * 0.9 + phase).expand(16, 16, 16)
        return wave[:, None] + 0.05 * torch.randn(16, 1, 16, 16, generator=random)

    model = _model()
    config = FitConfig(steps=120, learning_rate=6e-3, average=None)
    fit(
        model,
        lambda image: {"masked": model.loss(image, model(image))},
        lambda n: map(draw, range(n, 10_000)),
        config,
    )
    image = draw(20_000)
    with torch.no_grad():
        loss = float(model.loss(image, model(image, torch.Generator().manual_seed(0))))
    assert loss < 0.8


def test_the_loss_is_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    settings = transformers.ViTMAEConfig(
        image_size=16, patch_size=4, num_channels=1, hidden_size=32, num_hidden_layers=1,
        num_attention_heads=4, intermediate_size=64, decoder_hidden_size=32, decoder_num_hidden_layers=1,
        decoder_num_attention_heads=4, decoder_intermediate_size=64, norm_pix_loss=True,
    )  # fmt: skip
    theirs = transformers.ViTMAEForPreTraining(settings).eval()
    image, model = torch.randn(3, 1, 16, 16), _model()
    with torch.no_grad():
        out = theirs(image)
        loss = model.loss(image, Guess(out.logits, out.mask.bool()))
    assert float(loss) == pytest.approx(float(out.loss), rel=1e-5)

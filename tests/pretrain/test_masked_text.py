"""Masked text: the colour is hidden; only who sees the picture can name it."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.encoders.text import TextConfig, TextEncoder
from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.layers.features import Tokens
from sagittal.pretrain.masked_text import MaskedTextHead, hide_words, masked_text_loss, named
from sagittal.training.loop import FitConfig, fit

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "white": (1, 1, 1)}
TEXTS = [f"a {colour} square" for colour in COLOURS]
TOKENIZER = train_tokenizer(TEXTS * 5, 330)


def pairs(seed: int, n: int = 32) -> tuple[Tensor, Tokens]:
    """Pictures (B, 3, 8, 8) of a coloured square, and what they are."""
    random = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 4, (n,), generator=random)
    image = 0.3 * torch.randn(n, 3, 8, 8, generator=random)
    image[:, :, 2:6, 2:6] += 2.0 * torch.tensor(list(COLOURS.values()))[kind][..., None, None]
    return image, TOKENIZER([TEXTS[k] for k in kind.tolist()], 16)


def colour(text: Tokens) -> tuple[Tokens, Tensor]:
    """The text without its colour."""
    where = torch.zeros_like(text.mask)
    where[:, 2] = True
    return Tokens(text.ids.masked_fill(where, 0), text.mask), where


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_hides_the_same_share_of_every_text_and_never_its_start(share: float) -> None:
    lengths = torch.tensor([12, 7, 2, 1, 0])
    mask = torch.arange(12) < lengths[:, None]
    text = Tokens(torch.arange(5, 17).expand(5, 12) * mask, mask)
    hidden, where = hide_words(text, share, torch.Generator().manual_seed(0))
    assert where.sum(1).tolist() == [max(1, round(share * (n - 1))) if n > 1 else 0 for n in lengths.tolist()]
    assert not where[:, 0].any()
    assert (hidden.ids[where] == 0).all()
    assert torch.equal(hidden.ids[~where], text.ids[~where])
    assert torch.equal(hidden.mask, text.mask)
    assert not torch.equal(where, hide_words(text, 0.3, torch.Generator().manual_seed(1))[1])


def test_loss_by_hand() -> None:
    logits = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    text = Tokens(torch.tensor([[1, 3, 2]]), torch.ones(1, 3, dtype=torch.bool))
    where = torch.tensor([[False, True, False]])
    assert float(masked_text_loss(logits, text, where)) == pytest.approx(
        -float(logits[0, 1].log_softmax(-1)[3])
    )
    assert float(masked_text_loss(logits, text, ~text.mask)) == 0


def test_the_picture_tells_the_hidden_colour() -> None:
    torch.manual_seed(0)
    text_encoder = TextEncoder(TextConfig(TOKENIZER.size, 16, layers=1, heads=2), 32)
    config = PictureConfig(channels=3, widths=(16,), blocks=(1,), strides=(4,), mixers=0, heads=2)
    encoder = PictureEncoder(config, 32)
    head = MaskedTextHead(32, 2)

    def guess(image: Tensor | None, hidden: Tokens) -> Tensor:
        seen = None if image is None else encoder(image)
        return head(text_encoder(hidden), seen, text_encoder.embed.weight)

    def objective(batch: tuple[Tensor, Tokens, int]) -> dict[str, Tensor]:
        image, text, step = batch
        hidden, where = hide_words(text, 0.7, torch.Generator().manual_seed(step))
        shown = image if step % 4 else None  # it also learns to do without
        return {"masked text": masked_text_loss(guess(shown, hidden), text, where)}

    fit(
        nn.ModuleList([text_encoder, encoder, head]),
        objective,
        lambda start: ((*pairs(seed), seed) for seed in itertools.count(start)),
        FitConfig(steps=120, learning_rate=8e-3, average=0.9),
    )
    image, text = pairs(99_999, 200)
    hidden, where = colour(text)
    with torch.no_grad():
        with_image, without = guess(image, hidden), guess(None, hidden)
    most = max(int((text.ids[where] == word).sum()) for word in text.ids[where].unique()) / 200
    assert named(with_image, text, where) > 0.97
    assert named(without, text, where) <= most  # nobody can know it
    assert float(masked_text_loss(with_image, text, where)) < 0.15
    assert float(masked_text_loss(without, text, where)) == pytest.approx(math.log(4), abs=0.15)
    shape = Tokens(text.ids.clone(), text.mask)
    shape.ids[:, 3] = 0
    last = torch.zeros_like(where)
    last[:, 3] = True
    with torch.no_grad():
        assert named(guess(None, shape), text, last) == 1  # the words alone tell the shape

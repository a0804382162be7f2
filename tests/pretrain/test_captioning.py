"""Captioning: the loss by hand, and a toy whose captions are known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from sagittal.decoders.language import LanguageConfig, LanguageDecoder, joined, opened
from sagittal.decoders.search import greedy
from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.layers.features import Tokens
from sagittal.pretrain.captioning import caption_loss, foretold, image_gain, text_log_probability
from sagittal.pretrain.contrastive import contrastive_loss, retrieval
from sagittal.training.loop import FitConfig, fit

WHERE = {"upper left": (0, 0), "upper right": (0, 8), "lower left": (8, 0), "lower right": (8, 8)}
WHAT = {"bright": 1.5, "dark": -1.5}
KINDS = list(itertools.product(WHAT, WHERE))
CAPTIONS = [f"{what} spot, {where}." for what, where in KINDS]
TOKENIZER = train_tokenizer(CAPTIONS * 3, 400)


def pictures(seed: int, n: int) -> tuple[Tensor, list[int]]:
    """Noise with one spot of 4 x 4 pixels, bright or dark, somewhere in a quarter."""
    random = torch.Generator().manual_seed(seed)
    image, kinds = (
        0.3 * torch.randn(n, 1, 16, 16, generator=random),
        torch.randint(0, 8, (n,), generator=random),
    )
    for row, kind in enumerate(kinds.tolist()):
        what, where = KINDS[kind]
        y, x = (place + int(torch.randint(1, 4, (), generator=random)) for place in WHERE[where])
        image[row, 0, y : y + 4, x : x + 4] += WHAT[what]
    return image, kinds.tolist()


def test_loss_by_hand() -> None:
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    text = Tokens(
        torch.tensor([[1, 3, 4, 2], [1, 2, 0, 0]]), torch.tensor([[True] * 4, [True, True, False, False]])
    )
    logp = logits.log_softmax(-1)
    first, second = logp[0, 0, 3] + logp[0, 1, 4] + logp[0, 2, 2], logp[1, 0, 2]
    assert float(caption_loss(logits, text)) == pytest.approx(-float(first + second) / 4, abs=1e-5)
    torch.testing.assert_close(text_log_probability(logits, text), torch.stack([first, second]))
    only = torch.tensor([[False, False, True, True], [False] * 4])
    assert float(caption_loss(logits, text, written=only)) == pytest.approx(
        -float(logp[0, 1, 4] + logp[0, 2, 2]) / 2, abs=1e-5
    )
    smooth = -(0.9 * (first + second) + 0.1 * logp[[0, 0, 0, 1], [0, 1, 2, 0]].mean(-1).sum()) / 4
    assert float(caption_loss(logits, text, smooth=0.1)) == pytest.approx(float(smooth), abs=1e-5)
    assert float(caption_loss(logits, text, written=~text.mask)) == 0


def test_writes_the_caption_of_pictures_it_never_saw() -> None:
    """Contrastive and captioning together, as CoCa; half of the texts stand behind a question."""
    torch.manual_seed(0)
    encoder = PictureEncoder(PictureConfig(widths=(32,), blocks=(1,), strides=(4,), heads=2), 32)
    decoder = LanguageDecoder(LanguageConfig(TOKENIZER.size, 32, layers=2, heads=2), 32)
    words = nn.EmbeddingBag(TOKENIZER.size, 32)
    everything = nn.ModuleDict({"encoder": encoder, "decoder": decoder, "words": words})
    everything.register_parameter("scale", nn.Parameter(torch.tensor(2.0)))

    def draw(seed: int, n: int = 32) -> tuple[Tensor, Tokens, Tensor, Tensor]:
        image, kinds = pictures(seed, n)
        text = TOKENIZER([CAPTIONS[kind] for kind in kinds], 32, end=True)
        asked = TOKENIZER(["spot?" if row % 2 else None for row in range(n)], 32)
        kind = torch.tensor(kinds)
        same = (kind[:, None] == kind).float()
        return image, *joined(asked, text), same / same.sum(1, keepdim=True)

    def objective(batch: tuple[Tensor, Tokens, Tensor, Tensor]) -> dict[str, Tensor]:
        image, text, written, same = batch
        seen = encoder(image)
        said = words(text.ids * written, per_sample_weights=None)
        unit = [nn.functional.normalize(each, dim=1) for each in (seen.pooled, said)]
        return {
            "caption": caption_loss(decoder(text, seen), text, written=written),
            "contrastive": 0.2 * contrastive_loss(*unit, everything.scale, same),
        }

    image, text, written, same = draw(99_999, 64)
    with torch.no_grad():
        assert abs(image_gain(decoder, text, encoder(image), written)) < 0.05
    fit(
        everything,
        objective,
        lambda start: (draw(seed) for seed in itertools.count(start)),
        FitConfig(steps=90, learning_rate=6e-3, average=0.9),
    )
    everything.eval()
    with torch.no_grad():
        seen = encoder(image)
        logits = decoder(text, seen)
        said = words(text.ids * written)
        gain = image_gain(decoder, text, seen, written)
    assert foretold(logits, text, written) > 0.95
    assert gain > 0.3
    # what is left is nothing; without the picture it would be log 2 for what and log 4 for where, a text
    blind = math.log(8) / float(written.sum(1).float().mean())
    assert float(caption_loss(logits, text, written=written)) < 0.7 * blind
    assert retrieval(*(nn.functional.normalize(e, dim=1) for e in (seen.pooled, said)), same) > 0.8
    for prompt in (opened(TOKENIZER([None] * 64, 32)), opened(TOKENIZER(["spot?"] * 64, 32))):
        made = greedy(decoder, prompt, seen, end=TOKENIZER.end, most=20)
        wanted = [CAPTIONS[kind] for kind in pictures(99_999, 64)[1]]
        right = [
            TOKENIZER.decode(row.tolist()) == want for row, want in zip(made.text.ids, wanted, strict=True)
        ]
        assert sum(right) / 64 > 0.9

"""Preference tuning: the loss by hand; a decoder that takes up the edited style and keeps the rest."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import Tensor

from sagittal.decoders.language import LanguageConfig, LanguageDecoder, joined, opened
from sagittal.decoders.search import greedy
from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.layers.features import Features, Tokens
from sagittal.pretrain.captioning import caption_loss
from sagittal.pretrain.preference import (
    Pairs,
    divergence,
    dpo_loss,
    margins,
    pair_log_probabilities,
    preference_terms,
    with_reference,
)
from sagittal.training.loop import FitConfig, fit

FINDINGS = ("nodule", "effusion", "mass", "fracture")
DRAFTED, EDITED = "there is a {}.", "{}."
REST = "the lungs are clear."
TOKENIZER = train_tokenizer([t.format(f) for t in (DRAFTED, EDITED) for f in FINDINGS] * 3 + [REST] * 3, 400)


def seen(kinds: list[int]) -> Features:
    """A study as two tokens; kind 4 is a normal one."""
    tokens = torch.randn(5, 2, 24, generator=torch.Generator().manual_seed(0))[kinds]
    return Features((), tokens, tokens.mean(1))


def texts(said: list[str]) -> tuple[Tokens, Tensor]:
    return joined(TOKENIZER([None] * len(said), 24), TOKENIZER(said, 24, end=True))


def written_by(decoder: LanguageDecoder, kinds: list[int]) -> list[str]:
    made = greedy(
        decoder, opened(TOKENIZER([None] * len(kinds), 24)), seen(kinds), end=TOKENIZER.end, most=20
    )
    return [TOKENIZER.decode(row.tolist()) for row in made.text.ids]


def test_loss_by_hand() -> None:
    logp = torch.tensor([[-10.0, -12.0], [-7.0, -3.0]])
    reference = torch.tensor([[-11.0, -11.0], [-6.0, -6.0]])
    # margins: (1) - (-1) = 2 and (-1) - (3) = -4
    torch.testing.assert_close(margins(logp, reference), torch.tensor([2.0, -4.0]))
    by_hand = (math.log(1 + math.exp(-0.2)) + math.log(1 + math.exp(0.4))) / 2
    assert float(dpo_loss(logp, reference, beta=0.1)) == pytest.approx(by_hand, abs=1e-6)
    other = (math.log(1 + math.exp(0.2)) + math.log(1 + math.exp(-0.4))) / 2
    assert float(dpo_loss(logp, reference, beta=0.1, smooth=0.25)) == pytest.approx(
        0.75 * by_hand + 0.25 * other, abs=1e-6
    )
    assert float(dpo_loss(reference, reference)) == pytest.approx(math.log(2))


def test_gradient_is_that_of_the_paper() -> None:
    """Rafailov 2023, section 4: -beta * sigmoid(-beta * margin) * (grad chosen - grad rejected)."""
    logp = torch.tensor([[-10.0, -12.0]], requires_grad=True)
    reference = torch.tensor([[-9.0, -13.0]])
    dpo_loss(logp, reference, beta=0.5).backward()
    weight = 0.5 / (1 + math.exp(0.5 * -2.0))
    torch.testing.assert_close(logp.grad, torch.tensor([[-weight, weight]]))


def test_takes_up_the_edited_style_and_keeps_the_rest() -> None:
    torch.manual_seed(0)
    decoder = LanguageDecoder(LanguageConfig(TOKENIZER.size, 24, layers=2, heads=2), 24)

    def report(step: int) -> dict[str, Tensor]:
        random = torch.Generator().manual_seed(step)
        kinds = torch.randint(0, 5, (32,), generator=random).tolist()
        style = (torch.rand(32, generator=random) < 0.8).tolist()  # most of what it learnt from is wordy
        said = [
            REST if kind == 4 else (DRAFTED if wordy else EDITED).format(FINDINGS[kind])
            for kind, wordy in zip(kinds, style, strict=True)
        ]
        text, written = texts(said)
        return {"caption": caption_loss(decoder(text, seen(kinds)), text, written=written)}

    steps = lambda start: iter(torch.arange(start, 100_000))  # noqa: E731
    fit(decoder, lambda step: report(int(step)), steps, FitConfig(steps=60, learning_rate=8e-3, average=None))
    decoder.eval()
    kinds = list(range(4))
    assert written_by(decoder, [*kinds, 4]) == [*(DRAFTED.format(f) for f in FINDINGS), REST]

    before = copy.deepcopy(decoder)
    # a radiologist shortened three of the four; the fracture was never edited
    taught = kinds[:3]
    pairs = with_reference(
        decoder,
        Pairs(
            texts([EDITED.format(FINDINGS[k]) for k in taught]),
            texts([DRAFTED.format(FINDINGS[k]) for k in taught]),
            seen(taught),
        ),
    )
    with pytest.raises(ValueError, match="must have their reference"):
        preference_terms(decoder, Pairs(pairs.chosen, pairs.rejected, pairs.context))
    fit(
        decoder,
        lambda _: preference_terms(decoder, pairs, beta=0.3, keep=0.1),
        lambda start: itertools.repeat(torch.zeros(3)),
        FitConfig(steps=25, learning_rate=1e-3, average=None, weight_decay=0.0),
    )
    assert pairs.reference is not None
    with torch.no_grad():
        assert (margins(pair_log_probabilities(decoder, pairs), pairs.reference) > 2).all()
    # the style carries over to the fracture, and what was never edited stands
    assert written_by(decoder, [*kinds, 4]) == [*(EDITED.format(f) for f in FINDINGS), REST]
    text, written = texts([REST])
    with torch.no_grad():
        rest = divergence(decoder(text, seen([4])), before(text, seen([4])), written)
        text, written = pairs.rejected
        changed = divergence(decoder(text, seen(taught)), before(text, seen(taught)), written)
    assert rest < 0.2
    assert changed > 4 * rest

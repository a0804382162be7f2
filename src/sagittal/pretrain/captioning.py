"""Captioning: the report from the image, token by token (the generative half of CoCa, Yu 2022).

text, written = joined(prefix, tokenizer(reports, length, end=True))
features = encoder(image)
caption_loss(decoder(text, features), text, written=written) + contrastive_loss(...)  # both: CoCa
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from sagittal.decoders.language import LanguageDecoder
from sagittal.layers.features import Features, Tokens


def caption_loss(
    logits: Tensor, text: Tokens, *, written: Tensor | None = None, smooth: float = 0.0
) -> Tensor:
    """Mean cross-entropy a token, in nats: logits (B, T, V) at each token are for the one after it.

    Args:
        written: (B, T) bool, the tokens that are to be foretold (`joined`); None: all but the first.
        smooth: share of the target spread over the whole vocabulary (Szegedy 2016).

    Rows are read with their padding last, as the tokenizer and `joined` leave them.
    """
    guess, wanted, counted = _next(logits, text, written)
    each = functional.cross_entropy(guess.transpose(1, 2), wanted, reduction="none", label_smoothing=smooth)
    return (each * counted).sum() / counted.sum().clamp(min=1)


def text_log_probability(logits: Tensor, text: Tokens, written: Tensor | None = None) -> Tensor:
    """(B,) log-probability of each text given what stands before: logits (B, T, V), written as above."""
    guess, wanted, counted = _next(logits, text, written)
    each = guess.log_softmax(-1).gather(-1, wanted[..., None])[..., 0]
    return (each * counted).sum(1)


@torch.no_grad()
def foretold(logits: Tensor, text: Tokens, written: Tensor | None = None) -> float:
    """Share of tokens that are the likeliest one: a probe to log while training."""
    guess, wanted, counted = _next(logits, text, written)
    return float(((guess.argmax(-1) == wanted) & counted).sum() / counted.sum().clamp(min=1))


@torch.no_grad()
def image_gain(
    decoder: LanguageDecoder, text: Tokens, context: Features, written: Tensor | None = None
) -> float:
    """Nats a token that the image is worth: the loss with the next row's image less that with one's own.

    About 0 for a decoder that recites what reports usually say without looking. B > 1 rows.
    """
    mask = None if context.mask is None else context.mask.roll(1, 0)
    other = replace(context, tokens=context.tokens.roll(1, 0), pooled=context.pooled.roll(1, 0), mask=mask)
    losses = [caption_loss(decoder(text, each), text, written=written) for each in (other, context)]
    return float(losses[0] - losses[1])


def _next(logits: Tensor, text: Tokens, written: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, the tokens they are for, and which of these count."""
    counted = text.mask if written is None else text.mask & written
    return logits[:, :-1].float(), text.ids[:, 1:], counted[:, 1:] & text.mask[:, :-1]

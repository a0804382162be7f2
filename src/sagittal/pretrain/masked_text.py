"""Masked text with cross-modal context: the image helps to foretell hidden words (BERT, Devlin 2019; FLAVA,
Singh 2022).

hidden, where = hide_words(text, 0.15, generator)
logits = head(encoder(hidden), image_features, encoder.embed.weight)
masked_text_loss(logits, text, where)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.fusion.intermediate import CrossAttention
from sagittal.layers.features import Features, Tokens


def hide_words(
    text: Tokens, share: float = 0.15, generator: torch.Generator | None = None
) -> tuple[Tokens, Tensor]:
    """Hide that share of the tokens of each text, at least one; never the first, which is the start.

    Returns Tokens (B, T), where a hidden token is a 0 that counts (no text has one: 0 pads), and where (B, T)
    bool. A text without a token behind the start stays as it is.
    """
    may = text.mask & (text.mask.cumsum(1) > 1)
    chance = torch.rand(may.shape, generator=generator).to(may.device).masked_fill(~may, 2.0)
    count = (share * may.sum(1)).round().clamp(min=1)
    where = may & (chance.argsort(1).argsort(1) < count[:, None])
    return Tokens(text.ids.masked_fill(where, 0), text.mask), where


class MaskedTextHead(nn.Module):
    """Text tokens look at the image, then name the word: text (B, T, D), image (B, N, D) -> (B, T, V).

    ``image`` may be None. ``words`` (V, D): the embedding of the text encoder, which is the output too.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.look = CrossAttention(width, heads)
        nn.init.constant_(self.look.gates, 0.5)  # the head is new: there is nothing yet to disturb
        self.turn = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))

    def forward(self, text: Features, image: Features | None, words: Tensor) -> Tensor:
        tokens = text.tokens if image is None else self.look(text.tokens, image.tokens, image.mask)
        return functional.linear(self.turn(tokens), words)


def masked_text_loss(logits: Tensor, text: Tokens, where: Tensor) -> Tensor:
    """Mean cross-entropy over the hidden tokens: logits (B, T, V), the whole text, where (B, T) bool."""
    each = functional.cross_entropy(logits.float().transpose(1, 2), text.ids, reduction="none")
    return (each * where).sum() / where.sum().clamp(min=1)


@torch.no_grad()
def named(logits: Tensor, text: Tokens, where: Tensor) -> float:
    """Share of the hidden words that are named right: log it with the image and without."""
    return float(((logits.argmax(-1) == text.ids) & where).sum() / where.sum().clamp(min=1))

"""Preference tuning from edited reports: direct preference optimisation (DPO, Rafailov 2023).

A pair is what the model drafted and what the radiologist signed instead. The decoder learns to hold the
second for likelier than the first, measured against where it began.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sagittal.decoders.language import LanguageDecoder
from sagittal.layers.features import Features, Tokens
from sagittal.pretrain.captioning import text_log_probability


@dataclass(frozen=True)
class Pairs:
    """B pairs: texts with their prefix and which of their tokens were written (`decoders.language.joined`).

    ``context`` (B, N, D): what both were written from. ``reference`` (B, 2): log-probabilities of chosen and
    rejected before tuning, from `with_reference`.
    """

    chosen: tuple[Tokens, Tensor]
    rejected: tuple[Tokens, Tensor]
    context: Features | None = None
    reference: Tensor | None = None


def dpo_loss(logp: Tensor, reference: Tensor, *, beta: float = 0.1, smooth: float = 0.0) -> Tensor:
    """-log sigmoid(beta * margin), mean: logp, reference (B, 2) of chosen and rejected.

    margin = (logp chosen - reference chosen) - (logp rejected - reference rejected); Rafailov 2023, eq. 7.

    Args:
        beta: how dear it is to leave the reference; smooth: how many pairs may be the wrong way round
            (conservative DPO, Mitchell 2023).
    """
    margin = beta * margins(logp, reference)
    return -((1 - smooth) * functional.logsigmoid(margin) + smooth * functional.logsigmoid(-margin)).mean()


def margins(logp: Tensor, reference: Tensor) -> Tensor:
    """(B,) nats by which the chosen text is preferred more than before; the probe: how many are above 0."""
    change = logp - reference
    return change[:, 0] - change[:, 1]


def pair_log_probabilities(decoder: LanguageDecoder, pairs: Pairs) -> Tensor:
    """(B, 2) of chosen and rejected."""
    both = [
        text_log_probability(decoder(text, pairs.context), text, written)
        for text, written in (pairs.chosen, pairs.rejected)
    ]
    return torch.stack(both, 1)


@torch.no_grad()
def with_reference(decoder: LanguageDecoder, pairs: Pairs) -> Pairs:
    """The pairs with the log-probabilities of ``decoder``, asked once before it is tuned."""
    return Pairs(pairs.chosen, pairs.rejected, pairs.context, pair_log_probabilities(decoder, pairs))


def preference_terms(
    decoder: LanguageDecoder, pairs: Pairs, *, beta: float = 0.1, smooth: float = 0.0, keep: float = 0.0
) -> dict[str, Tensor]:
    """The terms that `training.loop.fit` adds up.

    Args:
        keep: weight of the chosen text's own loss in nats a token; DPO alone may lower both texts as long as
            the rejected one falls faster (Pang 2024).

    Raises:
        ValueError: the pairs have no reference.
    """
    if pairs.reference is None:
        raise ValueError("pairs must have their reference: with_reference(decoder, pairs)")
    logp = pair_log_probabilities(decoder, pairs)
    terms = {"preference": dpo_loss(logp, pairs.reference, beta=beta, smooth=smooth)}
    if keep:
        tokens = pairs.chosen[1].sum(1).clamp(min=1)
        terms["keep"] = -keep * (logp[:, 0] / tokens).mean()
    return terms


@torch.no_grad()
def divergence(logits: Tensor, reference: Tensor, written: Tensor) -> float:
    """KL(tuned || reference) in nats a written token, along given texts: logits (B, T, V), written (B, T).

    How much was changed: on texts that nobody edited it should stay near 0.
    """
    ours, theirs = logits[:, :-1].float().log_softmax(-1), reference[:, :-1].float().log_softmax(-1)
    each = (ours.exp() * (ours - theirs)).sum(-1)
    counted = written[:, 1:]
    return float((each * counted).sum() / counted.sum().clamp(min=1))

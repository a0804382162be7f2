"""Writing: which of the texts a decoder holds for possible is taken. Greedy, beam, sampling.

prompt = opened(tokenizer([None, "is there an effusion?"], 64))  # a start token, behind a question or alone
written = beam(decoder, prompt, features, end=tokenizer.end, beams=4)
tokenizer.decode(written.text.ids[0].tolist())

The decoder may be any `Decodes`; a `Constraint` keeps the text in its language, whatever the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from sagittal.decoders.constraint import Constraint
from sagittal.layers.features import Features, Tokens

SILENT = (0, 1)
"""Padding and start are never written (unless the start also ends: see the tokenizer)."""


class Decodes(Protocol):
    """What is asked of a decoder; `language.LanguageDecoder` is one. Its memory has ``rows(index)``."""

    def begin(self, batch: int, length: int, context: Features | None = None) -> Any: ...

    def extend(self, ids: Tensor, memory: Any, mask: Tensor | None = None) -> tuple[Tensor, Any]: ...


@dataclass(frozen=True)
class Written:
    """Texts (B, N) behind their prompts, the end token included; padded with 0.

    Attributes:
        log_probability: (B,) of the text given the prompt (under a constraint: renormalised at each token
            over what it allows), whatever temperature and cuts chose by.
        ended: (B,) bool; False where ``most`` tokens were not enough.
    """

    text: Tokens
    log_probability: Tensor
    ended: Tensor


def greedy(
    decoder: Decodes, prompt: Tokens, context: Features | None = None, *, end: int, most: int = 128,
    constraint: Constraint | None = None,
) -> Written:  # fmt: skip
    """The likeliest token each time: prompt (B, T), a real token or more a row -> up to ``most`` more."""
    return _write(_Pen(decoder, prompt, context, end, most, constraint), lambda logp: logp.argmax(-1))


def sample(
    decoder: Decodes, prompt: Tokens, context: Features | None = None, *, end: int, most: int = 128,
    constraint: Constraint | None = None, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0,
    seed: int = 0,
) -> Written:  # fmt: skip
    """Tokens drawn from what `narrowed` leaves; the same seed gives the same texts on every device."""
    generator = torch.Generator().manual_seed(seed)

    def draw(logp: Tensor) -> Tensor:
        chances = narrowed(logp, temperature, top_k, top_p).exp().cpu()
        return torch.multinomial(chances, 1, generator=generator)[:, 0].to(logp.device)

    return _write(_Pen(decoder, prompt, context, end, most, constraint), draw)


def narrowed(logp: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Log-probabilities (B, V) that sampling draws from.

    First the temperature; then the ``top_k`` likeliest (0: all); of these the fewest that together have
    ``top_p`` (nucleus, Holtzman 2020); then they are brought to a sum of 1.

    Raises:
        ValueError: temperature not above 0, top_k below 0, top_p not in (0, 1].
    """
    if not temperature > 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError("temperature must be above 0, top_k at least 0, top_p above 0 and at most 1")
    logp = (logp / temperature).log_softmax(-1)
    ranked, order = torch.sort(logp, dim=-1, descending=True, stable=True)
    if top_k:
        ranked[..., top_k:] = -torch.inf
        ranked = ranked.log_softmax(-1)
    chances = ranked.exp()
    ranked = ranked.masked_fill(chances.cumsum(-1) - chances >= top_p, -torch.inf)
    return torch.full_like(logp, -torch.inf).scatter(-1, order, ranked).log_softmax(-1)


@torch.no_grad()
def beam(
    decoder: Decodes, prompt: Tokens, context: Features | None = None, *, end: int, most: int = 128,
    constraint: Constraint | None = None, beams: int = 4, penalty: float = 1.0,
) -> Written:  # fmt: skip
    """The best of ``beams`` texts kept side by side, by log-probability / ((5 + length) / 6) ** penalty.

    Length normalisation of Wu et al. 2016; ``penalty`` 0 is none. With as many beams as there are beginnings
    the result is the best text of all; it stops as soon as no text still open can be better.
    """
    if beams < 1 or penalty < 0:
        raise ValueError(f"beams must be at least 1 and penalty at least 0, got {beams} and {penalty}")
    pen = _Pen(decoder, prompt, context, end, most, constraint)
    batch, device = prompt.ids.shape[0], prompt.ids.device
    pen.rows(torch.arange(batch, device=device).repeat_interleave(beams))
    open_ = torch.full((batch, beams), -torch.inf, device=device)
    open_[:, 0] = 0.0
    ids = torch.zeros(batch, beams, most, dtype=torch.int64, device=device)
    best = _Best(batch, most, device)
    first = torch.arange(batch, device=device)[:, None] * beams
    for step in range(most):
        scores = open_[..., None] + pen.log_probabilities().unflatten(0, (batch, beams))
        ids[:, :, step] = end
        best.offer(scores[..., end], ids, ((6 + step) / 6) ** penalty, ended=True)
        scores[..., end] = -torch.inf
        open_, place = scores.flatten(1).topk(beams, 1)
        parent, token = place // scores.shape[-1], place % scores.shape[-1]
        ids = ids.gather(1, parent[..., None].expand(-1, -1, most))
        ids[:, :, step] = token
        # later tokens only take away, and a longer text divides by more: no open text gets above this
        hope = open_.amax(1) / ((5 + most) / 6) ** penalty
        if step + 1 == most or bool((best.value >= hope).all()):
            break
        pen.rows((first + parent).flatten())
        pen.write(token.flatten())
    if step + 1 == most:
        best.offer(open_, ids, ((5 + most) / 6) ** penalty, ended=False)
    return best.written()


class _Best:
    """The best text so far of each row."""

    def __init__(self, batch: int, most: int, device: torch.device) -> None:
        self.value = torch.full((batch,), -torch.inf, device=device)
        self.logp = self.value.clone()
        self.ids = torch.zeros(batch, most, dtype=torch.int64, device=device)
        self.ended = torch.zeros(batch, dtype=torch.bool, device=device)

    def offer(self, logp: Tensor, ids: Tensor, norm: float, *, ended: bool) -> None:
        """logp (B, K) of texts ids (B, K, N), all of one length."""
        top, which = logp.max(1)
        better = top / norm > self.value
        found = ids[torch.arange(len(ids), device=ids.device), which]
        self.value = torch.where(better, top / norm, self.value)
        self.logp = torch.where(better, top, self.logp)
        self.ids = torch.where(better[:, None], found, self.ids)
        self.ended = torch.where(better, torch.tensor(ended, device=ids.device), self.ended)

    def written(self) -> Written:
        return _written(self.ids, self.logp, self.ended)


class _Pen:
    """A decoder at work on a batch: what may come next, and writing it."""

    @torch.no_grad()
    def __init__(
        self, decoder: Decodes, prompt: Tokens, context: Features | None, end: int, most: int,
        constraint: Constraint | None,
    ) -> None:  # fmt: skip
        if not bool(prompt.mask.any(1).all()):
            raise ValueError("every prompt must have a token, if only the start")
        if constraint is not None:
            constraint.fits(most)
        self.decoder, self.end, self.left = decoder, end, most
        self.constraint = None if constraint is None else constraint.to(prompt.ids.device)
        batch, width = prompt.ids.shape
        self.memory = decoder.begin(batch, width + most, context)
        logits, self.memory = decoder.extend(prompt.ids, self.memory, prompt.mask)
        last = (prompt.mask * torch.arange(width, device=prompt.mask.device)).amax(1)
        self.logits = logits[torch.arange(batch, device=last.device), last]
        self.state = None if self.constraint is None else self.constraint.begin(batch)

    def log_probabilities(self) -> Tensor:
        """(B, V) of the next token, over what may be written; all -inf where nothing may."""
        logits = self.logits.float().clone()
        logits[:, [index for index in SILENT if index != self.end]] = -torch.inf
        if self.constraint is not None and self.state is not None:
            logits = logits.masked_fill(~self.constraint.allowed(self.state, self.left), -torch.inf)
        return torch.where(logits.isfinite().any(1, keepdim=True), logits.log_softmax(-1), -torch.inf)

    def write(self, ids: Tensor) -> None:
        """The token of each row (B,)."""
        logits, self.memory = self.decoder.extend(ids[:, None], self.memory)
        self.logits, self.left = logits[:, 0], self.left - 1
        if self.constraint is not None and self.state is not None:
            self.state = self.constraint.step(self.state, ids)

    def rows(self, index: Tensor) -> None:
        """Go on with these rows."""
        self.memory, self.logits = self.memory.rows(index), self.logits[index]
        self.state = None if self.state is None else self.state[index]


@torch.no_grad()
def _write(pen: _Pen, choose: Callable[[Tensor], Tensor]) -> Written:
    batch, most, device = pen.logits.shape[0], pen.left, pen.logits.device
    ids = torch.zeros(batch, most, dtype=torch.int64, device=device)
    total = torch.zeros(batch, device=device)
    done = torch.zeros(batch, dtype=torch.bool, device=device)
    for step in range(most):
        logp = pen.log_probabilities()
        logp = torch.where(done[:, None], 0.0, logp)  # nothing depends on what a finished row would write
        chosen = torch.where(done, 0, choose(logp))
        total = total + logp.gather(1, chosen[:, None])[:, 0]
        ids[:, step] = chosen
        done = done | (chosen == pen.end)
        if step + 1 == most or bool(done.all()):
            break
        pen.write(chosen)
    return _written(ids, total, done)


def _written(ids: Tensor, logp: Tensor, ended: Tensor) -> Written:
    mask = ids != 0
    width = max(1, int(mask.sum(1).max()))
    return Written(Tokens(ids[:, :width], mask[:, :width]), logp, ended)

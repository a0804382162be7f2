"""Language: a causal decoder over byte-pair tokens that looks at image or fused tokens.

decoder = LanguageDecoder(LanguageConfig(vocabulary=tokenizer.size), width=192)
decoder(text, context)                              # Tokens (B, T), Features | None -> logits (B, T, V)

memory = decoder.begin(batch, length, context)      # all its room at once: shapes never change
logits, memory = decoder.extend(ids, memory, mask)  # (B, T) -> (B, T, V), then (B, 1) -> (B, 1, V) ...

A prefix (a question, an earlier report) is text before the text: `joined` to learn, `opened` to write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from sagittal.layers.attention import Attention
from sagittal.layers.features import Features, State, Tokens
from sagittal.layers.initial import embedding, normal
from sagittal.layers.mixer import MixerConfig, blocks


@dataclass(frozen=True)
class LanguageConfig:
    """``vocabulary`` ids, at most ``length`` tokens a text (prefix included), ``layers`` blocks.

    ``mixer`` of the blocks, which must be causal; None: attention with ``heads`` heads.
    """

    vocabulary: int = 2048
    length: int = 256
    layers: int = 4
    heads: int = 6
    mixer: MixerConfig | None = None


@dataclass(frozen=True)
class Memory:
    """What the decoder keeps of B texts while it writes; every tensor is (B, ...).

    Attributes:
        states: of each layer's mixer; those of attention are written to, not copied.
        context: keys and values of what each layer looks at; None without a context.
        real: (B, N) bool of the context's tokens.
        count: (B,) tokens so far.
        used, room: columns so far, and at most.
    """

    states: tuple[State, ...]
    context: tuple[State | None, ...]
    real: Tensor | None
    count: Tensor
    used: int
    room: int

    def rows(self, index: Tensor) -> Memory:
        """Rows ``index`` (B',) int64, each as often as it is named: beams fork and end."""
        return replace(
            self,
            states=tuple(_rows(state, index) for state in self.states),
            context=tuple(None if state is None else _rows(state, index) for state in self.context),
            real=None if self.real is None else self.real[index],
            count=self.count[index],
        )

    def held(self, go: Tensor, before: Memory) -> Memory:
        """Where ``go`` (B,) is False the row stays what it was ``before``."""
        pairs = zip(self.states, before.states, strict=True)
        states = tuple(_held(new, old, go) for new, old in pairs)
        return replace(self, states=states, count=torch.where(go, self.count, before.count))


class LanguageLayer(nn.Module):
    """A look at the context, then a causal block: tokens (B, T, D) -> (B, T, D).

    A row whose context has nothing real is as one without a context.
    """

    def __init__(self, width: int, heads: int, block: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.block: Any = block

    def look(self, tokens: Tensor, seen: State | None, real: Tensor | None) -> Tensor:
        """``seen``: keys and values of the context, ``real`` (B, N) bool."""
        if seen is None:
            return tokens
        found = tokens + self.attention.recall(self.norm(tokens), seen[0], seen[1], real)
        return found if real is None else torch.where(real.any(1)[:, None, None], found, tokens)


class LanguageDecoder(nn.Module):
    """Tokens (B, T <= length), context tokens (B, N, width) or None -> logits (B, T, V) of the next token.

    Padding may stand anywhere and counts nothing. Embedding and output share their weights (Press 2017).
    """

    def __init__(self, config: LanguageConfig, width: int) -> None:
        super().__init__()
        mixer = config.mixer or MixerConfig(causal=True, heads=config.heads)
        if not mixer.causal:
            raise ValueError("the mixer of a language decoder must be causal")
        self.length, self.vocabulary = config.length, config.vocabulary
        # logits of about 1: with 0.02, as in an encoder, a small decoder learns several times slower
        self.embed = embedding(config.vocabulary, width, std=width**-0.5)
        self.positions = normal(config.length, width, std=0.02)
        self.norm_context = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            LanguageLayer(width, config.heads, block) for block in blocks(mixer, width, config.layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, text: Tokens, context: Features | None = None) -> Tensor:
        count = text.mask.sum(1)
        if count.numel() and int(count.max()) > self.length:
            raise ValueError(f"text must have at most {self.length} tokens, got {int(count.max())}")
        place = (text.mask.cumsum(1) - 1).clamp(min=0)
        tokens = self.embed(text.ids) + self.positions[place]
        seen, real = self._context(context)
        for layer, memory in zip(self._layers(), seen, strict=True):
            tokens = layer.block(layer.look(tokens, memory, real), text.mask)
        return self._logits(tokens)

    def begin(self, batch: int, length: int, context: Features | None = None) -> Memory:
        """Room for ``length`` tokens in each of ``batch`` texts."""
        if not 0 < length <= self.length:
            raise ValueError(f"length must be 1 to {self.length}, got {length}")
        seen, real = self._context(context)
        states = tuple(layer.block.begin(batch, length) for layer in self._layers())
        count = torch.zeros(batch, dtype=torch.int64, device=self.positions.device)
        return Memory(states, seen, real, count, 0, length)

    @torch.no_grad()
    def extend(self, ids: Tensor, memory: Memory, mask: Tensor | None = None) -> tuple[Tensor, Memory]:
        """The next tokens ids (B, T), with padding where mask (B, T) is False -> logits (B, T, V), memory.

        As `forward` on the whole text; logits where the mask is False mean nothing. ``memory`` is used up.
        """
        if memory.used + ids.shape[1] > memory.room:
            raise ValueError(f"there is room for {memory.room} tokens, got {memory.used + ids.shape[1]}")
        if mask is None or bool(mask.all()):
            return self._extend(ids, memory)
        # what all rows have goes in at once; from there on a row that has ended is held
        together = int(mask.all(0).long().cumprod(0).sum())
        parts = []
        if together:
            logits, memory = self._extend(ids[:, :together], memory)
            parts.append(logits)
        for column in range(together, ids.shape[1]):
            logits, after = self._extend(ids[:, column : column + 1], memory)
            memory = after.held(mask[:, column], memory)
            parts.append(logits)
        return torch.cat(parts, 1), memory

    def _extend(self, ids: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        place = memory.count.unsqueeze(1) + torch.arange(ids.shape[1], device=ids.device)
        tokens = self.embed(ids) + self.positions[place]
        states = []
        for layer, state, seen in zip(self._layers(), memory.states, memory.context, strict=True):
            tokens, after = layer.block.extend(layer.look(tokens, seen, memory.real), state)
            states.append(after)
        count, used = memory.count + ids.shape[1], memory.used + ids.shape[1]
        return self._logits(tokens), replace(memory, states=tuple(states), count=count, used=used)

    def _context(self, context: Features | None) -> tuple[tuple[State | None, ...], Tensor | None]:
        if context is None:
            return (None,) * len(self.layers), None
        tokens = self.norm_context(context.tokens)
        return tuple(layer.attention.remember(tokens) for layer in self._layers()), context.mask

    def _logits(self, tokens: Tensor) -> Tensor:
        return nn.functional.linear(self.norm(tokens), self.embed.weight)

    def _layers(self) -> list[LanguageLayer]:
        return [layer for layer in self.layers if isinstance(layer, LanguageLayer)]


def joined(prefix: Tokens, text: Tokens) -> tuple[Tokens, Tensor]:
    """Text behind its prefix, row by row and without gaps: what a decoder learns from.

    Returns Tokens (B, T) and written (B, T) bool: True at the tokens of ``text`` behind its start token,
    which stands between a question and its answer. A prefix may be empty.
    """
    written = text.mask & (text.mask.cumsum(1) > 1)
    ids = torch.cat([prefix.ids, text.ids], 1)
    mask = torch.cat([prefix.mask, text.mask], 1)
    written = torch.cat([torch.zeros_like(prefix.mask), written], 1)
    order = torch.argsort((~mask).long(), dim=1, stable=True)[:, : max(1, int(mask.sum(1).max()))]
    ids, mask, written = (each.gather(1, order) for each in (ids, mask, written))
    return Tokens(ids * mask, mask), written


def opened(prefix: Tokens) -> Tokens:
    """The prompt of a text behind ``prefix`` (its rows may be empty): the prefix and a start token."""
    start = torch.ones(len(prefix.ids), 1, dtype=torch.int64, device=prefix.ids.device)
    return joined(prefix, Tokens(start, start.bool()))[0]


def _rows(state: State, index: Tensor) -> State:
    return tuple(tensor[index] for tensor in state)


def _held(new: State, old: State, go: Tensor) -> State:
    # A tensor written in place needs no choice: what a held row wrote lies beyond its count.
    return tuple(
        n if n is o else torch.where(go.reshape(-1, *(1,) * (n.ndim - 1)), n, o)
        for n, o in zip(new, old, strict=True)
    )

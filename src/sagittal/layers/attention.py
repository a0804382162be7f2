"""Scaled dot-product attention (Vaswani 2017): across, among tokens, and pooling by learned queries."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.block import Block
from sagittal.layers.features import State
from sagittal.layers.initial import normal
from sagittal.layers.local import within
from sagittal.layers.order import real_first, take

SHORT = 512
"""Keys up to which, on a processor in bfloat16, the plain product is the faster one to differentiate: the
fused kernel's way back takes 2 to 5 times as long there (49 to 196 keys), and as long at 1,024."""


def look(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
    """softmax(Q K^T / sqrt(E)) V: (B, H, Q, E), (B, H, N, E) twice; ``allowed`` (B, 1, 1 or Q, N) bool."""
    bf16 = torch.is_autocast_enabled("cpu") or query.dtype is torch.bfloat16
    plain = query.device.type == "cpu" and bf16 and torch.is_grad_enabled() and key.shape[2] <= SHORT
    if not plain:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    with torch.autocast("cpu", enabled=False):
        query, key, value = (each.to(torch.bfloat16) for each in (query, key, value))
        near = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        if allowed is not None:
            near = near.masked_fill(~allowed, float("-inf"))
        return near.softmax(-1) @ value


class Attention(nn.Module):
    """Queries (B, Q, D) look at context (B, N, D); returns (B, Q, D).

    ``mask`` (B, N) bool is True where the context is real. A row with nothing real returns the output
    projection's bias, never NaN.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads}")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.recall(queries, *self.remember(context), mask)

    def remember(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, N, E) of a context (B, N, D), to be looked at again and again."""
        key, value = self.key_value(context).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def recall(self, queries: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """`forward` with the context's keys and values at hand."""
        batch, count, width = queries.shape
        query = self._split(self.query(queries))
        allowed = None
        if mask is not None:
            # softmax over nothing is NaN: let such a row look everywhere, then silence what it saw
            anything = mask.any(dim=1)
            allowed = (mask | ~anything[:, None])[:, None, None, :]
            value = value * anything[:, None, None, None]
        seen = look(query, key, value, allowed)
        return self.out(seen.transpose(1, 2).reshape(batch, count, width))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class SelfAttention(Attention):
    """tokens (B, N, D), mask (B, N) bool | None -> (B, N, D): every token looks at the real ones.

    ``causal``: at itself and those before it. ``window`` > 0: at those fewer than ``window`` places away
    (places among real tokens: padding counts nothing); work and memory then grow with N * window.
    """

    def __init__(self, width: int, heads: int, *, causal: bool = False, window: int = 0) -> None:
        super().__init__(width, heads)
        self.causal, self.window = causal, window

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # type: ignore[override]
        if not self.causal and not self.window:
            return super().forward(tokens, tokens, mask)
        if mask is None:
            return self._look(tokens, None)
        order = real_first(mask)  # with padding last, "before" needs no mask
        return take(
            self._look(take(tokens, order), take(mask.unsqueeze(-1), order)[..., 0]), order.argsort(1)
        )

    def _look(self, tokens: Tensor, real: Tensor | None) -> Tensor:
        query, key, value = self._parts(tokens)
        if self.window and self.window < tokens.shape[1]:
            seen = within(query, key, value, self.window, causal=self.causal, real=real)
        elif self.causal:
            seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            return super().forward(tokens, tokens, real)
        return self.out(seen.transpose(1, 2).flatten(2))

    def _parts(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        key, value = self.key_value(tokens).chunk(2, dim=-1)
        return self._split(self.query(tokens)), self._split(key), self._split(value)

    def begin(self, batch: int, length: int) -> State:
        """Room for ``length`` keys and values (B, H, length, E), and how many are in it (B,)."""
        if not self.causal:
            raise ValueError("a mixer must be causal to go on from a state")
        width = self.out.in_features
        room = self.out.weight.new_zeros(batch, self.heads, length, width // self.heads)
        return room, room.clone(), torch.zeros(batch, dtype=torch.int64, device=room.device)

    def extend(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The next tokens (B, T, D) after ``state``, which is written to -> (B, T, D) and the state after."""
        keys, values, count = state
        query, key, value = self._parts(tokens)
        place = count.unsqueeze(1) + torch.arange(tokens.shape[1], device=count.device)
        index = place[:, None, :, None].expand_as(key)
        keys, values = (
            keys.scatter_(2, index, key.to(keys.dtype)),
            values.scatter_(2, index, value.to(keys.dtype)),
        )
        apart = place.unsqueeze(-1) - torch.arange(keys.shape[2], device=count.device)
        allowed = (apart >= 0) & (apart < (self.window or keys.shape[2]))
        seen = functional.scaled_dot_product_attention(
            query, keys.to(query.dtype), values.to(query.dtype), attn_mask=allowed.unsqueeze(1)
        )
        return self.out(seen.transpose(1, 2).flatten(2)), (keys, values, count + tokens.shape[1])


class AttentionBlock(Block):
    """`Block` with self-attention over all tokens."""

    def __init__(self, width: int, heads: int, ratio: int = 3) -> None:
        super().__init__(width, SelfAttention(width, heads), ratio)


class AttentionPool(nn.Module):
    """Learned queries gather tokens (B, N, D) into (B, Q, D)."""

    def __init__(self, width: int, queries: int, heads: int) -> None:
        super().__init__()
        self.queries = normal(queries, width, std=width**-0.5)
        self.norm = nn.LayerNorm(width)
        self.look = Attention(width, heads)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        queries = self.queries.expand(tokens.shape[0], -1, -1)
        return self.look(queries, self.norm(tokens), mask)

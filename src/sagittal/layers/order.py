"""The order in which a recurrence meets tokens: real ones first, forwards or backwards, padding last."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sagittal.layers.features import State


def real_first(mask: Tensor, *, backwards: bool = False) -> Tensor:
    """Order (B, N) int64 of indices by which real tokens (mask (B, N) True) come first, padding last."""
    place = torch.arange(mask.shape[1], device=mask.device)
    key = torch.where(mask, -place if backwards else place, mask.shape[1] + place)
    return key.argsort(1)


def take(tokens: Tensor, order: Tensor) -> Tensor:
    """tokens (B, N, D) in ``order`` (B, N); ``take(taken, order.argsort(1))`` puts them back."""
    return tokens.gather(1, order.unsqueeze(-1).expand_as(tokens))


class BothWays(nn.Module):
    """A causal core from the first token to the last and, when ``back`` is given, another from last to first.

    mix(tokens (B, N, D), mask (B, N) bool | None) -> (B, N, D), the sum of both. What a padded token holds
    changes nothing, and where it stands neither: real tokens are mixed as if it were not there; its own
    output is zero. The cores take tokens (B, N, D) alone.
    """

    def __init__(self, ahead: nn.Module, back: nn.Module | None = None) -> None:
        super().__init__()
        self.ahead: Any = ahead
        self.back = back

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            tokens = torch.where(mask.unsqueeze(-1), tokens, 0.0)
        mixed = _run(self.ahead, tokens, mask, backwards=False)
        if self.back is not None:
            mixed = mixed + _run(self.back, tokens, mask, backwards=True)
        return mixed if mask is None else torch.where(mask.unsqueeze(-1), mixed, 0.0)

    def begin(self, batch: int, length: int) -> State:
        """The state before the first token; it is as large whatever the ``length``."""
        if self.back is not None:
            raise ValueError("a mixer must be causal to go on from a state")
        return self.ahead.begin(batch, length)

    def extend(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The next tokens (B, T, D) after ``state`` -> (B, T, D) and the state after them."""
        return self.ahead.extend(tokens, state)


def _run(core: nn.Module, tokens: Tensor, mask: Tensor | None, *, backwards: bool) -> Tensor:
    if mask is None:
        return core(tokens.flip(1)).flip(1) if backwards else core(tokens)
    order = real_first(mask, backwards=backwards)
    return take(core(take(tokens, order)), order.argsort(1))

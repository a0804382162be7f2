"""The pre-norm residual block that every mixer of tokens sits in."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sagittal.layers.features import State
from sagittal.layers.mlp import Mlp


class Block(nn.Module):
    """tokens (B, N, D), mask (B, N) bool | None -> (B, N, D): any mixer of tokens, then feed-forward."""

    def __init__(self, width: int, mix: nn.Module, ratio: int = 3) -> None:
        super().__init__()
        self.norm_mix, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix: Any = mix
        self.mlp = Mlp(width, ratio)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = tokens + self.mix(self.norm_mix(tokens), mask)
        return tokens + self.mlp(self.norm_mlp(tokens))

    def begin(self, batch: int, length: int) -> State:
        """The state of a causal mixer before the first of at most ``length`` tokens."""
        return self.mix.begin(batch, length)

    def extend(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The next tokens (B, T, D) after ``state`` -> (B, T, D) and the state after them."""
        mixed, state = self.mix.extend(self.norm_mix(tokens), state)
        tokens = tokens + mixed
        return tokens + self.mlp(self.norm_mlp(tokens)), state

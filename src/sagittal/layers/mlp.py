"""The feed-forward half of a transformer block."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Mlp(nn.Module):
    """Two linear layers with a GELU between: (..., D) -> (..., D)."""

    def __init__(self, width: int, ratio: int = 3) -> None:
        super().__init__()
        self.wide = nn.Linear(width, ratio * width)
        self.narrow = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(functional.gelu(self.wide(x)))

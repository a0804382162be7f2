"""The short causal convolution that recurrences put before their memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ShortConvolution(nn.Module):
    """Each channel sees its last ``kernel`` values: x (B, T, W), past (B, kernel - 1, W) -> y, new past."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter((2 * torch.rand(width, kernel) - 1) * kernel**-0.5)
        self.bias = nn.Parameter(torch.zeros(width))

    def begin(self, batch: int) -> Tensor:
        """Nothing seen yet: zeros (batch, kernel - 1, W)."""
        return self.weight.new_zeros(batch, self.weight.shape[1] - 1, self.weight.shape[0])

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        count, kernel = x.shape[1], self.weight.shape[1]
        # a sum of shifted products: no transposition, and faster than a grouped convolution on processors
        seen = torch.cat([past.to(x.dtype), x], 1)
        y = self.bias.to(x.dtype)
        for lag in range(kernel):
            y = torch.addcmul(y, seen[:, lag : lag + count], self.weight[:, lag].to(x.dtype))
        return y, seen[:, count:]

"""Dense masks: a top-down path over the pyramid, the same in 2D and 3D."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.convolution import Norm, convolution, norm, resize, shuffle


class MaskDecoder(nn.Module):
    """(pyramid, fused tokens) -> logits (B, M, *S_f * detail).

    Stops at map ``finest`` of the pyramid, of size S_f, and draws ``detail`` times finer than it (channels
    become pixels): full convolutions on the very fine grid are what costs most.

    Tokens (B, N, D) re-enter at the coarsest map, so what attention and fusion know reaches every pixel.
    Each level: halve the channels (1x1), enlarge, add the encoder's map, one convolution.
    """

    def __init__(
        self,
        width: int,
        widths: Sequence[int],
        kernels: Sequence[Sequence[int]],
        masks: int,
        detail: Sequence[int] | None = None,
        finest: int = 0,
        kind: Norm = "group",
    ) -> None:
        super().__init__()
        ones = (1,) * len(kernels[0])
        self.finest = finest
        widths, kernels = widths[finest:], kernels[finest:]
        self.from_tokens = nn.Linear(width, widths[-1])
        steps = list(zip(widths[:-1], widths[1:], kernels[:-1], strict=True))[::-1]
        self.down = nn.ModuleList(convolution(coarse, fine, ones) for fine, coarse, _ in steps)
        self.mix = nn.ModuleList(
            nn.Sequential(convolution(fine, fine, kernel), norm(fine, kind), nn.ReLU(inplace=True))
            for fine, _, kernel in steps
        )
        self.detail = tuple(detail or ones)
        self.head = convolution(widths[0], masks * math.prod(self.detail), ones)
        # most pixels belong to no mask: start there, or the first steps only learn to say no
        self.bias = nn.Parameter(torch.full((masks, *ones), -3.0))

    def forward(self, pyramid: Sequence[Tensor], tokens: Tensor) -> Tensor:
        x = pyramid[-1]
        x = x + self.from_tokens(tokens).transpose(1, 2).reshape(x.shape)
        for finer, down, mix in zip(pyramid[self.finest : -1][::-1], self.down, self.mix, strict=True):
            x = functional.relu(finer + resize(down(x), finer.shape[2:], smooth=False), inplace=True)
            x = x + mix(x)
        return shuffle(self.head(x), self.detail) + self.bias

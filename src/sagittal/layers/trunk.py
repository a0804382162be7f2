"""From an image to features: a convolutional pyramid whose coarsest map becomes mixed tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sagittal.layers.convolution import Norm, Pyramid
from sagittal.layers.features import Features
from sagittal.layers.mixer import MixerConfig
from sagittal.layers.mixer import blocks as layers_of
from sagittal.layers.positions import sincos


class Trunk(nn.Module):
    """Pyramid, then tokens of ``width`` with positions, then ``mixers`` blocks of ``mixer``.

    image (B, C, *S), present (B, C) bool or None -> Features with N = product of the coarsest grid.

    ``inflated`` (3D): a volume that does not change along z is to look like its slice, so slices repeat
    beyond the ends, and the place in depth enters by a gate that starts at nothing.
    """

    def __init__(
        self,
        width: int,
        *,
        channels: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        mixers: int,
        mixer: MixerConfig,
        inflated: bool = False,
        norm: Norm = "group",
    ) -> None:
        super().__init__()
        self.pyramid = Pyramid(channels, widths, blocks, kernels, strides, edge=inflated, kind=norm)
        self.to_tokens = nn.Linear(widths[-1], width)
        self.mixers = layers_of(mixer, width, mixers)
        self.norm = nn.LayerNorm(width)
        self.depth = nn.Parameter(torch.zeros(())) if inflated else None

    def forward(self, image: Tensor, present: Tensor | None = None) -> Features:
        maps = self.pyramid(image, present)
        coarse = maps[-1]
        tokens = self.to_tokens(coarse.flatten(2).transpose(1, 2))
        tokens = tokens + self._places(coarse.shape[2:], tokens.shape[-1], tokens.device).to(tokens.dtype)
        for mixer in self.mixers:
            tokens = mixer(tokens)
        tokens = self.norm(tokens)
        return Features(maps, tokens, torch.mean(tokens, dim=1))

    def _places(self, grid: Sequence[int], width: int, device: torch.device) -> Tensor:
        if self.depth is None:
            return sincos(grid, width, device=device)
        deep, plane = sincos(grid[:1], width, device=device), sincos(grid[1:], width, device=device)
        return (self.depth * deep.unsqueeze(1) + plane).flatten(0, 1)

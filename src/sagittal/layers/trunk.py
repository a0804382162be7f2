"""From an image to features: a convolutional pyramid whose coarsest map becomes mixed tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sagittal.layers.convolution import Pyramid
from sagittal.layers.features import Features
from sagittal.layers.mixer import MixerConfig
from sagittal.layers.mixer import blocks as layers_of
from sagittal.layers.positions import sincos


class Trunk(nn.Module):
    """Pyramid, then tokens of ``width`` with positions, then ``mixers`` blocks of ``mixer``.

    image (B, C, *S), present (B, C) bool or None -> Features with N = product of the coarsest grid.
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
    ) -> None:
        super().__init__()
        self.pyramid = Pyramid(channels, widths, blocks, kernels, strides)
        self.to_tokens = nn.Linear(widths[-1], width)
        self.mixers = layers_of(mixer, width, mixers)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor, present: Tensor | None = None) -> Features:
        maps = self.pyramid(image, present)
        coarse = maps[-1]
        tokens = self.to_tokens(coarse.flatten(2).transpose(1, 2))
        tokens = tokens + sincos(coarse.shape[2:], tokens.shape[-1], device=tokens.device).to(tokens.dtype)
        for mixer in self.mixers:
            tokens = mixer(tokens)
        tokens = self.norm(tokens)
        return Features(maps, tokens, torch.mean(tokens, dim=1))

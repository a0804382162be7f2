"""A Perceiver-style resampler (Jaegle 2021, Alayrac 2022): any number of tokens to a fixed number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sagittal.fusion.modalities import Join, Modalities
from sagittal.layers.attention import Attention
from sagittal.layers.features import Features
from sagittal.layers.initial import normal
from sagittal.layers.mlp import Mlp


class ResamplerBlock(nn.Module):
    """Latents (B, Q, D) look at other tokens (B, N, D) and at themselves: never at nothing."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.norm_other, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.look, self.mlp = Attention(width, heads), Mlp(width)

    def forward(self, latents: Tensor, other: Tensor | None, mask: Tensor | None = None) -> Tensor:
        own = self.norm(latents)
        seen = own if other is None else torch.cat([own, self.norm_other(other)], dim=1)
        if mask is not None:
            mask = torch.cat([mask.new_ones(latents.shape[:2]), mask], dim=1)
        latents = latents + self.look(own, seen, mask)
        return latents + self.mlp(self.norm_mlp(latents))


class Resampler(nn.Module):
    """``fuse({"image": Features | None, ...}) -> Features`` with tokens (B, count, D), all of them real.

    Cost is linear in the number of tokens given; the shape does not depend on it. With nothing given there
    are ``rows`` rows of what the latents are by themselves.
    """

    def __init__(
        self, width: int, heads: int, modalities: Sequence[str], count: int = 16, layers: int = 2
    ) -> None:
        super().__init__()
        self.join = Join(width, modalities)
        self.latents = normal(count, width, std=0.02)
        self.blocks = nn.ModuleList(ResamplerBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, modalities: Modalities, rows: int = 1) -> Features:
        joined = self.join(modalities)
        other, mask = joined if joined is not None else (None, None)
        tokens = self.latents.expand(rows if other is None else len(other), -1, -1)
        for block in self.blocks:
            tokens = block(tokens, other, mask)
        tokens = self.norm(tokens)
        return Features((), tokens, tokens.mean(1))

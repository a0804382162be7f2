"""Volumes as stacks: a picture encoder on every slice, then a mixer along depth (factorised, Arnab 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.encoders.vit import VitConfig, VitEncoder
from sagittal.layers.features import Extent, Features, masked_mean
from sagittal.layers.mixer import MixerConfig, blocks
from sagittal.layers.patches import LONGEST, SHORTEST, inside, places
from sagittal.layers.positions import waves


@dataclass(frozen=True)
class SliceConfig:
    """``picture`` reads each slice, then ``layers`` blocks of ``mixer`` (None: attention) along depth."""

    kind: Literal["slices"] = "slices"
    picture: PictureConfig | VitConfig = field(default_factory=PictureConfig)
    layers: int = 2
    heads: int = 6
    mixer: MixerConfig | None = None


class SliceEncoder(nn.Module):
    """image (B, C, Z, Y, X), present (B, C) bool | None, extent | None -> Features.

    tokens (B, Z * n, width), n a slice, slice by slice; each learns from those at its place in other slices,
    which are told apart by their depth in mm. The pyramid's maps are (B, C_i, Z, Y_i, X_i).
    """

    def __init__(self, config: SliceConfig, width: int) -> None:
        super().__init__()
        inner = config.picture
        self.picture: nn.Module = (
            PictureEncoder(inner, width) if isinstance(inner, PictureConfig) else VitEncoder(inner, width)
        )
        self.blocks = blocks(config.mixer or MixerConfig(heads=config.heads), width, config.layers)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor, present: Tensor | None = None, extent: Extent | None = None) -> Features:
        batch, _, depth, *_ = image.shape
        spacing, size = extent or Extent()
        flat = self.picture(
            image.transpose(1, 2).flatten(0, 1),
            None if present is None else present.repeat_interleave(depth, 0),
            Extent(*(None if x is None else x[:, 1:].repeat_interleave(depth, 0) for x in (spacing, size))),
        )
        tokens = flat.tokens.unflatten(0, (batch, depth))
        real = torch.full((batch, 1), depth, device=image.device) if size is None else size[:, :1]
        step = tokens.new_ones(batch, 1) if spacing is None else spacing[:, :1]
        where = waves(places((depth,), (1,), step, real), tokens.shape[-1], SHORTEST, LONGEST)
        tokens = (tokens + where.unsqueeze(2).to(tokens.dtype)).transpose(1, 2).flatten(0, 1)
        slices = None if size is None else inside((depth,), (1,), real)
        along = None if slices is None else slices.repeat_interleave(flat.tokens.shape[1], 0)
        for block in self.blocks:
            tokens = block(tokens, along)
        tokens = self.norm(tokens).unflatten(0, (batch, -1)).transpose(1, 2).flatten(1, 2)
        maps = tuple(each.unflatten(0, (batch, depth)).transpose(1, 2) for each in flat.pyramid)
        mask = None if slices is None else slices.repeat_interleave(flat.tokens.shape[1], 1)
        if mask is not None and flat.mask is not None:
            mask = mask & flat.mask.reshape(mask.shape)
        pooled = torch.mean(tokens, 1) if mask is None else masked_mean(tokens, mask)
        return Features(maps, tokens, pooled, mask)

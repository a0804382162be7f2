"""Vision transformer (Dosovitskiy 2021) for pictures and volumes: patches, then blocks of any mixer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sagittal.layers.convolution import shuffle
from sagittal.layers.features import Extent, Features, masked_mean
from sagittal.layers.mixer import MixerConfig, blocks
from sagittal.layers.patches import Patches

MAPS = 8  # 2 ** 7 cells a patch is more than any has


@dataclass(frozen=True)
class VitConfig:
    """A picture's when ``patch`` is (y, x), a volume's when it is (z, y, x).

    ``widths`` may be empty where no masks are drawn.

    Attributes:
        kind: what tells this from another encoder in a saved file.
        patch: pixels of a patch, an axis; channels: of the input.
        layers: blocks; ratio: of their feed-forward width; mixer: None is attention with ``heads`` heads.
        widths: of the pyramid for the mask decoder, finest first, multiples of 8: the last at the grid of
            patches, each before it twice as fine (as far as the patch divides). finest, detail: as elsewhere.
    """

    kind: Literal["vit"] = "vit"
    patch: tuple[int, ...] = (16, 16)
    channels: int = 1
    layers: int = 6
    heads: int = 6
    ratio: int = 4
    widths: tuple[int, ...] = (32, 64, 128)
    detail: tuple[int, ...] = ()
    finest: int = 0
    mixer: MixerConfig | None = None


class VitEncoder(nn.Module):
    """image (B, C, *S), present (B, C) bool | None, extent | None -> Features with tokens (B, N, width).

    The pyramid is the simple one of ViTDet (Li 2022): every map is drawn from the last tokens alone.
    """

    def __init__(self, config: VitConfig, width: int) -> None:
        super().__init__()
        if len(config.widths) > MAPS:
            raise ValueError(f"widths must be at most {MAPS}, got {len(config.widths)}")
        self.patches = Patches(width, config.channels, config.patch)
        self.blocks = blocks(
            config.mixer or MixerConfig(heads=config.heads), width, config.layers, config.ratio
        )
        self.norm = nn.LayerNorm(width)
        finer = range(len(config.widths) - 1, -1, -1)
        self.finer = [tuple(math.gcd(2**k, step) for step in config.patch) for k in finer]
        self.maps = nn.ModuleList(
            nn.Linear(width, each * math.prod(finer))
            for each, finer in zip(config.widths, self.finer, strict=True)
        )

    def forward(self, image: Tensor, present: Tensor | None = None, extent: Extent | None = None) -> Features:
        tokens, mask, grid = self.patches(image, present, extent)
        for block in self.blocks:
            tokens = block(tokens, mask)
        tokens = self.norm(tokens)
        pooled = torch.mean(tokens, 1) if mask is None else masked_mean(tokens, mask)
        return Features(self._pyramid(tokens, grid, image.shape[2:]), tokens, pooled, mask)

    def _pyramid(self, tokens: Tensor, grid: tuple[int, ...], size: torch.Size) -> tuple[Tensor, ...]:
        """tokens (B, N, D) -> maps (B, widths[i], *ceil(size * finer[i] / patch))."""
        maps = []
        for draw, finer in zip(self.maps, self.finer, strict=True):
            drawn = shuffle(draw(tokens).transpose(1, 2).unflatten(2, grid), finer)
            steps = [p // f for p, f in zip(self.patches.patch, finer, strict=True)]
            cells = (slice(0, -(-n // step)) for n, step in zip(size, steps, strict=True))
            maps.append(drawn[(slice(None), slice(None), *cells)])
        return tuple(maps)

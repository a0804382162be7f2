"""Masked autoencoder (He 2022) over a vision transformer, 2D or 3D: only what is seen is encoded.

Three quarters of the picture are never computed by the encoder, which is what makes it cheap; a narrow
decoder foretells them and is thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sagittal.encoders.vit import VitEncoder
from sagittal.layers.convolution import cut
from sagittal.layers.initial import normal
from sagittal.layers.mixer import MixerConfig, blocks
from sagittal.layers.positions import sincos


@dataclass(frozen=True)
class AutoencoderConfig:
    """``share`` of patches that are hidden; ``width``, ``layers``, ``heads`` of the decoder.

    ``normalise``: each patch is foretold with mean 0 and deviation 1, structure and not brightness.
    """

    share: float = 0.75
    width: int = 96
    layers: int = 2
    heads: int = 6
    ratio: int = 4
    normalise: bool = True


class Guess(NamedTuple):
    """patches (B, N, P) as foretold, hidden (B, N) bool: which of them were not seen."""

    patches: Tensor
    hidden: Tensor


class Autoencoder(nn.Module):
    """image (B, C, *S) -> Guess; keep ``encoder`` afterwards."""

    def __init__(self, encoder: VitEncoder, width: int, config: AutoencoderConfig) -> None:
        super().__init__()
        if not 0 < config.share < 1:
            raise ValueError(f"share must be between 0 and 1, got {config.share}")
        self.encoder, self.config = encoder, config
        self.enter = nn.Linear(width, config.width)
        self.hidden = normal(config.width, std=0.02)
        mixer = MixerConfig(heads=config.heads)
        self.blocks = blocks(mixer, config.width, config.layers, config.ratio)
        self.norm = nn.LayerNorm(config.width)
        self.draw = nn.Linear(config.width, encoder.patches.look.in_features)

    def forward(self, image: Tensor, generator: torch.Generator | None = None) -> Guess:
        """Hides patches by chance, the same number in every row."""
        tokens, _, grid = self.encoder.patches(image)
        batch, count, width = tokens.shape
        order = torch.rand(batch, count, generator=generator).argsort(1).to(image.device)
        keep = order[:, : max(1, count - round(self.config.share * count))]
        seen = tokens.gather(1, keep.unsqueeze(-1).expand(-1, -1, width))
        for block in self.encoder.blocks:
            seen = block(seen)
        seen = self.enter(self.encoder.norm(seen))
        places = sincos(grid, self.config.width, device=image.device).to(seen.dtype)
        every = (self.hidden + places).expand(batch, -1, -1)
        here = keep.unsqueeze(-1).expand(-1, -1, self.config.width)
        every = every.scatter(1, here, (seen + places[keep]).to(every.dtype))
        for block in self.blocks:
            every = block(every)
        hidden = torch.ones(batch, count, dtype=torch.bool, device=image.device).scatter(1, keep, False)
        return Guess(self.draw(self.norm(every)), hidden)

    def loss(self, image: Tensor, guess: Guess) -> Tensor:
        """Mean squared error over the hidden patches of `patches_of`."""
        wanted = patches_of(image, self.encoder.patches.patch, normalise=self.config.normalise)
        each = (guess.patches - wanted).square().mean(-1)
        return (each * guess.hidden).sum() / guess.hidden.sum()


def patches_of(image: Tensor, patch: tuple[int, ...], *, normalise: bool = True) -> Tensor:
    """image (B, C, *S) -> (B, N, C * prod(patch)), each with mean 0 and (unbiased) deviation 1 if asked."""
    patches = cut(image, patch).flatten(1, -2)
    if not normalise:
        return patches
    spread, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return (patches - mean) / (spread + 1e-6).sqrt()

"""Text: byte-pair tokens through blocks of any mixer, bidirectional or causal."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from sagittal.layers.features import Features, Tokens, masked_mean
from sagittal.layers.initial import embedding, normal
from sagittal.layers.mixer import MixerConfig, blocks


@dataclass(frozen=True)
class TextConfig:
    """``vocabulary`` ids, at most ``length`` tokens a text, ``layers`` blocks.

    ``mixer`` of the blocks; None: bidirectional attention with ``heads`` heads.
    """

    vocabulary: int = 2048
    length: int = 192
    layers: int = 3
    heads: int = 6
    mixer: MixerConfig | None = None


class TextEncoder(nn.Module):
    """Tokens (B, T <= length) -> Features with tokens (B, T, width) and their mask.

    ``pooled`` of a text without a real token is zero.
    """

    def __init__(self, config: TextConfig, width: int) -> None:
        super().__init__()
        self.length = config.length
        self.embed = embedding(config.vocabulary, width, std=0.02)
        self.positions = normal(config.length, width, std=0.02)
        self.blocks = blocks(config.mixer or MixerConfig(heads=config.heads), width, config.layers)
        self.norm = nn.LayerNorm(width)

    def forward(self, text: Tokens) -> Features:
        if text.ids.shape[1] > self.length:
            raise ValueError(f"text must have at most {self.length} tokens, got {text.ids.shape[1]}")
        tokens = self.embed(text.ids) + self.positions[: text.ids.shape[1]]
        for block in self.blocks:
            tokens = block(tokens, text.mask)
        tokens = self.norm(tokens)
        return Features((), tokens, masked_mean(tokens, text.mask), text.mask)

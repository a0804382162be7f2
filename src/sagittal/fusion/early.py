"""Early fusion: one trunk of attention blocks over the tokens of all modalities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sagittal.fusion.modalities import Join, Modalities, present
from sagittal.layers.attention import AttentionBlock
from sagittal.layers.features import Features
from sagittal.layers.initial import normal


class EarlyFusion(nn.Module):
    """``fuse({"image": Features | None, ...}) -> Features`` of one learned token, then all tokens given.

    tokens (B, 1 + sum of N, D) and their mask; ``pooled`` (B, D) is what the learned token gathered, so there
    is an answer when nothing is given: then ``rows`` says how many rows.
    """

    def __init__(self, width: int, heads: int, modalities: Sequence[str], layers: int = 2) -> None:
        super().__init__()
        self.join = Join(width, modalities)
        self.gather = normal(width, std=0.02)
        self.blocks = nn.ModuleList(AttentionBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, modalities: Modalities, rows: int = 1) -> Features:
        joined = self.join(modalities)
        mask: Tensor | None = None
        if joined is None:
            tokens = self.gather.expand(rows, 1, -1)
        else:
            others, mask = joined
            tokens = torch.cat([self.gather.expand(len(others), 1, -1), others], dim=1)
            if mask is not None:
                mask = torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)
        for block in self.blocks:
            tokens = block(tokens, mask)
        tokens = self.norm(tokens)
        return Features((), tokens, tokens[:, 0], mask)

    def tokens_of(self, name: str, modalities: Modalities) -> Tensor:
        """The fused tokens (B, N, D) of one modality that is there."""
        found = present(modalities, self.join.kinds.keys())
        start = 1 + sum(each.tokens.shape[1] for other, each in found.items() if other < name)
        return self(modalities).tokens[:, start : start + found[name].tokens.shape[1]]

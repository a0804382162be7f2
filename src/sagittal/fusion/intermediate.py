"""Intermediate fusion: tokens look at the tokens of other modalities, one way or both, when there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sagittal.fusion.modalities import Modalities, present
from sagittal.layers.attention import Attention
from sagittal.layers.features import Features
from sagittal.layers.mlp import Mlp


class CrossAttention(nn.Module):
    """Gated residual (Alayrac 2022): x + present * tanh(g) * look(x, other), g starting at 0.

    x (B, N, D), other (B, M, D), mask (B, M) bool or None. Where a row of the mask is all False the row of x
    comes back unchanged, to the bit.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.norm_other, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.look, self.mlp = Attention(width, heads), Mlp(width, 2)
        self.gates = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor, other: Tensor, mask: Tensor | None = None) -> Tensor:
        gates = self.gates.tanh()
        y = x + gates[0] * self.look(self.norm(x), self.norm_other(other), mask)
        y = y + gates[1] * self.mlp(self.norm_mlp(y))
        return y if mask is None else torch.where(mask.any(1)[:, None, None], y, x)


class IntermediateFusion(nn.Module):
    """One gated cross-attention a modality, in the order of their names.

    ``fuse(tokens (B, N, D), {"text": Features | None, ...}) -> (B, N, D)``; a modality that is None or not
    given is passed over, so with none of them the tokens come back as they are.
    """

    def __init__(self, width: int, heads: int, modalities: Sequence[str]) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({name: CrossAttention(width, heads) for name in sorted(modalities)})

    def forward(self, tokens: Tensor, others: Mapping[str, Features | None]) -> Tensor:
        unknown = set(others) - set(self.blocks)
        if unknown:
            raise ValueError(f"modalities must be among {sorted(self.blocks)}, got {sorted(unknown)}")
        for name, block in self.blocks.items():
            other = others.get(name)
            if other is not None:
                tokens = block(tokens, other.tokens, other.mask)
        return tokens


class MutualFusion(nn.Module):
    """Cross-attention in both directions: every modality looks at every other, ``layers`` times.

    ``fuse({"image": Features | None, ...}) -> the same, fused``, with the modalities that are there alone.
    In a layer all look at what the others were before it. A modality missing in some rows changes nothing
    in those rows, and its own rows there mean nothing: its mask goes with it.
    """

    def __init__(self, width: int, heads: int, modalities: Sequence[str], layers: int = 1) -> None:
        super().__init__()
        self.names = sorted(modalities)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {n: IntermediateFusion(width, heads, [m for m in self.names if m != n]) for n in self.names}
            )
            for _ in range(layers)
        )

    def forward(self, modalities: Modalities) -> dict[str, Features]:
        found = present(modalities, self.names)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict)
            looked = {
                name: layer[name](features.tokens, {n: f for n, f in found.items() if n != name})
                for name, features in found.items()
            }
            found = present({name: found[name].with_tokens(looked[name]) for name in found}, self.names)
        return found

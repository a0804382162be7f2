"""Several dates of one patient: the current study looks at the earlier ones, each with its age."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sagittal.fusion.intermediate import CrossAttention
from sagittal.layers.features import Features

_LONGEST = 7300.0
"""Days (20 years) beyond which dates are not told apart."""


def age_code(days: Tensor, width: int) -> Tensor:
    """Days before the current study (...,) -> (..., width): sines and cosines of the logarithm.

    A week and a month differ as much as a year and four: what has changed is judged by the ratio.
    """
    where = torch.log1p(days.clamp(0, _LONGEST)) / math.log1p(_LONGEST)
    bands = torch.arange(width // 2, device=days.device, dtype=torch.float32)
    angle = where[..., None].float() * math.pi * 2.0 ** (bands * 6 / max(1, width // 2 - 1))
    code = torch.cat([angle.sin(), angle.cos()], dim=-1)
    return nn.functional.pad(code, (0, width - code.shape[-1]))


class Timeline(nn.Module):
    """tokens (B, N, D) of the current study, earlier `Features`, their age in days (B, dates) -> (B, N, D).

    Any number of earlier studies, the same module for all; a row's age of NaN says that it has no such
    study. Where a row has none, its tokens come back unchanged, to the bit. The order in which the dates
    are given changes nothing: their ages tell it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.age = nn.Linear(width, width)
        self.look = CrossAttention(width, heads)

    def forward(self, tokens: Tensor, earlier: Sequence[Features], days: Tensor) -> Tensor:
        if days.shape != (len(tokens), len(earlier)):
            wanted = (len(tokens), len(earlier))
            raise ValueError(f"days must have the shape {wanted}, got {tuple(days.shape)}")
        if not earlier:
            return tokens
        there = ~days.isnan()
        code = self.age(age_code(days.nan_to_num(), tokens.shape[-1]).to(tokens.dtype))
        parts = [each.tokens + code[:, i, None] for i, each in enumerate(earlier)]
        masks = []
        for i, each in enumerate(earlier):
            real = torch.ones(each.tokens.shape[:2], dtype=torch.bool, device=tokens.device)
            masks.append((real if each.mask is None else each.mask) & there[:, i, None])
        return self.look(tokens, torch.cat(parts, dim=1), torch.cat(masks, dim=1))

"""What fusions share: any subset of modalities, and what it means that one is missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from sagittal.layers.features import Features
from sagittal.layers.initial import normal

Modalities = Mapping[str, Features | None]
"""Name -> Features, or None (or no entry) where the modality is missing for every row.

Where it is missing for some rows, the mask of those rows is all False.
"""


def present(modalities: Modalities, known: Collection[str]) -> dict[str, Features]:
    """The modalities that at least one row has, by name in order; what a mask hides is set to zero.

    A modality masked in every row is thus the same as one not given, to the bit, and nothing (not even a
    NaN) leaks out of what is masked.

    Raises:
        ValueError: an unknown name, or modalities of different batches.
    """
    unknown = set(modalities) - set(known)
    if unknown:
        raise ValueError(f"modalities must be among {sorted(known)}, got {sorted(unknown)}")
    found = {}
    for name in sorted(modalities):
        features = modalities[name]
        if features is None or (features.mask is not None and not features.mask.any()):
            continue
        found[name] = features if features.mask is None else _clean(features, features.mask)
    rows = {name: len(features.tokens) for name, features in found.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"modalities must have the same number of rows, got {rows}")
    return found


def _clean(features: Features, mask: Tensor) -> Features:
    there = mask.any(1)
    return Features(
        tuple(_where(there, each) for each in features.pyramid),
        features.tokens.masked_fill(~mask.unsqueeze(-1), 0.0),
        _where(there, features.pooled),
        mask,
    )


def _where(there: Tensor, x: Tensor) -> Tensor:
    """Rows (B, ...) where ``there`` (B,), else zeros."""
    return x.masked_fill(~there.reshape(-1, *(1,) * (x.ndim - 1)), 0.0)


def rows_present(features: Features) -> Tensor:
    """(B,) bool: which rows have this modality."""
    if features.mask is None:
        return torch.ones(len(features.tokens), dtype=torch.bool, device=features.tokens.device)
    return features.mask.any(1)


class Join(nn.Module):
    """All tokens of all modalities in one row, each with its modality's learned embedding added.

    ``join(modalities) -> tokens (B, sum of N, D) and mask (B, sum of N), or None`` when nothing is there.
    The mask is None when every token is real.
    """

    def __init__(self, width: int, modalities: Collection[str]) -> None:
        super().__init__()
        self.kinds = nn.ParameterDict({name: normal(width, std=0.02) for name in sorted(modalities)})

    def forward(self, modalities: Modalities) -> tuple[Tensor, Tensor | None] | None:
        found = present(modalities, self.kinds.keys())
        if not found:
            return None
        tokens = torch.cat([features.tokens + self.kinds[name] for name, features in found.items()], dim=1)
        if all(features.mask is None for features in found.values()):
            return tokens, None
        masks = [
            features.mask
            if features.mask is not None
            else torch.ones(features.tokens.shape[:2], dtype=torch.bool, device=tokens.device)
            for features in found.values()
        ]
        return tokens, torch.cat(masks, dim=1)

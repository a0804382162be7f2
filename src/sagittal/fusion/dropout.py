"""Modality dropout: in training, hide whole modalities of single rows, so that any subset is known."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sagittal.fusion.modalities import Modalities, present, rows_present
from sagittal.layers.features import Features


def drop_modalities(
    modalities: Modalities,
    rate: float | Mapping[str, float],
    generator: torch.Generator,
    *,
    keep_one: bool = True,
) -> dict[str, Features]:
    """Hide each modality of each row with probability ``rate`` (one for all, or by name; 0 where not named).

    With ``keep_one``, where every modality a row has would go, one of them, drawn evenly, stays. What is
    hidden is gone from tokens, pooled and pyramid alike. ``generator`` (on the CPU) gives as many numbers
    whatever is missing: the same names, rows and seed hide the same.

    Raises:
        ValueError: a rate outside 0 to 1.
    """
    rates = rate if isinstance(rate, Mapping) else dict.fromkeys(modalities, rate)
    if any(not 0 <= value <= 1 for value in rates.values()):
        raise ValueError(f"rates must be 0 to 1, got {dict(rates)}")
    found = present(modalities, modalities.keys())
    if not found:
        return {}
    names = sorted(modalities)
    rows = len(next(iter(found.values())).tokens)
    drawn = torch.rand(len(names), rows, generator=generator)
    lots = torch.rand(len(names), rows, generator=generator)
    absent = torch.zeros(rows, dtype=torch.bool)
    has = torch.stack([rows_present(found[n]).cpu() if n in found else absent for n in names])
    limits = torch.tensor([float(rates.get(name, 0.0)) for name in names])
    kept = has & (drawn >= limits[:, None])
    chosen = lots.masked_fill(~has, -1.0).argmax(0)
    saved = torch.zeros_like(has).scatter_(0, chosen[None], True) & has & ~kept.any(0)
    kept = kept | saved if keep_one else kept
    masked = {
        name: _masked(features, kept[names.index(name)].to(features.tokens.device))
        for name, features in found.items()
    }
    return present(masked, names)


def _masked(features: Features, kept: Tensor) -> Features:
    full = torch.ones(features.tokens.shape[:2], dtype=torch.bool, device=features.tokens.device)
    mask = (features.mask if features.mask is not None else full) & kept[:, None]
    return Features(features.pyramid, features.tokens, features.pooled, mask)

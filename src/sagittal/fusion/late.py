"""Late fusion: each modality predicts alone; the predictions are combined by learned weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sagittal.fusion.modalities import Modalities, present, rows_present


class LateFusion(nn.Module):
    """``fuse({"image": Features | None, ...}) -> logits (B, L)``: one linear head a modality on ``pooled``.

    Trained with modality dropout, `Combination` is calibrated for every subset of modalities. ``beside``
    names modalities whose predictions are made elsewhere and are given as ``made``.
    """

    def __init__(
        self, width: int, modalities: Sequence[str], labels: int, beside: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.LayerNorm(width), nn.Linear(width, labels))
                for name in sorted(modalities)
            }
        )
        self.combine = Combination((*modalities, *beside), labels)

    def forward(
        self, modalities: Modalities, rows: int = 1, made: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        found = present(modalities, self.heads.keys())
        predictions = {name: self.heads[name](features.pooled) for name, features in found.items()}
        there = {n: rows_present(f) for n, f in found.items()}
        return self.combine(predictions | dict(made or {}), there, rows)

    def alone(self, modalities: Modalities) -> dict[str, Tensor]:
        """What each modality that is there predicts by itself: name -> logits (B, L)."""
        found = present(modalities, self.heads.keys())
        return {name: self.heads[name](features.pooled) for name, features in found.items()}


class Combination(nn.Module):
    """Logits of modalities to one logit a label, calibrated for whichever modalities are there.

    logit = scale[k] * sum_m w_m z_m / sum_m w_m + sum_m offset_m: w by modality and label, renormalised over
    those that are there; scale by label and by how many (k) are there, because the evidence of two that agree
    is stronger than their mean; without any, a learned prior. It starts as the mean.
    """

    def __init__(self, modalities: Sequence[str], labels: int) -> None:
        super().__init__()
        self.names = sorted(modalities)
        self.weight = nn.Parameter(torch.zeros(len(self.names), labels))
        self.offset = nn.Parameter(torch.zeros(len(self.names), labels))
        self.scale = nn.Parameter(torch.zeros(len(self.names), labels))
        self.prior = nn.Parameter(torch.zeros(labels))

    def forward(
        self,
        predictions: Mapping[str, Tensor | None],
        there: Mapping[str, Tensor] | None = None,
        rows: int = 1,
    ) -> Tensor:
        """name -> logits (B, L) or None, and name -> (B,) bool where only some rows have it: (B, L).

        Raises:
            ValueError: an unknown modality.
        """
        unknown = set(predictions) - set(self.names)
        if unknown:
            raise ValueError(f"modalities must be among {self.names}, got {sorted(unknown)}")
        given = {name: logits for name, logits in predictions.items() if logits is not None}
        if not given:
            return self.prior.expand(rows, -1)
        like = next(iter(given.values()))
        logits = torch.stack([given.get(name, torch.zeros_like(like)) for name in self.names], dim=1)
        has = torch.stack([self._has(name, given, there or {}, like) for name in self.names], dim=1)
        logits = torch.where(has.unsqueeze(-1), logits, 0.0)
        # softmax over those there; a row without any gets equal weights of nothing
        weights = self.weight.expand(len(like), -1, -1).masked_fill(~has.unsqueeze(-1), -1e9).softmax(dim=1)
        count = has.sum(1)
        scale = self.scale[(count - 1).clamp(min=0)].exp()
        offset = (self.offset * has.unsqueeze(-1)).sum(1)
        fused = scale * (weights * logits).sum(1) + offset
        return torch.where((count > 0).unsqueeze(-1), fused, self.prior)

    @staticmethod
    def _has(name: str, given: Mapping[str, Tensor], there: Mapping[str, Tensor], like: Tensor) -> Tensor:
        if name not in given:
            return torch.zeros(len(like), dtype=torch.bool, device=like.device)
        if name in there:
            return there[name]
        return torch.ones(len(like), dtype=torch.bool, device=like.device)
